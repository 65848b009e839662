import { createHistogram } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import type { DiskHashIndex } from "../../../core/adapters/disk/disk-hash-index.ts";
import { quantile } from "../../spread.ts";
import { Holds, longestGap, switches } from "./holds.ts";
import { diskIndex, runsOf } from "./index-under-test.ts";
import { groupOf, idOf, idsPerCommit, MadeUpFrames, tenant } from "./made-up-frames.ts";
import { Progress } from "./progress.ts";

export interface BuildResult {
  readonly insertsPerSecond: number;
  /** Time of one commit's insert of 256 ids, in ms, with what it has to wait for. */
  readonly insertP50Ms: number;
  readonly insertP9999Ms: number;
  readonly insertMaxMs: number;
  /** The same of those during which the kernel took nothing from the process. */
  readonly insertOwnP9999Ms: number;
  readonly insertOwnMaxMs: number;
  /** Longest turn of the event loop, in ms, the 99th percentile, and the longest in which the kernel took nothing from the process. */
  readonly stallMaxMs: number;
  readonly stallP99Ms: number;
  readonly stallOwnMs: number;
  /** Most processor time of the thread in one turn, in ms, whatever the kernel took in between. */
  readonly stallCpuMs: number;
  readonly turnsInterrupted: number;
  /** Longest time that a loop which does nothing was held in the same process, in ms: what the machine's other work does. */
  readonly preemptedMs: number;
  /** Look-ups of keys that are there, one a turn, during merges and between them, in the second half of the growth. */
  readonly mergingP99Us: number;
  readonly idleP99Us: number;
  /** Bytes of runs written over bytes of runs at the end. */
  readonly writeAmplification: number;
  /** Of the keys in runs: bytes of the runs, and bits of them that stay in memory. */
  readonly runBytesPerKey: number;
  readonly residentBitsPerKey: number;
  /** Keys whose newest change is in memory, and in the saved overlay. */
  readonly overlayKeys: number;
  /** All files of the index. */
  readonly diskBytesPerKey: number;
  readonly buildRssMb: number;
}

/** Commits all ids, a commit a turn as a store would whose disk takes no time, and saves the index. */
export async function build(directory: string, keys: number): Promise<BuildResult> {
  const preemptedMs = longestGap(3000);
  const frames = new MadeUpFrames(keys);
  const index = diskIndex(directory, frames);
  const { commits } = frames;
  const inserts = new Float64Array(commits);
  const own: number[] = [];
  const progress = new Progress(`build ${keys.toLocaleString("en")}`, keys);
  const start = performance.now();
  let committed = 0;
  const looks = lookingUp(index, () => (committed * 2 > commits ? Math.min(keys, committed * idsPerCommit) : 0));
  const holds = new Holds(looks.look);
  for (; committed < commits; committed++) {
    const record = frames.record(committed);
    const page = frames.page(committed);
    const switched = switches();
    const before = performance.now();
    await index.commit(record, page);
    inserts[committed] = performance.now() - before;
    if (switches() === switched) own.push(inserts[committed]!);
    // A store's commits wait for the disk in between.
    await setImmediate();
    progress.at(committed * idsPerCommit);
  }
  await index.checkpoint();
  const seconds = (performance.now() - start) / 1000;
  const stalls = holds.stop();
  const runs = runsOf(index);
  const overlayKeys = index.map.changes;
  const { diskBytes } = index.measure();
  const buildRssMb = process.resourceUsage().maxRSS / 1000;
  await index.close();
  inserts.sort();
  own.sort((a, b) => a - b);
  return {
    insertsPerSecond: keys / seconds,
    insertP50Ms: quantile(inserts, 0.5),
    insertP9999Ms: quantile(inserts, 0.9999),
    insertMaxMs: inserts.at(-1) ?? Number.NaN,
    insertOwnP9999Ms: quantile(own, 0.9999),
    insertOwnMaxMs: own.at(-1) ?? Number.NaN,
    ...stalls,
    preemptedMs,
    ...looks.result(),
    writeAmplification: index.files.runBytesWritten / runs.bytes,
    runBytesPerKey: runs.bytes / runs.keys,
    residentBitsPerKey: (8 * runs.residentBytes) / runs.keys,
    overlayKeys,
    diskBytesPerKey: diskBytes / keys,
    buildRssMb,
  };
}

/** Looks one id up a turn, at random among the first so many, and tells those during a merge from the others. */
export function lookingUp(
  index: DiskHashIndex,
  among: () => number,
): { readonly look: () => void; readonly result: () => { readonly mergingP99Us: number; readonly idleP99Us: number } } {
  const times = { merging: createHistogram(), idle: createHistogram() };
  const { files } = index;
  let merging = 0;
  const writeRun = files.writeRun.bind(files);
  files.writeRun = async (run) => {
    merging += 1;
    try {
      return await writeRun(run);
    } finally {
      merging -= 1;
    }
  };
  return {
    look: () => {
      const count = among();
      if (count === 0) return;
      const n = Math.floor(Math.random() * count);
      const [key0, key1] = index.keyOf(tenant, groupOf(Math.floor(n / idsPerCommit)), idOf(n));
      const switched = switches();
      const start = performance.now();
      const found = index.map.find(key0, key1).length;
      const ns = Math.max(1, Math.round((performance.now() - start) * 1e6));
      if (found === 0) throw new Error(`id ${n} is not there`);
      if (switches() === switched) times[merging > 0 ? "merging" : "idle"].record(ns);
    },
    result: () => ({
      mergingP99Us: times.merging.percentile(99) / 1000,
      idleP99Us: times.idle.percentile(99) / 1000,
    }),
  };
}
