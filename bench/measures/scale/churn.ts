import { setImmediate } from "node:timers/promises";
import { diskIndex, load, runsOf } from "./index-under-test.ts";
import { groupOf, idOf, idsPerCommit, MadeUpFrames, tenant } from "./made-up-frames.ts";
import { Holds } from "./holds.ts";
import { Progress } from "./progress.ts";

export interface ChurnResult {
  /** Ids that were deleted and brought again. */
  readonly churned: number;
  /** The first commit after the opening, 256 deletes: it reads what it asks of each lane, by code that was not compiled. */
  readonly churnFirstMs: number;
  readonly churnStallOwnMs: number;
  readonly churnStallCpuMs: number;
  /** Bytes of runs written over those that the changes themselves take. */
  readonly churnWriteAmplification: number;
  /** Bytes of all files afterwards over those before: the same ids are there. */
  readonly churnGrowth: number;
  readonly churnStructuresMax: number;
  readonly churnWrong: number;
}

/** Deletes ids, brings them again, and says what that left behind. The index is as large as before, and answers the same. */
export async function churn(
  directory: string,
  keys: number,
  churned = Math.min(keys, 1_000_000),
): Promise<ChurnResult> {
  const frames = new MadeUpFrames(keys);
  const index = diskIndex(directory, frames);
  load(index);
  const before = index.measure().diskBytes;
  const commits = Math.floor(churned / idsPerCommit);
  const progress = new Progress(`churn ${keys.toLocaleString("en")}`, commits);
  const commit = async (number: number) => {
    const outcome = await index.commit(frames.record(number), frames.page(number));
    if (outcome.kind !== "committed") throw new Error(`page ${number} was ${outcome.kind}`);
    await setImmediate();
  };
  const start = performance.now();
  await commit(frames.commits);
  const churnFirstMs = performance.now() - start;
  const holds = new Holds();
  for (let number = frames.commits + 1; number < frames.commits + 2 * commits; number++) {
    await commit(number);
    progress.at((number - frames.commits) / 2);
  }
  await index.checkpoint();
  const { stallOwnMs, stallCpuMs } = holds.stop();
  let churnWrong = 0;
  for (let i = 0; i < 100_000; i++) {
    const n = Math.floor(Math.random() * keys);
    const { records } = index.records(tenant, groupOf(Math.floor(n / idsPerCommit)), idOf(n));
    if (records.length !== 1) churnWrong += 1;
  }
  const runs = runsOf(index);
  const { structuresMax } = index.map.counters;
  const after = index.measure().diskBytes;
  await index.close();
  return {
    churned,
    churnFirstMs,
    churnStallOwnMs: stallOwnMs,
    churnStallCpuMs: stallCpuMs,
    churnWriteAmplification: index.files.runBytesWritten / (2 * churned * (runs.bytes / runs.keys)),
    churnGrowth: after / before,
    churnStructuresMax: structuresMax,
    churnWrong,
  };
}
