import type { IncomingMessage } from "node:http";
import { isPayloadStoreError } from "../core/errors.ts";
import { problemOf, refusal } from "./http-errors.ts";
import { checkTarget } from "./request-path.ts";

/**
 * Refuses what only the raw request shows: path tricks, and pages of the open web.
 *
 * A server on the loopback has no keys yet; the browser is the one program on a laptop that runs strangers' code. A foreign
 * page reaches it by a simple POST, which browsers mark with Sec-Fetch-Site, or by a name of its own that resolves to
 * 127.0.0.1 ("DNS rebinding"), which then stands in Host.
 *
 * @returns the refusal, or `undefined` when the request may pass
 */
export function refuseOnTheWire(incoming: IncomingMessage): Response | undefined {
  try {
    checkTarget(incoming.url ?? "");
  } catch (error) {
    if (isPayloadStoreError(error)) return problemOf(error);
    throw error;
  }
  const host = incoming.headers.host ?? "";
  if (!loopbackHost.test(host)) {
    const detail = `this server answers on the loopback only, not as ${JSON.stringify(host.slice(0, 80))}`;
    return refusal("INVALID", detail, { status: 421, title: "The request is for another server" });
  }
  const site = incoming.headers["sec-fetch-site"];
  if (site === "cross-site" || site === "same-site") {
    return refusal("INVALID", "pages of other origins may not use this server", { status: 403, title: "Foreign page" });
  }
  return undefined;
}

const loopbackHost = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;
