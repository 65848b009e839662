import { refusal } from "../http-errors.ts";
import { json, type Handle } from "./route.ts";

/** GET /healthz: 200 while the store takes writes, 503 once a failed sync stopped it. */
export const getHealth: Handle = (_context, _names, store) => {
  const { ok, reason } = store.health();
  return ok ? json({ status: "ok" }) : refusal("UNAVAILABLE", reason ?? "the store takes no writes");
};
