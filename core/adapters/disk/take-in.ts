import type { RecoverableIndex } from "../../index/recoverable-index.ts";
import { decodePage } from "../../page/page.ts";
import type { FramePlace } from "../../ports/segment-store.ts";
import type { ScannedFrame, SegmentScan } from "../../segment/scan.ts";

/**
 * Takes frames and damage of a segment into the index. Frames that are known already are passed over, so taking a segment
 * in twice is the same as once.
 *
 * @returns how many pages were new
 */
export async function takeIn(
  index: RecoverableIndex,
  scan: SegmentScan,
  frames: readonly ScannedFrame[],
): Promise<number> {
  for (const damage of scan.damage) index.noteDamage(damage);
  let added = 0;
  for (const frame of frames) if (await takeInFrame(index, scan, frame)) added += 1;
  return added;
}

/** @param place  where the frame lies, if not where the scan found it */
export async function takeInFrame(
  index: RecoverableIndex,
  scan: SegmentScan,
  frame: ScannedFrame,
  place?: FramePlace,
): Promise<boolean> {
  const { tenant, segment } = scan;
  const { group, sequence, offset, headBytes, bodyBytes } = frame;
  const page = decodePage(frame.page);
  if (!page.ok) {
    const end = offset + headBytes + bodyBytes;
    index.noteDamage({ tenant, segment, start: offset, end, reason: page.damage, frames: 1, group, sequence });
    return false;
  }
  const record = { tenant, group, sequence, place: place ?? { segment, offset, headBytes } };
  return (await index.replay(record, page.value)) === "taken in";
}
