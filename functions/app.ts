import { Hono } from "hono";
import { isPayloadStoreError } from "../core/errors.ts";
import type { PayloadStore } from "../core/payload-store.ts";
import { problemOf, refusal } from "./http-errors.ts";
import { decodePath, namesIn, rawPath } from "./request-path.ts";
import { routes, templateOf } from "./route-table.ts";
import type { MetricsText } from "./routes/route.ts";

export interface AppOptions {
  /** Gets what went wrong in a way nobody planned for; the client is told nothing of it. By default standard error. */
  readonly report?: ((error: unknown) => void) | undefined;
  /** What /metrics answers; without it, 404. */
  readonly metrics?: MetricsText | undefined;
}

/**
 * The HTTP face of a store: the same on Lambda, on a laptop and in tests. docs/http.md.
 *
 * Paths are matched as they were sent and decoded once, by {@link decodePath}, before a route sees them. What a URL parser
 * has resolved before it became a `Request` cannot be seen here; a server checks that on the wire.
 */
export function createApp(store: PayloadStore, options: AppOptions = {}): Hono {
  const report = options.report ?? console.error;
  const app = new Hono({ getPath: (request) => rawPath(request.url) });

  for (const [pattern, methods] of Object.entries(routes)) {
    for (const [method, { handle }] of Object.entries(methods)) {
      app.on(method, pattern, (context) =>
        handle(context, namesIn(decodePath(context.req.path)), store, options.metrics),
      );
    }
  }
  app.notFound((context) => unmatched(context.req.method, context.req.path));
  app.onError((error) => {
    if (!isPayloadStoreError(error)) report(error);
    return problemOf(error);
  });
  return app;
}

function unmatched(method: string, path: string): Response {
  // A path that names nothing well is 400, whether or not there is a route for it.
  decodePath(path);
  const template = templateOf(path);
  if (template === undefined) return refusal("NOT_FOUND", "no such route", { title: "There is no such route" });
  const allow = Object.keys(routes[template] ?? {}).flatMap((name) => (name === "GET" ? ["GET", "HEAD"] : [name]));
  return refusal("INVALID", `${method} is not possible here, only ${allow.join(", ")}`, {
    status: 405,
    title: "The method does not fit the path",
    headers: { allow: allow.join(", ") },
  });
}
