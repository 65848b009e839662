import type { Measure } from "../access/access-key.ts";

/** What a process asks of a key's quota, to spend it without asking again. */
export interface UsageClaim {
  readonly tenant: string;
  /** Of the key. */
  readonly id: string;
  readonly measure: Measure;
  /** The quota: units of one window, of all processes together. */
  readonly limit: number;
  /** At most `limit`. */
  readonly units: number;
  /** What time the process thinks it is, in milliseconds since 1970. */
  readonly nowMs: number;
}

export interface UsageGrant {
  /** The window that it was taken from; see `windowAt`. */
  readonly window: number;
  /** Fewer than asked for where no more are left of the window. */
  readonly units: number;
  /** What time the ledger says it is, which may be a second ago; never after the window. */
  readonly nowMs: number;
}

/**
 * Counts what all processes take from the quota of each key, and tells all of them what time it is: their own clocks differ.
 * It keeps the newest window alone, and windows only move on.
 *
 * Of one window never more is granted than its limit. It may be less: what was granted in an answer that was lost is gone.
 */
export interface UsageLedger {
  /** @throws {PayloadStoreError} `UNAVAILABLE` when the ledger does not answer */
  take(claim: UsageClaim): Promise<UsageGrant>;
}
