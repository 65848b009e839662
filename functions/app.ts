import type { Context } from "hono";
import { Hono } from "hono/quick";
import { isPayloadStoreError } from "../core/errors.ts";
import type { PayloadStore } from "../core/payload-store.ts";
import { onlyWithKey, type HttpAccess } from "./access.ts";
import { problemOf, refusal } from "./http-errors.ts";
import { decodePath, namesIn, rawPath } from "./request-path.ts";
import { methods, routeOf, templateOf } from "./route-table.ts";
import type { MetricsText, Route } from "./routes/route.ts";

export interface AppOptions {
  /** Gets what went wrong in a way nobody planned for; the client is told nothing of it. By default standard error. */
  readonly report?: ((error: unknown) => void) | undefined;
  /** What /metrics answers; without it, 404. */
  readonly metrics?: MetricsText | undefined;
  /** Whom it lets in; without it, everybody who can reach it. */
  readonly access?: HttpAccess | undefined;
  /** Whether it answers routes that look at everything a tenant has; 501 else. It does, unless this says otherwise. */
  readonly scans?: boolean | undefined;
  /** Gets every error that is answered with a status of 500 and above, for a log. */
  readonly failed?: ((error: unknown) => void) | undefined;
}

/**
 * The HTTP face of a store: the same on Lambda, on a laptop and in tests. docs/http.md.
 *
 * Paths are matched as they were sent and decoded once, by {@link decodePath}, before a route sees them. What a URL parser
 * has resolved before it became a `Request` cannot be seen here; a server checks that on the wire.
 */
export function createApp(store: PayloadStore, options: AppOptions = {}): Hono {
  const { access, metrics, scans = true } = options;
  const report = options.report ?? console.error;
  const app = new Hono({ getPath: (request) => rawPath(request.url) });

  const answerBy = (route: Route, context: Context): Response | Promise<Response> => {
    const names = namesIn(decodePath(context.req.path));
    const answer = () => {
      if (route.scans && !scans) return refusal("UNSUPPORTED", unsupportedScan);
      return route.handle(context, names, store, metrics);
    };
    return access === undefined ? answer() : onlyWithKey(access, route, names, context, answer);
  };
  for (const [template, names] of Object.entries<readonly string[]>(methods)) {
    for (const method of names) {
      app.on(method, [template], (context): Response | Promise<Response> => {
        const route = routeOf(template, method);
        return route instanceof Promise ? route.then((loaded) => answerBy(loaded, context)) : answerBy(route, context);
      });
    }
  }
  app.notFound((context) => unmatched(context.req.method, context.req.path));
  app.onError((error) => {
    if (!isPayloadStoreError(error)) report(error);
    const response = problemOf(error);
    if (response.status >= 500) options.failed?.(error);
    return response;
  });
  return app;
}

const unsupportedScan =
  "this server would have to read its whole table for that: list a group's payloads, or use the library, paylode/aws, with credentials of your own";

function unmatched(method: string, path: string): Response {
  // A path that names nothing well is 400, whether or not there is a route for it.
  decodePath(path);
  const template = templateOf(path);
  if (template === undefined) return refusal("NOT_FOUND", "no such route", { title: "There is no such route" });
  const allow = methods[template].flatMap((name) => (name === "GET" ? ["GET", "HEAD"] : [name]));
  return refusal("INVALID", `${method} is not possible here, only ${allow.join(", ")}`, {
    status: 405,
    title: "The method does not fit the path",
    headers: { allow: allow.join(", ") },
  });
}
