import type { IncomingMessage, ServerResponse } from "node:http";
import { isPayloadStoreError } from "../core/errors.ts";
import { problemOf, refusal } from "./http-errors.ts";
import { checkTarget } from "./request-path.ts";

type Listener<Result> = (incoming: IncomingMessage, outgoing: ServerResponse) => Result;

/**
 * Refuses what only the raw request shows, before a URL parser sees it: path tricks, and pages of the open web.
 *
 * Without keys, who reaches the server may use it; the browser is the one program on a laptop that runs strangers' code. A
 * foreign page reaches it by a simple POST, which browsers mark with Sec-Fetch-Site, or by a name of its own that resolves to
 * 127.0.0.1 ("DNS rebinding"), which then stands in Host. Where keys are asked for, such a page has none.
 */
export function guarded(listener: Listener<Promise<void>>, asksForKeys: () => boolean): Listener<void> {
  return (incoming, outgoing) => {
    const refused = refusalOf(incoming, asksForKeys);
    void (refused ? answer(refused, outgoing) : listener(incoming, outgoing));
  };
}

export function isLoopbackHost(host: string | null | undefined): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i.test(host ?? "");
}

function refusalOf(incoming: IncomingMessage, asksForKeys: () => boolean): Response | undefined {
  try {
    checkTarget(incoming.url ?? "");
    if (asksForKeys()) return undefined;
  } catch (error) {
    if (isPayloadStoreError(error)) return problemOf(error);
    throw error;
  }
  const host = incoming.headers.host ?? "";
  if (!isLoopbackHost(host)) {
    const detail = `this server answers on the loopback only, not as ${JSON.stringify(host.slice(0, 80))}`;
    return refusal("INVALID", detail, { status: 421, title: "The request is for another server" });
  }
  const site = incoming.headers["sec-fetch-site"];
  if (site === "cross-site" || site === "same-site") {
    return refusal("INVALID", "pages of other origins may not use this server", { status: 403, title: "Foreign page" });
  }
  return undefined;
}

/** Closes the connection afterwards: a body that nobody reads would be taken for the next request. */
async function answer(response: Response, outgoing: ServerResponse): Promise<void> {
  outgoing.writeHead(response.status, { ...Object.fromEntries(response.headers), connection: "close" });
  outgoing.end(await response.text());
}
