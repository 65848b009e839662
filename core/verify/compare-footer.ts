import type { Digest } from "../ports/digest.ts";
import { scanSegment, type SegmentScan, type SegmentSource } from "../segment/scan.ts";

export interface FooterDifference {
  readonly start: number;
  readonly reason: string;
}

/**
 * What a sealed segment's footer says otherwise than its frames, one after the other.
 * @param scan  by its footer
 * Cost: reads the heads of the frames again.
 */
export async function compareFooter(
  source: SegmentSource,
  digest: Digest,
  scan: SegmentScan,
): Promise<FooterDifference[]> {
  const walked = await scanSegment(source, digest, undefined, "frames");
  const inVoid = (offset: number) => scan.voids.some(({ start, end }) => offset >= start && offset < end);
  const differences: FooterDifference[] = [];
  const met = new Map(walked.frames.map((frame) => [frame.offset, frame]));
  for (const { offset, group, sequence, kind, headBytes, bodyBytes } of scan.frames) {
    const frame = met.get(offset);
    met.delete(offset);
    const what = `page ${sequence} of group ${JSON.stringify(group)}`;
    if (!frame)
      differences.push({ start: offset, reason: `the footer lists ${what}, which the frames do not lead to` });
    else if (frame.kind !== kind || frame.headBytes !== headBytes || frame.bodyBytes !== bodyBytes)
      differences.push({ start: offset, reason: `the footer and the frame differ in what ${what} is` });
  }
  for (const { offset, group, sequence } of met.values()) {
    // What the footer lists and found damaged is told as that.
    if (inVoid(offset) || scan.damage.some(({ start }) => start === offset)) continue;
    const what = `page ${sequence} of group ${JSON.stringify(group)}`;
    differences.push({ start: offset, reason: `the footer does not list ${what}` });
  }
  return differences;
}
