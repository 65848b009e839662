import { httpLimits } from "../http-limits.ts";
import { readBatch } from "../ndjson-batch.ts";
import { readBody } from "../request-body.ts";
import { json, type Handle } from "./route.ts";

/**
 * POST …/groups/{group}/payloads: an NDJSON batch as one commit. All of its payloads are stored, or none; with an
 * Idempotency-Key once only.
 */
export const appendBatch: Handle = async (context, { tenant, group }, store) => {
  const body = await readBody(context.req.raw, httpLimits.batchBodyBytesMax);
  const lines = [...(await readBatch(body, "withoutGroup", store.payloadBytesMax)).values()].flat();
  const locations = await store.appendMany({ tenant, group }, lines, {
    idempotencyKey: context.req.header("idempotency-key"),
  });
  return json({ payloads: lines.map(({ id }, i) => ({ id, location: locations[i] })) });
};
