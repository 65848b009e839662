import type { RowTimes } from "../../../core/compaction/row-times.ts";
import type { AttributeTable } from "../../../core/ports/attribute-table.ts";
import type { ErasureLedger } from "../../../core/ports/erasure-ledger.ts";
import type { OffsetIndex } from "../../../core/ports/offset-index.ts";
import type { StoredObjects } from "../../../core/ports/stored-objects.ts";
import type { PayloadStore } from "../../../core/payload-store.ts";
import type { RowTable } from "../../../core/ports/row-table.ts";
import type { FrameReader } from "../../../core/segment/read-frame.ts";
import type { Process } from "./process.ts";
import type { ProcessSegments, SegmentRules } from "./process-segments.ts";

/** What a bug may use besides what it changes. */
export interface BugTools {
  readonly process: Process;
  readonly segments: ProcessSegments;
}

/**
 * A mistake that somebody could make, as a change of what the real code works with. A schedule that runs with one must fail
 * for some seed, or the schedules would not notice if the mistake were made.
 */
export interface Bug {
  readonly rows?: (rows: RowTable, tools: BugTools) => RowTable;
  readonly segmentRules?: SegmentRules;
  readonly index?: (index: OffsetIndex, tools: BugTools) => OffsetIndex;
  readonly erasures?: (ledger: ErasureLedger) => ErasureLedger;
  readonly objects?: (objects: StoredObjects) => StoredObjects;
  readonly times?: Partial<RowTimes>;
  readonly attributes?: (table: AttributeTable) => AttributeTable;
  /** What compaction reads pages with. */
  readonly merged?: (frames: FrameReader, tools: BugTools) => FrameReader;
  readonly store?: (store: PayloadStore) => PayloadStore;
}

export const noBug: Bug = {};
