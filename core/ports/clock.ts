/** The wall clock. It serves times in reports, names and expiry; it never decides which write wins (invariant 10). */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  nowMs(): number;
}

/** Resolves after so many milliseconds, or later: nothing may rest on how long it takes. */
export type Sleep = (ms: number) => Promise<void>;
