import type { Context } from "hono";
import * as v from "valibot";
import { PayloadStoreError } from "../core/errors.ts";
import { limits } from "../core/limits.ts";
import type { ListedPayload } from "../core/payload.ts";
import { expiryText } from "./expiry.ts";
import { httpLimits } from "./http-limits.ts";
import { attributesSchema, bytesSchema, nameSchema } from "./schemas.ts";

/** What routes that answer payloads page by page have in common. */

export const entrySchema = v.pipe(
  v.object({
    id: nameSchema,
    bytes: bytesSchema,
    contentType: v.optional(v.string()),
    etag: v.pipe(v.string(), v.regex(/^[0-9a-f]{24}$/), v.description("the first 96 bits of the bytes' SHA-256")),
    attributes: v.optional(attributesSchema),
    time: v.pipe(v.string(), v.isoTimestamp(), v.description("of its commit, by the writer's clock")),
    expiresAt: v.optional(v.pipe(v.string(), v.isoTimestamp(), v.description("from then on it counts as absent"))),
  }),
  v.metadata({ ref: "PayloadEntry" }),
);

export const nextSchema = v.optional(
  v.pipe(v.string(), v.description("`after` of the next page; absent on the last one")),
);

export const pageQuery = {
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
} as const;

export function entryOf(payload: ListedPayload): v.InferOutput<typeof entrySchema> {
  const { id, bytes, contentType, etag, attributes, timeMs, expiresMs } = payload;
  const expiresAt = expiresMs === undefined ? undefined : expiryText(expiresMs);
  return { id, bytes, contentType, etag, attributes, time: new Date(timeMs).toISOString(), expiresAt };
}

/**
 * So many of what is listed, and where the next page begins, if there is one.
 * @param listed  behind `after`; one more than asked for is taken of it
 */
export async function pageOf<Entry>(
  listed: AsyncIterable<ListedPayload>,
  limit: number,
  entry: (payload: ListedPayload) => Entry,
): Promise<{ payloads: Entry[]; next?: string | undefined }> {
  const payloads: Entry[] = [];
  let last: string | undefined;
  for await (const payload of listed) {
    if (payloads.length === limit) return { payloads, next: last };
    payloads.push(entry(payload));
    last = payload.cursor;
  }
  return { payloads };
}

/** What a request says of its page. @throws {PayloadStoreError} `INVALID` */
export function pageAsked(context: Context): { readonly after?: string; readonly limit: number } {
  const after = context.req.query("after");
  return { ...(after === undefined ? {} : { after }), limit: limitOf(context.req.query("limit")) };
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return httpLimits.listLimitDefault;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= limits.listLimitMax) return limit;
  throw new PayloadStoreError("INVALID", `limit must be a whole number from 1 to ${limits.listLimitMax}`);
}
