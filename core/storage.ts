import type { WrittenBytes } from "./commit-lanes.ts";
import type { SegmentState } from "./ports/offset-index.ts";

/** The room that payloads take, in bytes. */
export interface StorageStats {
  readonly segments: number;
  /** Length of the segments. */
  readonly bytes: number;
  /** Shares of blocks of the payloads that are alive, and of those that are not; what segments hold beside them is in neither. */
  readonly liveBytes: number;
  readonly deadBytes: number;
  /** `deadBytes / (deadBytes + liveBytes)`; 0 where there is neither. */
  readonly deadShare: number;
  /** Segments that compaction has replaced, and their length: they go once nobody can be reading them. */
  readonly supersededSegments: number;
  readonly supersededBytes: number;
  /** `bytes / liveBytes`; 1 where nothing is alive. */
  readonly spaceAmplification: number;
  /** Pages and blocks that were written since the store was opened: for commits, and again by compaction. */
  readonly appendedBytes: number;
  readonly compactedBytes: number;
  /** `(appendedBytes + compactedBytes) / appendedBytes`; 1 where nothing was appended. */
  readonly writeAmplification: number;
}

/** @param written  since the store was opened, of the same tenants */
export function storageOf(states: readonly SegmentState[], written: WrittenBytes): StorageStats {
  const total = { segments: 0, bytes: 0, liveBytes: 0, deadBytes: 0, supersededSegments: 0, supersededBytes: 0 };
  for (const { bytes, stored, live, supersededMs, removed } of states) {
    if (removed) continue;
    total.segments += 1;
    total.bytes += bytes;
    if (supersededMs === undefined) {
      total.liveBytes += live;
      total.deadBytes += stored - live;
    } else {
      total.supersededSegments += 1;
      total.supersededBytes += bytes;
    }
  }
  return withRatios({ ...total, ...written });
}

type Counted = Omit<StorageStats, "deadShare" | "spaceAmplification" | "writeAmplification">;

export function withRatios(counted: Counted): StorageStats {
  const { bytes, liveBytes, deadBytes, appendedBytes, compactedBytes } = counted;
  const weighed = liveBytes + deadBytes;
  return {
    ...counted,
    deadShare: weighed === 0 ? 0 : deadBytes / weighed,
    spaceAmplification: liveBytes === 0 ? 1 : bytes / liveBytes,
    writeAmplification: appendedBytes === 0 ? 1 : (appendedBytes + compactedBytes) / appendedBytes,
  };
}
