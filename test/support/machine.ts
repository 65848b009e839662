import type { Machine } from "../../core/entries/disk.ts";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { seededRandom } from "./seeded-random.ts";

/** A machine for `openDisk` whose clock is a counter and whose chance is seeded, so that a run can be told again. */
export function simulatedMachine(fs: FileSystem, seed: number): Machine {
  const random = seededRandom(seed);
  let nowMs = 1_750_000_000_000 + seed * 86_400_000;
  return {
    fs,
    pid: 1,
    clock: { nowMs: () => (nowMs += 1) },
    // An index that is still in memory has its lanes already, and tests open thousands of them.
    indexBounds: { lanes: 2 },
    random: { bytes: (length) => Uint8Array.from({ length }, () => Math.floor(random() * 256)) },
  };
}
