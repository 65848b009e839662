import type { CallOptions } from "../payload.ts";

/** What can be wrong, each with what it means. docs/operations.md says what to do. */
export const faultKinds = [
  /** Bytes of a segment, an upload or a row fail a check. */
  "damaged",
  /** A segment's footer and its frames do not say the same. */
  "footer",
  /** The index names a page that no segment holds. */
  "dangling",
  /** A segment holds a whole page that the index does not find by its name. */
  "unindexed",
  /** Two frames hold the same page. */
  "duplicate",
  /** The index does not lead to a payload that is alive, or leads to another page than the segments say. */
  "unreachable",
  /** Nothing refers to an object, and it is older than any writer that could still mean to. */
  "orphan",
  /** A repair set it aside; what it held answers `CORRUPT` until the loss is accepted. */
  "lost",
] as const;

export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  readonly kind: FaultKind;
  readonly tenant: string;
  /** Or the name of an upload, or of a row. */
  readonly segment: string;
  /** Offset in the segment, in bytes. */
  readonly start: number;
  readonly reason: string;
}

export interface SegmentsLeft {
  readonly segments: number;
  readonly bytes: number;
}

export interface VerifyReport {
  readonly segments: number;
  readonly frames: number;
  /** Payloads read back and compared with their SHA-256, also overwritten and deleted ones. */
  readonly payloads: number;
  readonly bytes: number;
  /** Ids that are alive, by the segments; each was looked up and is decided by the page that the segments say. */
  readonly ids: number;
  /**
   * Frames that no page refers to: their commits lost a race, or were never finished. Only where several processes write;
   * one that writes alone leaves none, and there they are faults.
   */
  readonly unreferenced: number;
  /** Objects that nothing refers to, and that are too young to be called orphans. */
  readonly young: SegmentsLeft;
  /** Segments that compaction has replaced, and uploads that these name: they are kept for those who still read them. They are not read. */
  readonly superseded: SegmentsLeft;
  /** Segments that compaction leaves as they are, since they are damaged: `<tenant>/<segment>`. */
  readonly notCompacted: readonly string[];
  /** Damaged places whose loss was accepted: no faults. */
  readonly accepted: number;
  /** Faults by their kind. */
  readonly counts: Readonly<Record<FaultKind, number>>;
  readonly faults: readonly Fault[];
}

export interface VerifyOptions extends Pick<CallOptions, "signal"> {
  readonly onProgress?:
    | ((done: { readonly segments: number; readonly ofSegments: number; readonly bytes: number }) => void)
    | undefined;
}

/** How long a segment or an upload may lie without a page that refers to it, in milliseconds: no writer lives as long. */
export const orphanMs = 86_400_000;

export function countFaults(faults: readonly Fault[]): Record<FaultKind, number> {
  const counts = Object.fromEntries(faultKinds.map((kind) => [kind, 0])) as Record<FaultKind, number>;
  for (const { kind } of faults) counts[kind] += 1;
  return counts;
}
