import { refusal } from "../http-errors.ts";
import type { Route } from "./route.ts";

/** GET /metrics: numbers for Prometheus, where the server keeps any; docs/http.md names them. */
export const getMetrics: Route = {
  description: {
    operationId: "getMetrics",
    summary: "Numbers for Prometheus",
    description: "Kept by the local server only: elsewhere it is 404.",
    answers: { 200: { description: "The text format of Prometheus.", content: [{ kind: "text" }] } },
    problems: ["NOT_FOUND"],
  },
  access: "server",
  handle: async (_context, _names, _store, { metrics }) => {
    if (metrics === undefined) return refusal("NOT_FOUND", "this server keeps no metrics");
    const headers = { "content-type": metrics.contentType, "cache-control": "no-store" };
    return new Response(await metrics.text(), { headers });
  },
};
