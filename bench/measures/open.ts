import { setTimeout as delay } from "node:timers/promises";
import { peerNamed } from "../peers/all.ts";

export interface OpenTask {
  readonly measure: "open";
  readonly peer: string;
  readonly directory: string;
  readonly payloads: number;
}

export interface OpenResult {
  readonly openMs: number;
  /** What opening added to the process, in bytes. */
  readonly rssBytes: number;
  /** What it added to the heap and to the buffers outside it. */
  readonly heapBytesPerPayload: number;
}

/** Opens a store that was closed in good order, in a process that has done nothing else. */
export async function measureOpen({ peer, directory, payloads }: OpenTask): Promise<OpenResult> {
  const kind = peerNamed(peer);
  const open = await kind.load();
  const before = await memory();
  const start = performance.now();
  const store = await open(directory);
  const openMs = performance.now() - start;
  const after = await memory();
  await store.close();
  return {
    openMs,
    rssBytes: after.rss - before.rss,
    heapBytesPerPayload: (after.heap - before.heap) / Math.min(payloads, kind.payloadsMax ?? Infinity),
  };
}

/** Buffers outside the heap are let go a turn after the collection that finds them. */
async function memory(): Promise<{ rss: number; heap: number }> {
  if (!globalThis.gc) throw new Error("start the process with --expose-gc");
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await delay(10);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed + external };
}
