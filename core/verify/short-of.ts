import type { SegmentState } from "../ports/offset-index.ts";
import type { SegmentScan } from "../segment/scan.ts";

export type ShapeKnown = Pick<SegmentState, "bytes" | "sealed">;

/** What a segment lacks of what the index knew of it: its end, or its footer. Both look like the tail of a crash otherwise. */
export function shortOf(known: ShapeKnown | undefined, scan: SegmentScan): string | undefined {
  if (known && scan.size < known.bytes) return `the segment has ${scan.size} bytes; the index knew ${known.bytes}`;
  if (known?.sealed && !scan.sealed) return "the segment has lost its footer";
  return undefined;
}
