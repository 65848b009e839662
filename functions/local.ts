import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { openDisk } from "../core/entries/disk.ts";
import { PayloadStoreError } from "../core/errors.ts";
import type { PayloadStoreOptions } from "../core/payload-store.ts";
import { createApp } from "./app.ts";
import { BackgroundCompaction } from "./background-compaction.ts";
import { httpLimits } from "./http-limits.ts";
import { localAccess } from "./local-access.ts";
import { guarded } from "./local-guard.ts";
import { HttpMetrics, metered } from "./local-metrics.ts";

export interface LocalOptions {
  readonly directory: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** 127.0.0.1 by default. One beyond the loopback needs a key in the folder. */
  readonly host?: string | undefined;
  /** Asks for no keys although the folder has some; on a loopback address only. */
  readonly noKeys?: boolean | undefined;
  /** Lowers the longest payload, in bytes. */
  readonly payloadBytesMax?: number | undefined;
  /** How long payloads without an expiry of their own are kept; for ever unless given. */
  readonly retentionMs?: PayloadStoreOptions["retentionMs"];
  /** Seconds between two runs of compaction, 10 minutes by default; 0 for none but those that are asked for. */
  readonly compactEverySeconds?: number | undefined;
}

type DiskStore = Awaited<ReturnType<typeof openDisk>>;

export interface LocalServer {
  /** For clients on this machine. */
  readonly url: string;
  readonly port: number;
  readonly store: DiskStore;
  /** Compacts the store beside its work; where it was asked not to, when it is asked to. */
  readonly compaction: BackgroundCompaction;
  /** Stops listening, lets requests finish for at most `httpLimits.shutdownMsMax`, closes the store. May be called again. */
  close(): Promise<void>;
}

/**
 * Serves one folder over HTTP on this machine, and writes the address beside the folder's lock for other processes to find.
 *
 * @throws {PayloadStoreError} `INVALID` for a host beyond the loopback while the folder has no key in force; `LOCKED` when
 *   another process holds the folder; `UNAVAILABLE` when the port is taken
 */
export async function serveLocal(options: LocalOptions): Promise<LocalServer> {
  const { directory, payloadBytesMax, retentionMs, compactEverySeconds = 600, host = "127.0.0.1" } = options;
  const access = localAccess({ ...options, host });
  const store = await openDisk({ directory, payloadBytesMax, retentionMs });
  const metrics = new HttpMetrics(store);
  const compaction = new BackgroundCompaction(store, {
    everyMs: compactEverySeconds * 1_000,
    onRun: (report) => metrics.compacted(report),
    onFailure: (error) => console.error(`paylode: compaction failed, and is tried again: ${String(error)}`),
  });
  const listener = getRequestListener(createApp(store, { metrics, access, compaction }).fetch);
  const server = createServer(metered(guarded(listener, access.isRequired), metrics));
  try {
    const port = await listen(server, options.port, host);
    const url = `http://${reachable(host)}:${port}`;
    await store.announce({ url });
    const close = async () => {
      await Promise.all([stop(server), compaction.stop()]);
      await store.close();
    };
    let closing: Promise<void> | undefined;
    return { url, port, store, compaction, close: () => (closing ??= close()) };
  } catch (error) {
    if (server.listening) await stop(server);
    await compaction.stop();
    await store.close();
    throw error;
  }
}

/** Closes the server at the first SIGTERM or SIGINT. A second one ends the process as it always does. */
export async function untilStopped(server: LocalServer): Promise<void> {
  const asked = new AbortController();
  const { signal } = asked;
  await Promise.race([once(process, "SIGTERM", { signal }), once(process, "SIGINT", { signal })]);
  asked.abort();
  await server.close();
}

/** An address that leads to this server, for one that listens on all. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}

async function listen(server: Server, port: number, host: string): Promise<number> {
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === "EADDRINUSE" ? "is taken" : "cannot be listened on";
    const message = `port ${port} on ${host} ${reason}; choose another one, or 0 for any`;
    throw new PayloadStoreError("UNAVAILABLE", message, { cause, details: { port } });
  }
  return (server.address() as AddressInfo).port;
}

async function stop(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  // A connection that answers its last request now is idle right after, and would wait for another.
  const sweep = setInterval(() => server.closeIdleConnections(), 25);
  const giveUp = setTimeout(() => server.closeAllConnections(), httpLimits.shutdownMsMax);
  await closed;
  clearInterval(sweep);
  clearTimeout(giveUp);
}
