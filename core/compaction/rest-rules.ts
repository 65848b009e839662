/** How compaction of a folder makes room for those who store beside it. docs/decisions/0044 says why. */
export interface RestRules {
  /** How long it rests between two steps of some half a millisecond while callers bring commits, in milliseconds; 0: not at all. */
  readonly restMs: number;
  /**
   * How long a run is spread over by its rests, in milliseconds, or three quarters of the time that it is given, if that is less: a run
   * that is behind does not rest. So what full speed can hold down is held down, whatever callers delete meanwhile.
   */
  readonly spreadMs: number;
}

export const restRules: RestRules = { restMs: 4, spreadMs: 300_000 };

/** Of the time that a run is given it is spread over so much: what is left is for what comes behind its plan. */
export const spreadShare = 0.75;

/** A run may be behind by so much of its time before it goes without rests: what comes before its first group is no part of its plan. */
const behindMax = 0.05;

/**
 * Whether a run may rest: it has done as much of its plan as of its time.
 * @param share  of the plan's bytes, 0 to 1
 */
export function isInTime(share: number, elapsedMs: number, spreadMs: number): boolean {
  return elapsedMs <= (share + behindMax) * spreadMs;
}
