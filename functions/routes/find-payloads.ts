import * as v from "valibot";
import { entryOf, entrySchema, nextSchema, pageAsked, pageOf, pageQuery } from "../listed-payload.ts";
import { nameSchema } from "../schemas.ts";
import { whereIn } from "../where.ts";
import { json, type Route } from "./route.ts";

const foundSchema = v.pipe(
  v.object({ group: nameSchema, ...entrySchema.entries }),
  v.metadata({ ref: "FoundPayload" }),
);

const pageSchema = v.object({ payloads: v.array(foundSchema), next: nextSchema });

/** GET …/payloads?where=name:value: a page of a tenant's payloads that have these attributes, in whatever groups they are. */
export const findPayloads: Route = {
  description: {
    operationId: "findPayloads",
    summary: "Find payloads by their attributes",
    query: {
      where: {
        required: true,
        description:
          "An attribute as `name:value`; several times for several that must all hold. In the name, `:` is written %3A and `%` is written %25. docs/http.md §6",
        schema: v.pipe(v.array(v.pipe(v.string(), v.regex(/^[^:]+:/))), v.minLength(1)),
      },
      ...pageQuery,
    },
    answers: {
      200: {
        description: "Empty where no payload has them. Pages together are the whole, with what was there all the time.",
        content: [{ kind: "json", schema: pageSchema }],
      },
    },
    problems: ["CORRUPT", "UNSUPPORTED_VERSION", "UNSUPPORTED"],
  },
  handle: async (context, { tenant }, store) => {
    const { limit, ...after } = pageAsked(context);
    const where = whereIn(context.req.url);
    const found = store.find({ tenant, where }, after);
    return json(await pageOf(found, limit, (payload) => ({ group: payload.group, ...entryOf(payload) })));
  },
};
