import { Hono } from "hono";
import { isPayloadStoreError } from "../core/errors.ts";
import type { PayloadStore } from "../core/payload-store.ts";
import { problemOf, refusal } from "./http-errors.ts";
import { decodePath, namesIn, rawPath } from "./request-path.ts";
import { appendBatch } from "./routes/append-batch.ts";
import { appendBatches } from "./routes/append-batches.ts";
import { deleteGroup } from "./routes/delete-group.ts";
import { deletePayload } from "./routes/delete-payload.ts";
import { getHealth } from "./routes/get-health.ts";
import { getPayload } from "./routes/get-payload.ts";
import { getStats } from "./routes/get-stats.ts";
import { listGroups } from "./routes/list-groups.ts";
import { listPayloads } from "./routes/list-payloads.ts";
import { putPayload } from "./routes/put-payload.ts";
import type { Handle } from "./routes/route.ts";

export interface AppOptions {
  /** Gets what went wrong in a way nobody planned for; the client is told nothing of it. By default standard error. */
  readonly report?: ((error: unknown) => void) | undefined;
}

/** GET answers HEAD as well. */
const routes: Readonly<Record<string, Readonly<Record<string, Handle>>>> = {
  "/v1/:tenant/groups/:group/payloads/:id": { GET: getPayload, PUT: putPayload, DELETE: deletePayload },
  "/v1/:tenant/groups/:group/payloads": { GET: listPayloads, POST: appendBatch },
  "/v1/:tenant/groups/:group": { DELETE: deleteGroup },
  "/v1/:tenant/groups": { GET: listGroups },
  "/v1/:tenant/payloads": { POST: appendBatches },
  "/v1/:tenant/stats": { GET: getStats },
  "/healthz": { GET: getHealth },
};

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
    for (const [method, handle] of Object.entries(methods)) {
      app.on(method, pattern, (context) => handle(context, namesIn(decodePath(context.req.path)), store));
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
  const segments = decodePath(path);
  const methods = Object.entries(routes).find(([pattern]) => matches(pattern, path, segments.length))?.[1];
  if (methods === undefined) return refusal("NOT_FOUND", "no such route", { title: "There is no such route" });
  const allow = Object.keys(methods).flatMap((name) => (name === "GET" ? ["GET", "HEAD"] : [name]));
  return refusal("INVALID", `${method} is not possible here, only ${allow.join(", ")}`, {
    status: 405,
    title: "The method does not fit the path",
    headers: { allow: allow.join(", ") },
  });
}

function matches(pattern: string, path: string, length: number): boolean {
  const wanted = pattern.slice(1).split("/");
  const given = path.slice(1).split("/");
  return wanted.length === length && wanted.every((part, i) => part.startsWith(":") || part === given[i]);
}
