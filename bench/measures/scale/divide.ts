import { cpSync, rmSync } from "node:fs";
import type { DiskHashIndex } from "../../../core/adapters/disk/disk-hash-index.ts";
import { diskIndex, load, runsOf } from "./index-under-test.ts";
import { lookingUp } from "./build.ts";
import { Holds } from "./holds.ts";
import { groupOf, idOf, idsPerCommit, MadeUpFrames, tenant } from "./made-up-frames.ts";

export interface DivideResult {
  readonly lanesBefore: number;
  readonly lanesAfter: number;
  readonly divideSeconds: number;
  /** Share of the keys in runs that moved to another lane, and the share that jump hash says of all. */
  readonly movedShare: number;
  readonly movedPredicted: number;
  readonly divideStallOwnMs: number;
  readonly divideStallCpuMs: number;
  readonly divideStallP99Ms: number;
  /** Look-ups meanwhile, one a turn, and look-ups afterwards that did not find what is there. */
  readonly lookedUpMeanwhile: number;
  readonly divideWrong: number;
}

/** Doubles the lanes beside look-ups. */
export async function divide(built: string, keys: number): Promise<DivideResult> {
  // A copy: the other parts go on with what was built.
  const directory = `${built}-divided`;
  rmSync(directory, { recursive: true, force: true });
  cpSync(built, directory, { recursive: true });
  try {
    return await divided(directory, keys);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function divided(directory: string, keys: number): Promise<DivideResult> {
  const frames = new MadeUpFrames(keys);
  const plain = diskIndex(directory, frames);
  load(plain);
  const before = runsOf(plain);
  const lanesBefore = plain.map.lanes.length;
  plain.letGo();
  // Such that they are doubled once.
  const bounds = { laneKeysMax: Math.floor((0.9 * before.keys) / lanesBefore) };
  const index = diskIndex(directory, frames, { bounds });
  load(index);
  let lookedUpMeanwhile = 0;
  const looks = lookingUp(index, () => keys);
  const holds = new Holds(() => {
    lookedUpMeanwhile += 1;
    looks.look();
  });
  const start = performance.now();
  await index.checkpoint();
  const divideSeconds = (performance.now() - start) / 1000;
  const stalls = holds.stop();
  const lanesAfter = index.map.lanes.length;
  const moved = index.map.lanes
    .slice(lanesBefore)
    .reduce((sum, { runs }) => sum + runs.reduce((all, run) => all + (run?.keys ?? 0), 0), 0);
  const wrongIn = (asked: DiskHashIndex) => {
    let wrong = 0;
    for (let i = 0; i < 200_000; i++) {
      const n = Math.floor(Math.random() * keys);
      if (asked.map.find(...asked.keyOf(tenant, groupOf(Math.floor(n / idsPerCommit)), idOf(n))).length !== 1)
        wrong += 1;
    }
    return wrong;
  };
  let divideWrong = wrongIn(index);
  await index.close();
  const reopened = diskIndex(directory, frames, { readOnly: true });
  load(reopened);
  divideWrong += wrongIn(reopened);
  reopened.letGo();
  return {
    lanesBefore,
    lanesAfter,
    divideSeconds,
    movedShare: moved / before.keys,
    movedPredicted: 1 - lanesBefore / lanesAfter,
    divideStallOwnMs: stalls.stallOwnMs,
    divideStallCpuMs: stalls.stallCpuMs,
    divideStallP99Ms: stalls.stallP99Ms,
    lookedUpMeanwhile,
    divideWrong,
  };
}
