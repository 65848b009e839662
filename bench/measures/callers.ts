import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { peerNamed } from "../peers/all.ts";
import { Work, type WorkBatch } from "../work.ts";

export interface CallersTask {
  readonly measure: "callers";
  readonly peer: string;
  readonly directory: string;
  readonly payloads: number;
}

export interface CallersResult {
  readonly payloadsPerSecond: number;
  /** Processor time of all threads for a thousand payloads, in milliseconds. */
  readonly cpuMs: number;
}

export const callers = 4;

/** Batches that are made beforehand, and then written by all callers together. */
const batchesAtOnce = 64;

/** Callers in one process that each wait for their own batch of 256, in a group of its own, and then bring the next one. */
export async function measureCallers({ peer, directory, payloads }: CallersTask): Promise<CallersResult> {
  mkdirSync(directory, { recursive: true });
  const kind = peerNamed(peer);
  const work = new Work(Math.min(payloads, kind.payloadsMax ?? Infinity));
  const open = await kind.load();
  const store = await open(directory);
  const write = (batch: WorkBatch) => (store.writeTogether ? store.writeTogether(batch) : store.write(batch));
  let ms = 0;
  let cpuMicros = 0;
  for (let first = 0; first < work.batches; first += batchesAtOnce) {
    const count = Math.min(batchesAtOnce, work.batches - first);
    const batches = Array.from({ length: count }, (_, i) => work.batch(first + i)).values();
    const cpuBefore = process.cpuUsage();
    const start = performance.now();
    await Promise.all(
      Array.from({ length: callers }, async () => {
        for (const batch of batches) await write(batch);
      }),
    );
    ms += performance.now() - start;
    const { user, system } = process.cpuUsage(cpuBefore);
    cpuMicros += user + system;
    const { group, items } = work.batch(first + count - 1);
    const [{ id, bytes } = {}] = items.toReversed();
    assert.ok(id && bytes, "a batch has payloads");
    assert.deepEqual(Buffer.from((await store.get({ group, id })) ?? []), Buffer.from(bytes));
  }
  await store.close();
  return { payloadsPerSecond: work.payloads / (ms / 1000), cpuMs: cpuMicros / work.payloads };
}
