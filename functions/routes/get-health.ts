import * as v from "valibot";
import { refusal } from "../http-errors.ts";
import { json, type Route } from "./route.ts";

const healthSchema = v.object({
  status: v.picklist(["ok", "degraded"]),
  reasons: v.optional(v.pipe(v.array(v.string()), v.description("why it is degraded, without a name"))),
});

/**
 * GET /healthz: 200 while the store takes writes, 503 once a failed sync stopped it. A store that is degraded is 200 too:
 * whoever asks would take it out of service, or start it again, which mends nothing.
 */
export const getHealth: Route = {
  description: {
    operationId: "getHealth",
    summary: "Whether the store takes writes",
    answers: {
      200: {
        description: "It does; degraded, where an operator should look at it. A 503 says why it does not.",
        content: [{ kind: "json", schema: healthSchema }],
      },
    },
    problems: ["UNAVAILABLE"],
  },
  access: "open",
  handle: (_context, _names, store) => {
    const { ok, reason, degraded } = store.health();
    if (!ok) return refusal("UNAVAILABLE", reason ?? "the store takes no writes");
    return json(degraded.length === 0 ? { status: "ok" } : { status: "degraded", reasons: degraded });
  },
};
