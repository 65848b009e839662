import type { Digest } from "../ports/digest.ts";
import { SegmentBinding } from "../segment/binding.ts";
import { type ByteRange, encodeFooter, type FrameEntry } from "../segment/footer.ts";
import { encodeSegmentHeader, segmentHeaderBytes } from "../segment/header.ts";
import { segmentTimeMs } from "../segment/name.ts";
import type { SegmentScan } from "../segment/scan.ts";

/** What a segment becomes: a new header, its own bytes from there on, and a footer behind them. */
export interface MendedSegment {
  readonly header: Uint8Array;
  readonly footer: Uint8Array;
  readonly bytes: number;
}

/**
 * A segment whose footer lists what is whole, and calls everything else void. Each frame keeps its place, so that the index
 * and every location stay right, and the segment keeps its name, which says when its pages were written.
 * @param kept  its whole frames, in their order
 */
export function mendSegment(scan: SegmentScan, kept: readonly FrameEntry[], digest: Digest): MendedSegment | undefined {
  const { tenant, segment, marker, size } = scan;
  if (!marker) return undefined;
  const binding = new SegmentBinding(digest, segment);
  const header = encodeSegmentHeader({ tenant, segment, marker, createdMs: segmentTimeMs(segment) }, binding);
  const end = Math.max(size, segmentHeaderBytes);
  const footer = encodeFooter({ frames: kept, voids: between(kept, end) }, marker, end, binding);
  return { header, footer, bytes: end + footer.length };
}

function between(frames: readonly FrameEntry[], size: number): ByteRange[] {
  const voids: ByteRange[] = [];
  let end = segmentHeaderBytes;
  for (const { offset, headBytes, bodyBytes } of frames) {
    if (offset > end) voids.push({ start: end, end: offset });
    end = offset + headBytes + bodyBytes;
  }
  if (size > end) voids.push({ start: end, end: size });
  return voids;
}
