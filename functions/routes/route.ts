import type { Context } from "hono";
import type { PayloadStore } from "../../core/payload-store.ts";
import type { PathNames } from "../request-path.ts";

/** Answers one method of one path. The names are decoded; `context.req.param` is not used, since it would decode again. */
export type Handle = (context: Context, names: PathNames, store: PayloadStore) => Response | Promise<Response>;

/** The answer to a request as JSON. */
export function json(value: unknown, status = 200): Response {
  return new Response(`${JSON.stringify(value)}\n`, {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store" },
  });
}
