import type { Context } from "hono";
import * as v from "valibot";
import { PayloadStoreError } from "../../core/errors.ts";
import type { GroupKey } from "../../core/key.ts";
import { limits } from "../../core/limits.ts";
import type { ListedPayload } from "../../core/payload.ts";
import type { PayloadStore } from "../../core/payload-store.ts";
import { exportLines } from "../export-lines.ts";
import { httpLimits } from "../http-limits.ts";
import { ndjsonResponse } from "../ndjson-response.ts";
import { attributesSchema, bytesSchema, nameSchema, payloadLineSchema } from "../schemas.ts";
import { json, type Route } from "./route.ts";

const entrySchema = v.pipe(
  v.object({
    id: nameSchema,
    bytes: bytesSchema,
    contentType: v.optional(v.string()),
    etag: v.pipe(v.string(), v.regex(/^[0-9a-f]{24}$/), v.description("the first 96 bits of the bytes' SHA-256")),
    attributes: v.optional(attributesSchema),
    time: v.pipe(v.string(), v.isoTimestamp(), v.description("of its commit, by the writer's clock")),
  }),
  v.metadata({ ref: "PayloadEntry" }),
);

type Entry = v.InferOutput<typeof entrySchema>;

const pageSchema = v.object({
  payloads: v.array(entrySchema),
  next: v.optional(v.pipe(v.string(), v.description("`after` of the next page; absent on the last one"))),
});

/** GET …/payloads: a page of the group in commit order, or with ?include=data the whole group as lines to import again. */
export const listPayloads: Route = {
  description: {
    operationId: "listPayloads",
    summary: "List or export the payloads of a group",
    query: {
      after: { description: "`next` of the page before; opaque", schema: v.string() },
      limit: {
        description: "payloads of a page",
        schema: v.pipe(
          v.optional(v.number(), httpLimits.listLimitDefault),
          v.integer(),
          v.minValue(1),
          v.maxValue(limits.listLimitMax),
        ),
      },
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
    return json(await page(store, { tenant, group }, context.req.query("after"), limitOf(context)));
  },
};

async function page(
  store: PayloadStore,
  key: GroupKey,
  after: string | undefined,
  limit: number,
): Promise<v.InferOutput<typeof pageSchema>> {
  const payloads: Entry[] = [];
  let last: string | undefined;
  // One more than asked for tells whether there is a next page.
  for await (const payload of store.list(key, after === undefined ? {} : { after })) {
    if (payloads.length === limit) return { payloads, next: last };
    payloads.push(entryOf(payload));
    last = payload.cursor;
  }
  return { payloads };
}

function entryOf({ id, bytes, contentType, etag, attributes, timeMs }: ListedPayload): Entry {
  return { id, bytes, contentType, etag, attributes, time: new Date(timeMs).toISOString() };
}

function limitOf(context: Context): number {
  const text = context.req.query("limit");
  if (text === undefined) return httpLimits.listLimitDefault;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= limits.listLimitMax) return limit;
  throw new PayloadStoreError("INVALID", `limit must be a whole number from 1 to ${limits.listLimitMax}`);
}
