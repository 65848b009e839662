import type { IndexBounds } from "../../core/lsm/index-bounds.ts";

/** Bounds with which a few payloads make an on-disk index of several levels. */
export const smallIndex: IndexBounds = {
  lanes: 3,
  laneChangesMax: 4,
  level0KeysMax: 6,
  laneKeysMax: 15,
  plainKeysMax: 0,
  reportedAt: [10, 20],
};
