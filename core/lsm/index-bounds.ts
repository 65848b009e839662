import { invariant } from "../invariant.ts";

/** How large the parts of an on-disk index grow. A test makes them small; what is written is read with any. */
export interface IndexBounds {
  /** Lanes of a new index. A power of two is not asked for. */
  readonly lanes: number;
  /** Changed keys in the overlay of one lane that let it be written; others at least half as full come along. */
  readonly laneChangesMax: number;
  /** Keys of a lane's level 0; each level below holds ten times as many, the last any number. */
  readonly level0KeysMax: number;
  /** Keys of a lane, on the average, from which on the lanes are doubled. */
  readonly laneKeysMax: number;
  /** Groups and ids up to which the index is kept in plain tables. */
  readonly plainKeysMax: number;
  /** Payloads at which the growth of the index is reported, once each in the life of a store. */
  readonly reportedAt: readonly number[];
}

/** Levels of a lane. With the overlay, a look-up asks four structures at most. */
export const levels = 3;
export const sizeRatio = 10;

export const indexBounds: IndexBounds = {
  lanes: 64,
  laneChangesMax: 10_000,
  level0KeysMax: 40_000,
  laneKeysMax: 4_000_000,
  plainKeysMax: 131_072,
  reportedAt: [1_000_000, 5_000_000, 10_000_000],
};

/** Keys that one step of a merge takes in: some 30 µs of them, 1–2 ms where the code has not been compiled yet. */
export const keysPerStep = 256;

/** Changed keys in memory that make commits wait for the index to be written: twice what is written at once. */
export function changesMax({ laneChangesMax }: IndexBounds, lanes: number): number {
  return 2 * lanes * laneChangesMax;
}

/** Lanes of one index: its files are open all the time, three a lane. */
export const lanesMax = 256;

invariant(indexBounds.lanes <= lanesMax, "the first lanes are within bounds");
invariant(indexBounds.level0KeysMax >= indexBounds.laneChangesMax, "level 0 takes an overlay");
