import { refusal } from "../http-errors.ts";
import { idempotencyKey } from "../schemas.ts";
import type { Route } from "./route.ts";

/** DELETE …/payloads/{id}: 204, or 404 when there was nothing, so that a wrong name is never taken for a deletion. */
export const deletePayload: Route = {
  description: {
    operationId: "deletePayload",
    summary: "Delete a payload",
    headers: { "Idempotency-Key": idempotencyKey },
    answers: { 204: { description: "It is deleted, durably." } },
    problems: ["NOT_FOUND", "CONFLICT", "KEY_REUSED"],
  },
  handle: async (context, key, store) => {
    const options = { idempotencyKey: context.req.header("idempotency-key") };
    if (await store.delete(key, options)) return new Response(null, { status: 204 });
    return refusal("NOT_FOUND", `no payload ${JSON.stringify(key.id)} in group ${JSON.stringify(key.group)}`);
  },
};
