/** How compaction of a folder makes room for those who store beside it. docs/decisions/0035 says why. */
export interface RestRules {
  /**
   * How long it rests between two steps of some half a millisecond while callers bring commits, in milliseconds; 0: not at all. The
   * longer, the fewer commits meet a step, and the longer a run takes beside callers: with 8 ms some ten times as long, so that what
   * callers delete may come faster than it goes.
   */
  readonly restMs: number;
}

export const restRules: RestRules = { restMs: 0 };
