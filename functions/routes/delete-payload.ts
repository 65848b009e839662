import { refusal } from "../http-errors.ts";
import type { Handle } from "./route.ts";

/** DELETE …/payloads/{id}: 204, or 404 when there was nothing, so that a wrong name is never taken for a deletion. */
export const deletePayload: Handle = async (_context, key, store) => {
  if (await store.delete(key)) return new Response(null, { status: 204 });
  return refusal("NOT_FOUND", `no payload ${JSON.stringify(key.id)} in group ${JSON.stringify(key.group)}`);
};
