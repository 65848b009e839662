import type { RowTimes } from "../../core/compaction/row-times.ts";

/** A handler, or a run of compaction, that takes longer is killed, in milliseconds: as Lambda does after its timeout. */
export const callMsMax = 8_000;

/**
 * What compaction waits for, by a process's longest life here instead of a quarter of an hour: `arrivalMs` is that with the time
 * that a request is held on its way, and servers' dates that tell whole seconds; the rest follows as in {@link RowTimes}.
 */
export const chaosTimes: RowTimes = {
  restMs: 12_000,
  graceMs: 16_000,
  graceMsMin: 16_000,
  arrivalMs: 10_000,
  orphanMs: 24_000,
  erasedLateMs: 24_000,
  foundMs: 10_000,
  leaseMs: 3_000,
  movedAfterMs: 20_000,
};
