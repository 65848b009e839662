import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import path from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { DiskHashIndex } from "../../core/adapters/disk/disk-hash-index.ts";
import { Layout } from "../../core/adapters/disk/layout.ts";
import { NodeFileSystem } from "../../core/adapters/disk/node-file-system.ts";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { systemClock } from "../../core/adapters/node/clock.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { indexBounds } from "../../core/lsm/index-bounds.ts";
import type { Page } from "../../core/page/page.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { quantile } from "../spread.ts";

/** What an index of so many ids takes. Groups of 256 ids, one commit each, so 1/256 more keys are groups. */
export interface ScaleResult {
  readonly keys: number;
  readonly insertsPerSecond: number;
  /** Time of one commit's insert of 256 ids, in ms, without waiting for what is written meanwhile. */
  readonly insertP50Ms: number;
  readonly insertP9999Ms: number;
  readonly insertMaxMs: number;
  /** Longest time that the event loop was held, in ms, and the 99th percentile. */
  readonly stallMaxMs: number;
  readonly stallP99Ms: number;
  /** Longest time that a loop which does nothing was held in the same process, in ms: what the machine's other work does. */
  readonly preemptedMs: number;
  /** Bytes of runs written over bytes of runs at the end. */
  readonly writeAmplification: number;
  /** Of the keys in runs: bytes of the runs, and bits of them that stay in memory. */
  readonly runBytesPerKey: number;
  readonly residentBitsPerKey: number;
  /** Keys whose newest change is in memory, and in the saved overlay. */
  readonly overlayKeys: number;
  /** All files of the index. */
  readonly diskBytesPerKey: number;
  readonly openMs: number;
  readonly rssMb: number;
  readonly preadP50Us: number;
  readonly hitP50Us: number;
  readonly hitP99Us: number;
  readonly missP50Us: number;
  readonly missP99Us: number;
  /** Look-ups of an id as the store asks them: hash, map and log. */
  readonly recordP50Us: number;
  readonly structuresMax: number;
  readonly missesSkipped: number;
  readonly wrong: number;
}

const idsPerCommit = 256;
const tenant = "bench";
const secret = new Uint8Array(16).fill(5);
const asked = 200_000;

const [part = "", directory = "", keysText = ""] = process.argv.slice(2);
const keys = Number(keysText);
const layout = new Layout(directory);
const random = new SystemRandom();
const segments = new MemorySegmentStore({ clock: systemClock, random, digest: nodeDigest });
const index = new DiskHashIndex({
  fs: new NodeFileSystem(),
  layout,
  digest: nodeDigest,
  clock: systemClock,
  random,
  secret,
  bounds: indexBounds,
  readOnly: part === "ask",
  reader: new FrameReader(segments, nodeDigest),
  durable: () => undefined,
  flush: async () => {},
  stop: (error) => {
    throw error;
  },
  onDamage: () => {
    throw new Error("the index is damaged");
  },
  onGrowth: () => {},
});
const result = part === "build" ? await build() : await ask();
process.stdout.write(JSON.stringify(result));

async function build() {
  const preemptedMs = longestGap(3000);
  const loop = monitorEventLoopDelay({ resolution: 1 });
  const inserts = new Float64Array(Math.ceil(keys / idsPerCommit));
  loop.enable();
  const start = performance.now();
  for (let commit = 0; commit < inserts.length; commit++) {
    const record = {
      tenant,
      group: groupOf(commit),
      sequence: 1,
      place: { segment: "s", offset: commit, headBytes: 1 },
    };
    const page = pageOf(commit);
    const before = performance.now();
    await index.commit(record, page);
    inserts[commit] = performance.now() - before;
    // A store's commits wait for the disk in between.
    await setImmediate();
  }
  await index.checkpoint();
  const seconds = (performance.now() - start) / 1000;
  loop.disable();
  const { runBytesWritten } = index.files;
  const { diskBytes } = index.measure();
  const runs = index.map.lanes.flatMap((lane) => lane.runs.flatMap((run) => run ?? []));
  const sum = (of: (run: (typeof runs)[number]) => number) => runs.reduce((total, run) => total + of(run), 0);
  const runKeys = sum((run) => run.keys);
  const runBytes = sum((run) => run.layout.bytes);
  const overlayKeys = index.map.changes;
  const residentBytes = sum((run) => run.residentBytes);
  await index.close();
  inserts.sort();
  return {
    keys,
    insertsPerSecond: keys / seconds,
    insertP50Ms: quantile(inserts, 0.5),
    insertP9999Ms: quantile(inserts, 0.9999),
    insertMaxMs: inserts.at(-1),
    stallMaxMs: loop.max / 1e6,
    stallP99Ms: loop.percentile(99) / 1e6,
    preemptedMs,
    writeAmplification: runBytesWritten / runBytes,
    runBytesPerKey: runBytes / runKeys,
    residentBitsPerKey: (8 * residentBytes) / runKeys,
    overlayKeys,
    diskBytesPerKey: diskBytes / keys,
  };
}

function longestGap(ms: number): number {
  let longest = 0;
  const start = performance.now();
  for (let last = start, now = start; now - start < ms; last = now) {
    now = performance.now();
    longest = Math.max(longest, now - last);
  }
  return longest;
}

async function ask() {
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  const start = performance.now();
  const loaded = index.load();
  const openMs = performance.now() - start;
  if (loaded.kind !== "loaded") throw new Error("the index was not saved");
  globalThis.gc?.();
  const rssMb = (process.memoryUsage().rss - before) / 1e6;
  const hits = hashesOf((i) => [Math.floor(i / idsPerCommit), i % idsPerCommit]);
  const misses = hashesOf((i) => [Math.floor(i / idsPerCommit), (i % idsPerCommit) + idsPerCommit]);
  let wrong = 0;
  const found = (count: number, name: boolean) => {
    if (count > 0 !== name) wrong += 1;
  };
  // Once to warm the page cache and to check the pages.
  for (const round of [0, 1]) {
    const hit = timed(hits, (key0, key1) => found(index.map.find(key0, key1).length, true));
    const miss = timed(misses, (key0, key1) => found(index.map.find(key0, key1).length, false));
    if (round === 0) continue;
    const { structuresMax, misses: asks, missesSkipped } = index.map.counters;
    return {
      openMs,
      rssMb,
      preadP50Us: barePread(),
      hitP50Us: quantile(hit, 0.5),
      hitP99Us: quantile(hit, 0.99),
      missP50Us: quantile(miss, 0.5),
      missP99Us: quantile(miss, 0.99),
      recordP50Us: records(),
      structuresMax,
      missesSkipped: missesSkipped / asks,
      wrong,
    };
  }
  return undefined;
}

/** One look-up of an id as the store asks it, at random. */
function records(): number {
  const times = new Float64Array(50_000);
  for (let n = 0; n < times.length; n++) {
    const i = Math.floor(Math.random() * keys);
    const commit = Math.floor(i / idsPerCommit);
    const start = performance.now();
    const { records: found } = index.records(tenant, groupOf(commit), idOf(i % idsPerCommit));
    times[n] = (performance.now() - start) * 1000;
    if (found[0]?.place.offset !== commit) throw new Error(`the page of id ${i} is another one`);
  }
  times.sort();
  return quantile(times, 0.5);
}

/** Reads 16 bytes at random places of the index's files, as a hit does. */
function barePread(): number {
  const files = readdirSync(layout.runs).map((name) => {
    const file = path.join(layout.runs, name);
    return { fd: openSync(file, "r"), bytes: statSync(file).size };
  });
  const target = new Uint8Array(16);
  const times = new Float64Array(asked);
  for (let i = 0; i < asked; i++) {
    const { fd, bytes } = files[Math.floor(Math.random() * files.length)]!;
    const at = Math.floor(Math.random() * (bytes - 16));
    const start = performance.now();
    readSync(fd, target, 0, 16, at);
    times[i] = (performance.now() - start) * 1000;
  }
  for (const { fd } of files) closeSync(fd);
  times.sort();
  return quantile(times, 0.5);
}

function timed(hashes: Int32Array, look: (key0: number, key1: number) => void): Float64Array {
  const times = new Float64Array(asked);
  for (let i = 0; i < asked; i++) {
    const start = performance.now();
    look(hashes[2 * i]!, hashes[2 * i + 1]!);
    times[i] = (performance.now() - start) * 1000;
  }
  times.sort();
  return times;
}

/** The keys of ids drawn at random, hashed beforehand: what is timed is the map. */
function hashesOf(place: (i: number) => readonly [commit: number, id: number]): Int32Array {
  const hashes = new Int32Array(2 * asked);
  for (let n = 0; n < asked; n++) {
    const [commit, id] = place(Math.floor(Math.random() * keys));
    hashes.set(index.keyOf(tenant, groupOf(commit), idOf(id)), 2 * n);
  }
  return hashes;
}

function groupOf(commit: number): string {
  return `run-${commit.toString(16).padStart(8, "0")}`;
}

function idOf(id: number): string {
  return `span-${id.toString(16).padStart(4, "0")}`;
}

function pageOf(commit: number): Page {
  const count = Math.min(idsPerCommit, keys - commit * idsPerCommit);
  const entries = Array.from({ length: count }, (_, id) => ({ id: idOf(id), bytes: 0, etag: "00".repeat(12) }));
  return { commitId: new Uint8Array(16), clearsGroup: false, deleted: [], blocks: [], entries };
}
