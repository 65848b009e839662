import type { Context } from "hono";
import { PayloadStoreError } from "../../core/errors.ts";
import type { CodecName } from "../../core/ports/codec.ts";
import { readBody } from "../request-body.ts";
import { json, type Handle } from "./route.ts";

/** PUT …/payloads/{id}: stores the body under the id. It answers after the commit is durable. Idempotency-Key: once only. */
export const putPayload: Handle = async (context, { tenant, group, id }, store) => {
  const ifAbsent = createsOnly(context);
  const codec = codecOf(context.req.query("codec"));
  const contentType = context.req.header("content-type");
  const idempotencyKey = context.req.header("idempotency-key");
  const bytes = await readBody(context.req.raw, store.payloadBytesMax);
  const location = await store.append({ tenant, group, id }, bytes, { contentType, codec, ifAbsent, idempotencyKey });
  // 200 and not 201: the store does not look whether there was one before, which would cost a read.
  return json({ id, group, bytes: bytes.length, location });
};

/** A condition that is ignored is worse than one that is refused. */
function createsOnly(context: Context): boolean {
  for (const header of ["if-match", "if-unmodified-since", "content-range"]) {
    if (context.req.header(header) !== undefined)
      throw new PayloadStoreError("INVALID", `${header} is not supported here`);
  }
  const condition = context.req.header("if-none-match")?.trim();
  if (condition === undefined) return false;
  if (condition === "*") return true;
  throw new PayloadStoreError("INVALID", "If-None-Match can only be * here: it creates, or answers 412");
}

function codecOf(name: string | undefined): CodecName | undefined {
  if (name === undefined || name === "none" || name === "lz4" || name === "zstd") return name;
  throw new PayloadStoreError("INVALID", `codec must be none, lz4 or zstd; got ${JSON.stringify(name.slice(0, 80))}`);
}
