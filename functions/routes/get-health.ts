import * as v from "valibot";
import { refusal } from "../http-errors.ts";
import { json, type Route } from "./route.ts";

/** GET /healthz: 200 while the store takes writes, 503 once a failed sync stopped it. */
export const getHealth: Route = {
  description: {
    operationId: "getHealth",
    summary: "Whether the store takes writes",
    answers: {
      200: {
        description: "It does. A 503 says why it does not.",
        content: [{ kind: "json", schema: v.object({ status: v.literal("ok") }) }],
      },
    },
    problems: ["UNAVAILABLE"],
  },
  access: "open",
  handle: (_context, _names, store) => {
    const { ok, reason } = store.health();
    return ok ? json({ status: "ok" }) : refusal("UNAVAILABLE", reason ?? "the store takes no writes");
  },
};
