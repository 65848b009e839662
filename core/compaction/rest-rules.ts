/** How compaction of a folder makes room for those who store beside it. docs/decisions/0035 says why. */
export interface RestRules {
  /**
   * How long it rests between two steps of some half a millisecond while callers bring commits, in milliseconds; 0: not at all. The
   * longer, the fewer commits meet a step, and the longer a run takes beside callers.
   */
  readonly restMs: number;
}

export const restRules: RestRules = { restMs: 8 };
