import type { CallOptions } from "../payload.ts";
import type { Expired } from "./expired-count.ts";
import type { BaseRules } from "./growing-bases.ts";
import type { ApartRules } from "./lay-apart.ts";
import type { RestRules } from "./rest-rules.ts";
import type { CompactionPlan, PlanRules, SegmentUsage } from "./plan.ts";

export interface CompactOptions extends CallOptions {
  /** Only this tenant's segments. */
  readonly tenant?: string | undefined;
  /**
   * How long a segment that is not needed any more is kept for those who still read it, in milliseconds; 5 minutes by default.
   * Where several processes write an hour, and never less than 35 minutes.
   */
  readonly graceMs?: number | undefined;
  /** Stops after so many milliseconds, between two pages that it writes; what was done stays done, and the next run goes on. */
  readonly timeMsMax?: number | undefined;
  /**
   * Ends once so many bytes of payloads were written again; the next run goes on. One segment at least is compacted, with the
   * older pages of its groups, which may be more.
   */
  readonly bytesMax?: number | undefined;
  /** Stops once it has made so many requests, or they have cost so much, in dollars. Where requests are billed; both are estimates. */
  readonly requestsMax?: number | undefined;
  readonly dollarsMax?: number | undefined;
  /** Plans, and does nothing. */
  readonly dryRun?: boolean | undefined;
  /** Segments that hold something that has to be gone, and are compacted first. */
  readonly mustGo?: ((usage: SegmentUsage) => boolean) | undefined;
  readonly rules?: Partial<PlanRules & BaseRules & RestRules & ApartRules> | undefined;
  readonly onProgress?: ((done: CompactionProgress) => void) | undefined;
}

export interface CompactionProgress {
  readonly segments: number;
  readonly ofSegments: number;
  /** Of the segment that is being emptied, the share of its groups that is done, from 0 to 1. */
  readonly share?: number | undefined;
  /** Bytes of payloads written again so far, as they are stored. */
  readonly bytes: number;
}

/** A segment whose payloads lie elsewhere now, or are dead. */
export interface RewrittenSegment {
  readonly tenant: string;
  readonly segment: string;
  readonly bytes: number;
  /** Segments that what is alive of it was written to. */
  readonly into?: readonly string[] | undefined;
}

/** A segment or group that was left as it is, and why. */
export interface SkippedCompaction {
  readonly tenant: string;
  readonly segment: string;
  readonly group?: string | undefined;
  readonly reason: string;
}

export interface CompactionReport {
  readonly plan: CompactionPlan;
  /** Segments that were read, bytes of them, and what was written again: frames, payloads, bytes as they are stored. */
  readonly segments: readonly RewrittenSegment[];
  readonly bytesIn: number;
  readonly pages: number;
  readonly payloads: number;
  readonly bytesOut: number;
  readonly expired: Readonly<Expired>;
  /** Segments that are gone now, and what they took, with the uploads that went. */
  readonly freed: readonly RewrittenSegment[];
  readonly freedBytes: number;
  /** Segments that go once the grace is over. */
  readonly waiting: number;
  readonly skipped: readonly SkippedCompaction[];
  /** Whether all that was planned was done; otherwise time or room ran out. */
  readonly complete: boolean;
  readonly rows?: RowReport | undefined;
}

/** What a run did, or is to do, where rows of a table name the segments. */
export interface RowReport {
  /** Groups that were looked at, and those of them that something was done about, or is to be. */
  readonly groups: number;
  readonly groupsChanged: number;
  /** Groups without payloads that are gone from the table now. */
  readonly groupsRemoved: number;
  /** Rows that were written, and rows that were removed since they are stood for; of these some are left for later runs. */
  readonly rowsWritten: number;
  readonly rowsRemoved: number;
  readonly rowsWaiting: number;
  /** Rows that another process had changed: what was written for them was in vain. */
  readonly racesLost: number;
  /** Uploads that no page refers to, and are gone now. */
  readonly uploadsFreed: number;
  /** Share of what segments hold that is dead; 0 until a pass has seen the whole table. */
  readonly deadShare: number;
  /** How long ago the pass began that this run ended or goes on with, in milliseconds. */
  readonly lagMs: number;
  /** How many requests it made, or would, and what they cost by list prices. Estimates. */
  readonly requests: number;
  readonly dollars: number;
}

/** Gives back the room of what is dead, and lays together what belongs together. */
export interface Compaction {
  run(options: CompactOptions): Promise<CompactionReport>;

  /** Ends the run that is under way, with `CLOSED`, and lets no other begin. */
  stop(): Promise<void>;
}
