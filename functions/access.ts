import type { Context } from "hono";
import type { Access } from "../core/access/access.ts";
import type { AccessKey } from "../core/access/access-key.ts";
import { unauthenticated } from "../core/access/authenticator.ts";
import { allows, type Scope } from "../core/access/scope.ts";
import { isPayloadStoreError } from "../core/errors.ts";
import { resolveTenant } from "../core/key.ts";
import { countedBytes } from "./counted-bytes.ts";
import { problemOf, refusal } from "./http-errors.ts";
import type { PathNames } from "./request-path.ts";
import type { Route } from "./routes/route.ts";

/** What the HTTP face needs to let in nobody but holders of keys. */
export interface HttpAccess extends Pick<Access, "authenticator" | "meter"> {
  /** Whether keys are asked for, request by request; always, unless this says otherwise. */
  readonly isRequired?: (() => boolean) | undefined;
  /** Whether a request may look at the server itself without a key; none may, unless this says otherwise. */
  readonly isLocal?: ((request: Request) => boolean) | undefined;
}

/** The scope that a key needs for a route. @returns `undefined` where no key is needed */
export function scopeOf({ access }: Pick<Route, "access">, method: string): Scope | undefined {
  if (access === "open") return undefined;
  if (access === "server") return "admin";
  if (access !== undefined) return access.scope;
  if (method === "GET" || method === "HEAD") return "read";
  return method === "DELETE" ? "erase" : "write";
}

/**
 * Answers a request if its key may make it; docs/http.md §13. Whatever a route leaves unsaid is refused.
 *
 * A key sees nothing of other tenants: they answer 404 before anything is asked of the store, so also not how long it takes
 * tells what they have.
 */
export async function onlyWithKey(
  access: HttpAccess,
  route: Route,
  names: PathNames,
  context: Context,
  answer: () => Response | Promise<Response>,
): Promise<Response> {
  const { method, raw } = context.req;
  const needed = scopeOf(route, method);
  if (needed === undefined || access.isRequired?.() === false) return answer();
  // To look at, no more: a page of the open web could make a browser on this machine send the rest.
  const isLook = method === "GET" || method === "HEAD";
  if (route.access === "server" && isLook && access.isLocal?.(raw) === true) return answer();
  const authorization = context.req.header("authorization");
  const key = await keyOf(access, authorization).catch((error: unknown) => challenge(error, authorization));
  if (key instanceof Response) return key;
  await access.meter.spend(key, "requestsPerMinute", 1);
  if (route.access !== "server" && resolveTenant(names) !== key.tenant) return nothingThere(names);
  if (!allows(key.scopes, needed)) {
    return refusal("FORBIDDEN", `key ${key.id} has no scope ${needed}, only ${key.scopes.join(", ")}`, {
      headers: { "www-authenticate": `Bearer error="insufficient_scope", scope="${needed}"` },
    });
  }
  return countedBytes((bytes) => access.meter.spend(key, "bytesPerDay", bytes), key, context, answer);
}

async function keyOf({ authenticator }: HttpAccess, authorization: string | undefined): Promise<AccessKey> {
  if (authorization === undefined) throw unauthenticated("no key was sent: send Authorization: Bearer and a key");
  const [, token = ""] = /^bearer +(\S+)$/i.exec(authorization) ?? [];
  return authenticator.keyOf(token);
}

/** RFC 6750 §3: who sent no key is told what to send, who sent a wrong one that it is wrong. */
function challenge(error: unknown, authorization: string | undefined): Response {
  if (!isPayloadStoreError(error, "UNAUTHENTICATED")) throw error;
  const header = authorization === undefined ? "Bearer" : 'Bearer error="invalid_token"';
  return problemOf(error, { headers: { "www-authenticate": header } });
}

/** Word for word what a route says of a name that its tenant does not have. */
function nothingThere({ group, id, erasure }: PathNames): Response {
  if (erasure !== "") return refusal("NOT_FOUND", `no erasure ${JSON.stringify(erasure)}`);
  const named = group === "" ? "nothing" : `no group ${JSON.stringify(group)}`;
  return refusal("NOT_FOUND", id === "" ? named : `no payload ${JSON.stringify(id)} in group ${JSON.stringify(group)}`);
}
