import type { VerifyOptions, VerifyReport } from "../verify/report.ts";
import type { Loss } from "./loss.ts";

export interface RepairOptions extends VerifyOptions {
  /** Says what would be done, and does nothing. */
  readonly dryRun?: boolean | undefined;
  /** Accepts what is lost: it is absent from then on, and the rest of its groups is served again. */
  readonly acceptLoss?: boolean | undefined;
}

/** A segment that was written anew without what is damaged in it, or that is gone. */
export interface MendedFile {
  readonly tenant: string;
  readonly segment: string;
  readonly reason: string;
  /** Whole frames that it keeps. */
  readonly frames: number;
  /** Where the damaged file lies now: a name in `quarantine/`. */
  readonly quarantined?: string;
}

export interface RepairReport {
  /** What was wrong before. */
  readonly before: VerifyReport;
  readonly mended: readonly MendedFile[];
  /** What is lost and not accepted: `CORRUPT` until it is. */
  readonly lost: readonly Loss[];
  /** What had been lost, and is whole again since its segment was restored. */
  readonly restored: readonly Loss[];
  /** What was accepted by this repair, with the ids that were deleted for it. */
  readonly accepted: readonly Loss[];
  readonly deleted: readonly { readonly tenant: string; readonly group: string; readonly ids: readonly string[] }[];
  /** Whether the index was, or would be, made anew. */
  readonly rebuilt: boolean;
}
