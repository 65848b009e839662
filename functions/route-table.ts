import { deletePayload } from "./routes/delete-payload.ts";
import { getHealth } from "./routes/get-health.ts";
import { getPayload } from "./routes/get-payload.ts";
import { putPayload } from "./routes/put-payload.ts";
import type { Route } from "./routes/route.ts";

export type Routes = Readonly<Record<string, Readonly<Record<string, Route>>>>;

/** Of one payload, and of the server: what most processes of a function are started for, and all that is loaded at the start. */
const firstRoutes: Routes = {
  "/v1/:tenant/groups/:group/payloads/:id": { GET: getPayload, PUT: putPayload, DELETE: deletePayload },
  "/healthz": { GET: getHealth },
};

/** Template → methods, of every route. GET answers HEAD as well. */
export const methods = {
  "/v1/:tenant/groups/:group/payloads/:id": ["GET", "PUT", "DELETE"],
  "/v1/:tenant/groups/:group/payloads/:id/upload": ["POST"],
  "/v1/:tenant/groups/:group/payloads/:id/commit": ["POST"],
  "/v1/:tenant/groups/:group/payloads": ["GET", "POST"],
  "/v1/:tenant/groups/:group": ["DELETE"],
  "/v1/:tenant/groups": ["GET"],
  "/v1/:tenant/payloads": ["GET", "POST"],
  "/v1/:tenant/erasures": ["GET", "POST"],
  "/v1/:tenant/erasures/:erasure": ["GET"],
  "/v1/:tenant/stats": ["GET"],
  "/healthz": ["GET"],
  "/metrics": ["GET"],
  "/openapi.json": ["GET"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

type Template = keyof typeof methods;

let further: Promise<Routes> | undefined;

/** A route of {@link methods}. */
export function routeOf(template: string, method: string): Route | Promise<Route> {
  const first = firstRoutes[template]?.[method];
  if (first !== undefined) return first;
  further ??= import("./further-routes.ts").then(({ furtherRoutes }) => furtherRoutes);
  return further.then((routes) => routes[template]![method]!);
}

/** All routes, in the order of {@link methods}. */
export async function loadedRoutes(): Promise<Routes> {
  const all: Record<string, Record<string, Route>> = {};
  for (const [template, names] of Object.entries<readonly string[]>(methods)) {
    all[template] = {};
    for (const method of names) all[template][method] = await routeOf(template, method);
  }
  return all;
}

/** The template that a raw path belongs to, whatever the method. Names are not looked into, so any path can be asked for. */
export function templateOf(path: string): Template | undefined {
  const given = path.slice(1).split("/");
  return (Object.keys(methods) as Template[]).find((template) => {
    const wanted = template.slice(1).split("/");
    return wanted.length === given.length && wanted.every((part, i) => part.startsWith(":") || part === given[i]);
  });
}
