import { limits } from "../limits.ts";
import type { PayloadReader } from "../payload-reader.ts";
import type { Digest } from "../ports/digest.ts";
import type { FramePlace } from "../ports/segment-store.ts";
import type { FrameEntry } from "../segment/footer.ts";
import {
  scanSegment,
  type ScannedFrame,
  type SegmentDamage,
  type SegmentScan,
  type SegmentSource,
} from "../segment/scan.ts";
import { checkFrame } from "../verify/check-frame.ts";
import { compareFooter } from "../verify/compare-footer.ts";
import { shortOf, type ShapeKnown } from "../verify/short-of.ts";

/** A damaged place, and the payloads in it where their page is whole. */
export type FoundLoss = SegmentDamage & { readonly ids?: readonly string[] };

/** What a segment has that is whole, and what of it is lost. */
export interface SurveyedSegment {
  readonly scan: SegmentScan;
  /** Why the file cannot stay as it is; `undefined` where it can. */
  readonly unfit: string | undefined;
  /** Whole frames that belong here, in their order. */
  readonly kept: readonly FrameEntry[];
  readonly losses: readonly FoundLoss[];
  /** Frames that the index does not know. */
  readonly unindexed: number;
}

export interface SurveyTools {
  readonly digest: Digest;
  readonly readerOf: (tenant: string) => PayloadReader;
  /** What the index knew of the segment. */
  readonly known: ShapeKnown | undefined;
  /** Where the index has a page. */
  readonly placeOf: (tenant: string, group: string, sequence: number) => FramePlace | undefined;
}

/**
 * Looks at a segment closely: frame by frame, whatever its footer says, and every payload.
 * @param indexed  pages that the index places in it
 * Cost: reads all of it.
 */
export async function surveySegment(
  source: SegmentSource,
  indexed: readonly (FramePlace & { readonly sequence: number })[],
  tools: SurveyTools,
): Promise<SurveyedSegment> {
  const { tenant, segment } = source;
  const scan = await scanSegment(source, tools.digest);
  const differences = scan.sealed ? await compareFooter(source, tools.digest, scan) : [];
  const losses: FoundLoss[] = scan.damage.filter(({ frames }) => frames !== 0);
  const kept: FrameEntry[] = [];
  let unfit = scan.damage[0]?.reason ?? scan.brokenFooter?.reason ?? differences[0]?.reason;
  unfit ??= shortOf(tools.known, scan);
  let unindexed = 0;
  for (const frame of await wholeFrames(source, scan, differences.length > 0, tools.digest)) {
    const { group, sequence, offset, headBytes, bodyBytes } = frame;
    const place = tools.placeOf(tenant, group, sequence);
    if (place && (place.segment !== segment || place.offset !== offset)) {
      unfit ??= `page ${sequence} of group ${JSON.stringify(group)} lies in segment ${place.segment} as well`;
      continue;
    }
    if (!place) unindexed += 1;
    const at = { tenant, segment, start: offset, end: offset + headBytes + bodyBytes, group, sequence };
    const checked = await checkFrame({ ...frame, segment }, tools.readerOf(tenant), tools.digest);
    if (checked.page !== undefined) {
      unfit ??= checked.page;
      losses.push({ ...at, reason: checked.page, frames: 1 });
      continue;
    }
    kept.push(frame);
    const [first] = checked.damaged;
    if (first) losses.push({ ...at, reason: first.reason, frames: 0, ids: checked.damaged.map(({ id }) => id) });
  }
  const whole = new Set(kept.map(({ offset }) => offset));
  for (const { offset, headBytes, sequence } of indexed) {
    const isTold = whole.has(offset) || losses.some(({ start, end }) => offset >= start && offset < end);
    if (isTold || unfit === undefined) continue;
    const reason = `page ${sequence} of a group, which the index knows at byte ${offset}, is not there`;
    losses.push({ tenant, segment, start: offset, end: offset + headBytes, reason, frames: 1 });
  }
  return { scan, unfit, kept, losses, unindexed };
}

/** Frames that the footer lists, and those that it does not and that lie in no void of it. */
async function wholeFrames(
  source: SegmentSource,
  scan: SegmentScan,
  differs: boolean,
  digest: Digest,
): Promise<readonly ScannedFrame[]> {
  if (!differs) return scan.frames;
  const walked = await scanSegment(source, digest, undefined, "frames");
  const listed = new Set(scan.frames.map(({ offset }) => offset));
  const inVoid = (offset: number) => scan.voids.some(({ start, end }) => offset >= start && offset < end);
  const others = walked.frames.filter(({ offset }) => !listed.has(offset) && !inVoid(offset));
  return [...scan.frames, ...others].toSorted((a, b) => a.offset - b.offset).slice(0, limits.segmentFramesMax);
}
