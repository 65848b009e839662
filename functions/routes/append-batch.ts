import * as v from "valibot";
import { httpLimits } from "../http-limits.ts";
import { readBatch } from "../ndjson-batch.ts";
import { readBody } from "../request-body.ts";
import { groupLineSchema, idempotencyKey, locationSchema, nameSchema } from "../schemas.ts";
import { json, type Route } from "./route.ts";

/**
 * POST …/groups/{group}/payloads: an NDJSON batch as one commit. All of its payloads are stored, or none; with an
 * Idempotency-Key once only.
 */
export const appendBatch: Route = {
  description: {
    operationId: "appendBatch",
    summary: "Store a batch of payloads in one group",
    description: "One commit: all of them or none.",
    headers: { "Idempotency-Key": idempotencyKey },
    body: { kind: "ndjson", schema: groupLineSchema },
    answers: {
      200: {
        description: "All are stored and durable, in the order of the lines.",
        content: [
          {
            kind: "json",
            schema: v.object({ payloads: v.array(v.object({ id: nameSchema, location: locationSchema })) }),
          },
        ],
      },
    },
    problems: ["CONFLICT", "KEY_REUSED", "TOO_LARGE", "CORRUPT"],
  },
  handle: async (context, { tenant, group }, store) => {
    const body = await readBody(context.req.raw, httpLimits.batchBodyBytesMax);
    const lines = [...(await readBatch(body, "withoutGroup", store.payloadBytesMax)).values()].flat();
    const locations = await store.appendMany({ tenant, group }, lines, {
      idempotencyKey: context.req.header("idempotency-key"),
    });
    return json({ payloads: lines.map(({ id }, i) => ({ id, location: locations[i] })) });
  },
};
