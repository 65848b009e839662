import { mkdirSync } from "node:fs";
import { peerNamed } from "../peers/all.ts";
import { quantile } from "../spread.ts";
import { Work } from "../work.ts";
import { bytesOnDisk } from "./disk.ts";

export interface WriteTask {
  readonly measure: "write";
  readonly peer: string;
  readonly directory: string;
  readonly payloads: number;
}

export interface WriteResult {
  readonly payloads: number;
  readonly payloadsPerSecond: number;
  /** Milliseconds of one commit. */
  readonly commitMs: { readonly p50: number; readonly p99: number };
  /** Allocated bytes, after the store was closed, over the payloads' lengths. */
  readonly diskRatio: number;
}

/** Batches of 256, one durable commit each. Only the commits are timed: the payloads are made in between. */
export async function measureWrite({ peer, directory, payloads }: WriteTask): Promise<WriteResult> {
  mkdirSync(directory, { recursive: true });
  const kind = peerNamed(peer);
  const work = new Work(Math.min(payloads, kind.payloadsMax ?? Infinity));
  const open = await kind.load();
  const store = await open(directory);
  const commits = new Float64Array(work.batches);
  for (let b = 0; b < work.batches; b++) {
    const batch = work.batch(b);
    const start = performance.now();
    await store.write(batch);
    commits[b] = performance.now() - start;
  }
  await store.close();
  const seconds = commits.reduce((sum, ms) => sum + ms, 0) / 1000;
  commits.sort();
  return {
    payloads: work.payloads,
    payloadsPerSecond: work.payloads / seconds,
    commitMs: { p50: quantile(commits, 0.5), p99: quantile(commits, 0.99) },
    diskRatio: bytesOnDisk(directory) / work.rawBytes(),
  };
}
