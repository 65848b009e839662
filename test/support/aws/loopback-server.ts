import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { FaultPlan, Strike } from "./faults.ts";

export interface LoopbackServer {
  /** `http://127.0.0.1:` and a port that was free. */
  readonly url: string;
  /** Closes, and cuts what is connected. */
  close(): Promise<void>;
}

/** Serves on the loopback until it is closed; it closes no idle connection of itself, which clients would see as a fault. */
export async function serveLoopback(
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<LoopbackServer> {
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    // Only a client that left can make it fail: `handle` answers errors of its own.
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A request's headers, names in lower case. */
export function headersOf(request: IncomingMessage): Map<string, string> {
  return new Map(
    Object.entries(request.headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(",") : value] as const],
    ),
  );
}

/** The whole body. @throws if the client leaves before its end. */
export async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/**
 * Does the work of one request under the fault that strikes it, if one does.
 *
 * @param refusal  what a fault of the service answers; `undefined` for a fault that is none: of a body, which is for the caller.
 * @returns what is to be sent; `undefined` if nothing is: the connection was reset, or stays silent.
 */
export async function underFault<Answer, Kind extends string>(
  strike: Strike<FaultPlan<string, Kind>> | undefined,
  request: IncomingMessage,
  work: () => Answer | Promise<Answer>,
  refusal: (kind: Kind) => Answer | undefined,
): Promise<Answer | undefined> {
  if (strike === undefined) return work();
  const { kind, when = "before" } = strike.plan;
  const { socket } = request;

  if (kind === "hold") {
    if (when === "before") await strike.released;
    const answer = await work();
    if (when === "after") await strike.released;
    return answer;
  }
  if (kind === "timeout" || kind === "reset") {
    if (when === "after") await work();
    if (kind === "reset") socket.resetAndDestroy();
    return undefined;
  }
  const refused = refusal(kind);
  if (refused === undefined) return work();
  if (when === "after") await work();
  return refused;
}
