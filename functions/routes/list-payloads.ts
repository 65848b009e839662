import type { Context } from "hono";
import { PayloadStoreError } from "../../core/errors.ts";
import type { GroupKey } from "../../core/key.ts";
import { limits } from "../../core/limits.ts";
import type { ListedPayload } from "../../core/payload.ts";
import type { PayloadStore } from "../../core/payload-store.ts";
import { exportLines } from "../export-lines.ts";
import { httpLimits } from "../http-limits.ts";
import { ndjsonResponse } from "../ndjson-response.ts";
import { json, type Handle } from "./route.ts";

/** GET …/payloads: a page of the group in commit order, or with ?include=data the whole group as lines to import again. */
export const listPayloads: Handle = async (context, { tenant, group }, store) => {
  const include = context.req.query("include");
  if (include === "data") return ndjsonResponse(exportLines(store, { tenant, group }), context.req.method);
  if (include !== undefined) throw new PayloadStoreError("INVALID", "include can only be data");
  return json(await page(store, { tenant, group }, context.req.query("after"), limitOf(context)));
};

async function page(store: PayloadStore, key: GroupKey, after: string | undefined, limit: number): Promise<object> {
  const payloads: object[] = [];
  let last: string | undefined;
  // One more than asked for tells whether there is a next page.
  for await (const payload of store.list(key, after === undefined ? {} : { after })) {
    if (payloads.length === limit) return { payloads, next: last };
    payloads.push(entryOf(payload));
    last = payload.cursor;
  }
  return { payloads };
}

function entryOf({ id, bytes, contentType, etag, attributes, timeMs }: ListedPayload): object {
  return { id, bytes, contentType, etag, attributes, time: new Date(timeMs).toISOString() };
}

function limitOf(context: Context): number {
  const text = context.req.query("limit");
  if (text === undefined) return httpLimits.listLimitDefault;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= limits.listLimitMax) return limit;
  throw new PayloadStoreError("INVALID", `limit must be a whole number from 1 to ${limits.listLimitMax}`);
}
