/** What a stretch of seeds of one part came to. Figures add up over chunks. */
export interface ChunkResult {
  readonly runs: number;
  readonly figures: Readonly<Record<string, number>>;
  readonly violations: readonly Violation[];
}

export interface Violation {
  readonly what: string;
  /** What runs it again: these seeds of its part. */
  readonly firstSeed: number;
  readonly count: number;
}

/** One kind of work that depends on chance, in counts that take minutes. */
export interface SoakPart {
  readonly what: string;
  /** How many runs make it whole. */
  readonly runs: number;
  /** Runs of one chunk: some seconds of work, so that a soak stops soon when it is to. */
  readonly chunk: number;
  /** Seeds of parts that are alike begin far from one another, and far from those of the tests. */
  readonly firstSeed: number;
  /** Whether it tries the protocol of rows: a change of that begins its count anew. */
  readonly ofRowProtocol?: true;
  /** Runs the seeds from `firstSeed` on, one for each run. */
  readonly run: (firstSeed: number, count: number) => Promise<ChunkResult>;
}
