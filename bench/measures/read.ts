import assert from "node:assert/strict";
import { peerNamed } from "../peers/all.ts";
import { latency, type Latency } from "../spread.ts";
import { batchPayloads, picks, Work, type WorkKey } from "../work.ts";

export interface ReadTask {
  readonly measure: "read";
  readonly peer: string;
  readonly directory: string;
  readonly payloads: number;
}

export interface ReadResult {
  readonly get: Latency;
  readonly hit: Latency;
  readonly miss: Latency;
  /** Payloads a second when whole groups are read. */
  readonly groupPayloadsPerSecond: number;
}

const calls = 20_000;
const warmUpCalls = 2_000;
/** Every so many answers are compared byte for byte; the others by their lengths. */
const comparedEvery = 16;
const groups = 40;

/** A fresh process over a store that was closed: random reads over all of it. The page cache is warm. */
export async function measureRead({ peer, directory, payloads }: ReadTask): Promise<ReadResult> {
  const kind = peerNamed(peer);
  const work = new Work(Math.min(payloads, kind.payloadsMax ?? Infinity));
  const open = await kind.load();
  const store = await open(directory);

  const get = await timed(work, async (i, compare) => {
    const key = work.key(i);
    const start = performance.now();
    let bytes = store.get(key);
    if (bytes instanceof Promise) bytes = await bytes;
    const micros = (performance.now() - start) * 1000;
    if (compare) assert.deepEqual(Buffer.from(bytes ?? []), Buffer.from(work.bytes(i)), `payload ${i}`);
    assert.ok(bytes, `payload ${i} is there`);
    return micros;
  });
  const asked = (keyOf: (i: number) => WorkKey, expected: boolean) =>
    timed(work, async (i) => {
      const key = keyOf(i);
      const start = performance.now();
      let there = store.has(key);
      if (there instanceof Promise) there = await there;
      const micros = (performance.now() - start) * 1000;
      assert.equal(there, expected, `payload ${i}`);
      return micros;
    });
  const hit = await asked((i) => work.key(i), true);
  const miss = await asked((i) => work.absentKey(i), false);

  let seconds = 0;
  let read = 0;
  for (const b of picks(3, groups, work.batches)) {
    const expected = work.batch(b);
    const start = performance.now();
    const found = await store.group(expected.group);
    seconds += (performance.now() - start) / 1000;
    assert.equal(found.length, expected.items.length);
    assert.equal(lengths(found), lengths(expected.items.map(({ bytes }) => bytes)));
    read += found.length;
  }
  assert.ok(read <= groups * batchPayloads);
  await store.close();
  return {
    get,
    hit,
    miss,
    groupPayloadsPerSecond: read / seconds,
  };
}

async function timed(work: Work, call: (i: number, compare: boolean) => Promise<number>): Promise<Latency> {
  for (const i of picks(1, warmUpCalls, work.payloads)) await call(i, true);
  const micros = new Float64Array(calls);
  let done = 0;
  for (const i of picks(2, calls, work.payloads)) {
    micros[done] = await call(i, done % comparedEvery === 0);
    done += 1;
  }
  return latency(micros);
}

function lengths(payloads: readonly Uint8Array[]): number {
  return payloads.reduce((sum, { length }) => sum + length, 0);
}
