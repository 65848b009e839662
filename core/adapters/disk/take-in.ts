import type { RecoverableIndex } from "../../index/recoverable-index.ts";
import { decodePage } from "../../page/page.ts";
import type { FramePlace } from "../../ports/segment-store.ts";
import type { ScannedFrame, SegmentScan } from "../../segment/scan.ts";

/** Pages that are taken in during one turn of the event loop, in bytes: some 1,000 ids, 1–2 ms. */
const pageBytesPerTurn = 32_768;

/**
 * Takes frames and damage of a segment into the index. Frames that are known already are passed over, so taking a segment
 * in twice is the same as once.
 *
 * @param pause  called now and then, where others are to have their turn meanwhile
 * @returns how many pages were new
 */
export async function takeIn(
  index: RecoverableIndex,
  scan: SegmentScan,
  frames: readonly ScannedFrame[],
  pause?: () => Promise<void>,
): Promise<number> {
  for (const damage of scan.damage) index.noteDamage(damage);
  let added = 0;
  let pageBytes = 0;
  for (const frame of frames) {
    if (await takeInFrame(index, scan, frame)) added += 1;
    pageBytes += frame.page.length;
    if (!pause || pageBytes < pageBytesPerTurn) continue;
    pageBytes = 0;
    await pause();
  }
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
