import * as v from "valibot";
import { PayloadStoreError } from "../../core/errors.ts";
import { exportLines } from "../export-lines.ts";
import { entryOf, entrySchema, nextSchema, pageAsked, pageOf, pageQuery } from "../listed-payload.ts";
import { ndjsonResponse } from "../ndjson-response.ts";
import { payloadLineSchema } from "../schemas.ts";
import { json, type Route } from "./route.ts";

const pageSchema = v.object({ payloads: v.array(entrySchema), next: nextSchema });

/** GET …/payloads: a page of the group in commit order, or with ?include=data the whole group as lines to import again. */
export const listPayloads: Route = {
  description: {
    operationId: "listPayloads",
    summary: "List or export the payloads of a group",
    query: {
      ...pageQuery,
      include: {
        description: "`data`: the whole group as lines that import it again",
        schema: v.literal("data"),
      },
    },
    answers: {
      200: {
        description: "In the order of their first commit; empty where there is no such group.",
        content: [
          { kind: "json", schema: pageSchema },
          { kind: "ndjson", schema: payloadLineSchema },
        ],
      },
    },
    problems: ["CORRUPT", "UNSUPPORTED_VERSION"],
  },
  handle: async (context, { tenant, group }, store) => {
    const include = context.req.query("include");
    if (include === "data") return ndjsonResponse(exportLines(store, { tenant, group }), context.req.method);
    if (include !== undefined) throw new PayloadStoreError("INVALID", "include can only be data");
    const { limit, ...after } = pageAsked(context);
    return json(await pageOf(store.list({ tenant, group }, after), limit, entryOf));
  },
};
