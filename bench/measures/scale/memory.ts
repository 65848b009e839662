import { nodeDigest } from "../../../core/adapters/node/digest.ts";
import { ArrayOffsetIndex } from "../../../core/index/array-offset-index.ts";
import { KeyHasher, type Hash128 } from "../../../core/index/key-hasher.ts";
import { median, quantile } from "../../spread.ts";
import { groupOf, idOf, idsPerCommit, MadeUpFrames, secret, tenant } from "./made-up-frames.ts";

export interface MemoryResult {
  /** The index in typed arrays (`index: "memory"`) of as many ids, at most five million. */
  readonly memoryKeys: number;
  readonly memoryBytesPerKey: number;
  /** A look-up of a key that is there in its table of ids, without hashing its name: the median of means of a thousand. */
  readonly memoryHitNs: number;
  /** An id as a store asks for it. */
  readonly memoryRecordP50Us: number;
  readonly memoryInsertMaxMs: number;
}

export async function memory(_directory: string, keys: number): Promise<MemoryResult> {
  const memoryKeys = Math.min(keys, 5_000_000);
  const frames = new MadeUpFrames(memoryKeys);
  globalThis.gc?.();
  const held = () => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = held();
  const hasher = new KeyHasher(secret);
  const index = new ArrayOffsetIndex(frames, hasher, (bytes) => nodeDigest.crc32(bytes));
  let memoryInsertMaxMs = 0;
  for (let commit = 0; commit < frames.commits; commit++) {
    const record = frames.record(commit);
    const page = frames.page(commit);
    const start = performance.now();
    await index.commit(record, page);
    memoryInsertMaxMs = Math.max(memoryInsertMaxMs, performance.now() - start);
  }
  globalThis.gc?.();
  const memoryBytesPerKey = (held() - before) / memoryKeys;

  const asked = 500_000;
  const group: Hash128 = new Int32Array(4);
  const hashes = Array.from({ length: asked }, () => {
    const n = Math.floor(Math.random() * memoryKeys);
    const id: Hash128 = new Int32Array(4);
    hasher.group(tenant, groupOf(Math.floor(n / idsPerCommit)), group);
    hasher.id(group, idOf(n), id);
    return id;
  });
  let lost = 0;
  const means: number[] = [];
  const atOnce = 1000;
  for (let round = 0; round < 2; round++) {
    for (let from = 0; from < asked; from += atOnce) {
      const start = performance.now();
      for (let i = from; i < from + atOnce; i++) if (index.idTable.find(hashes[i]!) < 0) lost += 1;
      if (round > 0) means.push(((performance.now() - start) * 1e6) / atOnce);
    }
  }
  const memoryHitNs = median(means);
  if (lost > 0) throw new Error(`${lost} ids are not there`);
  const times = new Float64Array(100_000);
  for (let i = 0; i < times.length; i++) {
    const n = Math.floor(Math.random() * memoryKeys);
    const from = performance.now();
    const { records } = index.records(tenant, groupOf(Math.floor(n / idsPerCommit)), idOf(n));
    times[i] = (performance.now() - from) * 1000;
    if (records.length !== 1) throw new Error(`id ${n} is not there`);
  }
  return {
    memoryKeys,
    memoryBytesPerKey,
    memoryHitNs,
    memoryRecordP50Us: quantile(times.sort(), 0.5),
    memoryInsertMaxMs,
  };
}
