import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import path from "node:path";
import type { DiskHashIndex } from "../../../core/adapters/disk/disk-hash-index.ts";
import { Layout } from "../../../core/adapters/disk/layout.ts";
import { median, quantile } from "../../spread.ts";
import { diskIndex, load } from "./index-under-test.ts";
import { groupOf, idOf, idsPerCommit, idsPerGroup, MadeUpFrames, noIdOf, tenant } from "./made-up-frames.ts";

export interface AskResult {
  readonly openMs: number;
  /** The first look-up after an opening, and the first thousand: what is read when it is first asked. */
  readonly firstUs: number;
  readonly firstThousandMs: number;
  /** Resident memory of the process once all has been asked, and what of it came with the index. */
  readonly rssMb: number;
  readonly indexRssMb: number;
  readonly preadP50Us: number;
  readonly hitP50Us: number;
  readonly hitP99Us: number;
  readonly missP50Us: number;
  readonly missP99Us: number;
  /** Look-ups of an id as the store asks them: hash, map and log. */
  readonly recordP50Us: number;
  readonly recordP99Us: number;
  /**
   * A thousand ids of a group, each asked alone and all together, in µs an id, the quick tenth of many rounds: a round is long
   * enough to be interrupted. Reads of runs and of the log, each way.
   */
  readonly aloneUs: number;
  readonly togetherUs: number;
  readonly aloneReads: number;
  readonly togetherReads: number;
  readonly structuresMax: number;
  readonly missesSkipped: number;
  readonly wrong: number;
}

const asked = 200_000;

/** Opens the index read-only and asks for ids at random. */
export async function ask(directory: string, keys: number): Promise<AskResult> {
  // Opened several times: the first one compiles the code.
  const openings = Array.from({ length: 9 }, () => {
    const once = diskIndex(directory, new MadeUpFrames(keys), { readOnly: true });
    const ms = load(once);
    once.letGo();
    return ms;
  });
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  const index = diskIndex(directory, new MadeUpFrames(keys), { readOnly: true });
  load(index);
  const hits = hashesOf(index, keys, idOf);
  const misses = hashesOf(index, keys, noIdOf);
  const first = timed(hits.subarray(0, 2000), (key0, key1) => void index.map.find(key0, key1));
  let wrong = 0;
  const found = (count: number, isThere: boolean) => {
    if (count > 0 !== isThere) wrong += 1;
  };
  const look = () => ({
    hit: timed(hits, (key0, key1) => found(index.map.find(key0, key1).length, true)).sort(),
    miss: timed(misses, (key0, key1) => found(index.map.find(key0, key1).length, false)).sort(),
  });
  // Once to warm the page cache and to check the pages.
  look();
  const { hit, miss } = look();
  const { structuresMax, misses: asks, missesSkipped } = index.map.counters;
  const records = recordTimes(index, keys);
  const together = await manyTogether(index, keys);
  globalThis.gc?.();
  const { rss } = process.memoryUsage();
  return {
    openMs: median(openings),
    firstUs: first[0]!,
    firstThousandMs: first.reduce((sum, us) => sum + us, 0) / 1000,
    rssMb: rss / 1e6,
    indexRssMb: (rss - before) / 1e6,
    preadP50Us: barePread(directory),
    hitP50Us: quantile(hit, 0.5),
    hitP99Us: quantile(hit, 0.99),
    missP50Us: quantile(miss, 0.5),
    missP99Us: quantile(miss, 0.99),
    recordP50Us: quantile(records, 0.5),
    recordP99Us: quantile(records, 0.99),
    ...together,
    structuresMax,
    missesSkipped: missesSkipped / asks,
    wrong,
  };
}

/** One look-up of an id as the store asks it, at random. */
function recordTimes(index: DiskHashIndex, keys: number): Float64Array {
  const times = new Float64Array(50_000);
  for (let i = 0; i < times.length; i++) {
    const n = Math.floor(Math.random() * keys);
    const commit = Math.floor(n / idsPerCommit);
    const start = performance.now();
    const { records: found } = index.records(tenant, groupOf(commit), idOf(n));
    times[i] = (performance.now() - start) * 1000;
    if (found[0]?.place.offset !== commit) throw new Error(`the page of id ${n} is another one`);
  }
  return times.sort();
}

/** A thousand ids of one group, in turns one by one and together, of groups at random. */
async function manyTogether(
  index: DiskHashIndex,
  keys: number,
): Promise<Pick<AskResult, "aloneUs" | "togetherUs" | "aloneReads" | "togetherReads">> {
  const count = Math.min(1000, keys);
  // Of the older half: the newest may all be in memory.
  const groups = Math.max(1, Math.floor(keys / idsPerGroup / 2));
  const readsSoFar = () =>
    index.map.lanes.reduce(
      (sum, { runs }) => sum + runs.reduce((all, run) => all + (run?.reads ?? 0), 0),
      index.log.reads,
    );
  const results = { aloneUs: [] as number[], togetherUs: [] as number[], aloneReads: 0, togetherReads: 0 };
  const rounds = 60;
  for (let round = -10; round < rounds; round++) {
    const from = Math.floor(Math.random() * groups) * idsPerGroup;
    const group = groupOf(from / idsPerCommit);
    const ids = Array.from({ length: count }, (_, i) => idOf(from + i));
    const reads = [readsSoFar()];
    const start = performance.now();
    const alone = ids.map((id) => index.records(tenant, group, id).records);
    const middle = performance.now();
    reads.push(readsSoFar());
    const together = await index.recordsOf(tenant, group, ids);
    const end = performance.now();
    reads.push(readsSoFar());
    for (const [i, { records }] of together.entries()) {
      if (records.length !== 1 || records[0]!.place.offset !== alone[i]![0]?.place.offset)
        throw new Error(`id ${i} of ${group} has another answer with others than alone`);
    }
    if (round < 0) continue;
    results.aloneUs.push(((middle - start) * 1000) / count);
    results.togetherUs.push(((end - middle) * 1000) / count);
    results.aloneReads += (reads[1]! - reads[0]!) / rounds;
    results.togetherReads += (reads[2]! - reads[1]!) / rounds;
  }
  const quick = (times: number[]) =>
    quantile(
      times.toSorted((a, b) => a - b),
      0.1,
    );
  return { ...results, aloneUs: quick(results.aloneUs), togetherUs: quick(results.togetherUs) };
}

/** Reads 16 bytes at random places of the index's files, as a hit does. */
function barePread(directory: string): number {
  const { runs } = new Layout(directory);
  const files = readdirSync(runs).map((name) => {
    const file = path.join(runs, name);
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
  return quantile(times.sort(), 0.5);
}

function timed(hashes: Int32Array, look: (key0: number, key1: number) => void): Float64Array {
  const times = new Float64Array(hashes.length / 2);
  for (let i = 0; i < times.length; i++) {
    const start = performance.now();
    look(hashes[2 * i]!, hashes[2 * i + 1]!);
    times[i] = (performance.now() - start) * 1000;
  }
  return times;
}

/** The keys of ids drawn at random, hashed beforehand: what is timed is the map. */
function hashesOf(index: DiskHashIndex, keys: number, name: (n: number) => string): Int32Array {
  const hashes = new Int32Array(2 * asked);
  for (let i = 0; i < asked; i++) {
    const n = Math.floor(Math.random() * keys);
    hashes.set(index.keyOf(tenant, groupOf(Math.floor(n / idsPerCommit)), name(n)), 2 * i);
  }
  return hashes;
}
