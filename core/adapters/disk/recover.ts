import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { BlockDecoder } from "../../block-decoder.ts";
import { BlockEncoder } from "../../blocks.ts";
import { isPayloadStoreError } from "../../errors.ts";
import type { RecoverableIndex } from "../../index/recoverable-index.ts";
import { invariant } from "../../invariant.ts";
import { limits } from "../../limits.ts";
import { decodePage, encodePage } from "../../page/page.ts";
import type { Codecs } from "../../ports/codec.ts";
import type { Digest } from "../../ports/digest.ts";
import type { SegmentSummary } from "../../ports/segment-store.ts";
import { SegmentBinding } from "../../segment/binding.ts";
import { decodeBlock, storedBlockBytes, type EncodedBlock } from "../../segment/block.ts";
import { damaged, decoded, type Decoded } from "../../segment/decoded.ts";
import { decodeMark, markBytes } from "../../segment/frame.ts";
import { decodeSegmentHeader, segmentHeaderBytes } from "../../segment/header.ts";
import { FrameReader } from "../../segment/read-frame.ts";
import type { ScannedFrame, SegmentDamage, SegmentScan } from "../../segment/scan.ts";
import { diskError } from "./disk-error.ts";
import { type DiskSegmentStore, listOrNothing } from "./disk-segment-store.ts";
import type { FileSync, FileSystem } from "./file-system.ts";
import { ensureDirectory, writeAll } from "./files.ts";
import type { Layout } from "./layout.ts";
import { hidesDamage, writeFooter, type GrowingSegment } from "./segment-writer.ts";
import { takeIn, takeInFrame } from "./take-in.ts";

/** What opening a store found and did. */
export interface Recovery {
  /** Where the index came from: `loaded`, `none` (a new store, or a rebuild), or `damaged`: then it was read anew, and the next one takes its place. */
  readonly checkpoint: "loaded" | "none" | "damaged";
  /** Segments that were read, because the index did not cover them. */
  readonly segmentsScanned: number;
  /** Pages taken in from them. */
  readonly framesReplayed: number;
  /** Whole frames beyond the last mark of a segment, appended again to a new one. */
  readonly tailFramesKept: number;
  /** Bytes of torn tails: a crash cut them short, nobody was told that they were stored. They stay where they are, as voids. */
  readonly tornBytes: number;
  /** Segments that were being made when the machine stopped, without a mark or a whole frame, moved to `quarantine/`. */
  readonly quarantined: readonly string[];
  readonly damage: readonly SegmentDamage[];
}

interface Parts {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly digest: Digest;
  readonly segments: DiskSegmentStore;
  readonly index: RecoverableIndex;
  readonly codecs: Codecs;
  /** Before each segment: how many of how many are done. */
  readonly onProgress?: ((done: { readonly segments: number; readonly ofSegments: number }) => void) | undefined;
}

/**
 * Brings the index up to date with the segments, and every tenant's newest segment in order, before the first write.
 *
 * A segment that ends in its last mark goes on growing. In any other that has no footer, what lies beyond the last mark
 * may have been acknowledged or not, and may be in memory only, since a sync that failed once is believed by the next:
 * its whole frames are appended again to a new segment, and only then is the old one sealed, with its tail as a void.
 * A crash in between leaves both, and the next start knows the frames by their sequences.
 */
export async function recover(parts: Parts, checkpoint: Recovery["checkpoint"]): Promise<Recovery> {
  const { segments, index } = parts;
  const found = { segmentsScanned: 0, framesReplayed: 0, tailFramesKept: 0, tornBytes: 0, quarantined: [] as string[] };
  await removeAgain(parts);
  if (checkpoint !== "loaded") await settleRemovals(parts);
  const all = await segments.segments();
  let seen = 0;
  for (const [tenant, summaries] of byTenant(all)) {
    const tails: string[] = [];
    let last: { readonly segment: string; readonly growing: GrowingSegment | undefined } | undefined;
    for (const summary of summaries) {
      const { segment, bytes } = summary;
      parts.onProgress?.({ segments: seen++, ofSegments: all.length });
      const covered = index.segments.covered(tenant, segment);
      if (covered?.bytes === bytes) {
        const growing = covered.sealed ? undefined : growingAtMark(parts, summary);
        last = { segment, growing };
        // A segment that should grow on, and whose last mark is lost, is read like one that is not covered.
        if (covered.sealed || growing) continue;
      }
      const start =
        covered && covered.bytes > 0 && covered.bytes < bytes
          ? { offset: covered.bytes, frames: covered.frames }
          : undefined;
      const scan = await segments.scan(tenant, segment, start);
      found.segmentsScanned += 1;
      const empty =
        scan.marker === undefined || (scan.acknowledgedBytes <= segmentHeaderBytes && scan.tailFrames === 0);
      const unknown = covered === undefined || covered.frames === 0;
      if (summary === summaries.at(-1) && empty && !scan.sealed && unknown) {
        // Not one mark in it, nor a whole frame: it was being made when the machine stopped.
        await quarantine(parts, summary);
        found.quarantined.push(`${tenant}/${segment}`);
        continue;
      }
      const { sealed, marker, size, durableBytes, framesBefore, groupCrcBefore } = scan;
      // A process that ended between writing a footer and syncing it left it in memory only; a successor must not rest on it.
      if (sealed && summary === summaries.at(-1)) await writeEndAnew(parts, scan);
      // A segment that lost its end, more than a last mark, does not grow on: the index names pages where new ones would lie.
      const shrunk = covered !== undefined && covered.bytes > bytes + (covered.sealed ? 0 : markBytes);
      const settled = scan.frames.slice(0, scan.frames.length - scan.tailFrames);
      found.framesReplayed += await takeIn(index, scan, settled);
      if (scan.voids.length > 0) index.segments.markTorn(tenant, segment);
      if (!shrunk && (sealed || durableBytes === size))
        index.segments.cover(tenant, segment, { bytes: size, frames: framesBefore, sealed });
      const clean =
        !shrunk &&
        !sealed &&
        marker !== undefined &&
        durableBytes === size &&
        scan.damage.every(({ start: at }) => at > 0);
      const growing = clean
        ? { segment, marker, bytes: size, frames: framesBefore, groupCrcBefore, durableBytes }
        : undefined;
      last = { segment, growing };
      if (shrunk) {
        const reason = `the segment has ${bytes} bytes; the index knew ${covered.bytes}`;
        index.noteDamage({ tenant, segment, start: bytes, end: covered.bytes, reason, frames: 0 });
      } else if (!sealed && marker !== undefined && durableBytes < size) tails.push(segment);
    }
    if (last?.growing) segments.resume(tenant, last.growing);
    for (const segment of tails) {
      const kept = await keepTail(parts, tenant, segment);
      found.tailFramesKept += kept.frames;
      found.tornBytes += kept.tornBytes;
    }
  }
  return { checkpoint, ...found, damage: index.damage() };
}

/**
 * Takes every segment into an empty index, in order. What is beyond the last mark of a segment is left to {@link recover}, and
 * one that compaction is removing is passed over, whether it is still there or not: what takes its place lies in others.
 * @param before  the index whose place it takes
 * @param isRemoved  whether a segment is gone or about to be
 * @returns how many pages there are
 */
export async function replayAll(
  segments: DiskSegmentStore,
  index: RecoverableIndex,
  before: RecoverableIndex,
  isRemoved: (tenant: string, segment: string) => boolean,
): Promise<number> {
  let pages = 0;
  for (const [tenant, summaries] of byTenant(await segments.segments())) {
    for (const { segment } of summaries) {
      const scan = isRemoved(tenant, segment) ? undefined : await scanIfThere(segments, tenant, segment);
      if (!scan) continue;
      const isNewest = segment === summaries.at(-1)?.segment;
      const isKnown = Boolean(before.segments.covered(tenant, segment)) || Boolean(segments.durable(tenant, segment));
      // It is just being made, or was when the machine stopped.
      if (isNewest && !isKnown && !scan.sealed && scan.marker === undefined) continue;
      const end = scan.sealed ? scan.size : scan.acknowledgedBytes;
      const acknowledged = scan.frames.filter(({ offset }) => offset < end);
      pages += await takeIn(index, scan, acknowledged, () => setImmediate());
      if (scan.marker)
        index.segments.cover(tenant, segment, { bytes: end, frames: scan.framesBefore, sealed: scan.sealed });
      if (scan.voids.length > 0) index.segments.markTorn(tenant, segment);
    }
  }
  return pages;
}

/** Beside a writer, a segment may go at any time. */
async function scanIfThere(
  segments: DiskSegmentStore,
  tenant: string,
  segment: string,
): Promise<SegmentScan | undefined> {
  try {
    return await segments.scan(tenant, segment);
  } catch (error) {
    if (isPayloadStoreError(error, "GONE")) return undefined;
    throw error;
  }
}

async function keepTail(parts: Parts, tenant: string, segment: string): Promise<{ frames: number; tornBytes: number }> {
  const { fs, layout, segments, index, digest } = parts;
  // One whole scan says which frames are appended again and which the footer lists: none is in both, none in neither.
  const scan = await segments.scan(tenant, segment);
  // Marks are not synced, nor is a header without one. Before a newer segment goes on from here, what says how far this one
  // is durable has to be durable itself: a power cut would make a tail of pages that the newer one follows.
  const marked = scan.durableBytes > segmentHeaderBytes;
  const start = marked ? scan.durableBytes - markBytes : 0;
  await writeAnew(parts, scan, start, Math.max(segmentHeaderBytes, scan.acknowledgedBytes), "header");
  const tail = scan.tailFrames === 0 ? [] : scan.frames.slice(-scan.tailFrames);
  let end = scan.durableBytes;
  let frames = 0;
  let lost = 0;
  for (const frame of tail) {
    end = frame.offset + frame.headBytes + frame.bodyBytes;
    const { kind, group, sequence, timeMs } = frame;
    const known = index.placeOf(tenant, group, sequence);
    // An earlier start had appended it again, and did not come to seal this segment.
    if (known && known.segment > segment) continue;
    const moved = await movable(parts, scan, frame);
    if (!moved.ok) {
      const range = { start: frame.offset, end: frame.offset + frame.headBytes + frame.bodyBytes };
      index.noteDamage({ tenant, segment, ...range, reason: moved.damage, frames: 1, group, sequence });
      lost += 1;
      continue;
    }
    const { page, blocks } = moved.value;
    const place = await segments.append(tenant, { kind, group, sequence, timeMs, page, blocks });
    if (known) index.relocate({ tenant, group, sequence, place });
    else await takeInFrame(index, scan, { ...frame, page }, place);
    frames += 1;
  }
  const tornBytes = scan.size - end;
  // Nor may a footer hide a frame that could not be appended again.
  if (hidesDamage(scan) || lost > 0) return { frames, tornBytes };
  segments.forget(tenant, segment);
  const file = fs.open(layout.segment(tenant, segment), "update");
  try {
    const bytes = await writeFooter(file, scan, [{ start: scan.durableBytes, end: scan.size }], digest);
    index.segments.cover(tenant, segment, { bytes, frames: scan.framesBefore, sealed: true });
    index.segments.markTorn(tenant, segment);
  } catch (error) {
    throw diskError(error, `sealing segment ${tenant}/${segment} failed`);
  } finally {
    file.close();
  }
  return { frames, tornBytes };
}

/** What follows the last frame of a sealed segment: marks, voids and the footer. */
function writeEndAnew(parts: Parts, scan: SegmentScan): Promise<void> {
  const ends = scan.frames.map(({ offset, headBytes, bodyBytes }) => offset + headBytes + bodyBytes);
  const start = Math.max(segmentHeaderBytes, ...ends.slice(-1));
  return writeAnew(parts, scan, start, scan.size, "seal");
}

/** Writes bytes as they are, and syncs them: what an earlier sync has failed on is written by no later one. */
async function writeAnew(
  { fs, layout, segments }: Parts,
  { tenant, segment }: SegmentScan,
  start: number,
  end: number,
  reason: FileSync,
): Promise<void> {
  const bytes = segments.read(tenant, segment, start, end - start);
  const file = fs.open(layout.segment(tenant, segment), "update");
  try {
    writeAll(file, [bytes], start);
    await file.sync(reason);
  } catch (error) {
    throw diskError(error, `writing segment ${tenant}/${segment} anew failed`);
  } finally {
    file.close();
  }
}

/**
 * What of a frame is appended to another segment: page and blocks as they are, but for those that rest on a base, which stays
 * where it is: they are encoded anew, and the page says how long they are now.
 */
async function movable(
  parts: Parts,
  scan: SegmentScan,
  frame: ScannedFrame,
): Promise<Decoded<{ readonly page: Uint8Array; readonly blocks: readonly EncodedBlock[] }>> {
  const read = readBlocks(parts, scan, frame);
  if (!read.some(({ resting }) => resting)) return decoded({ page: frame.page, blocks: read });
  const { codecs, segments, digest } = parts;
  const { tenant, segment } = scan;
  const decoder = new BlockDecoder(tenant, { frames: new FrameReader(segments, digest), codecs });
  const encoder = new BlockEncoder(codecs, () => "zstd", limits.blockRawBytesMax);
  const page = decodePage(frame.page);
  if (!page.ok) return page;
  const blocks: EncodedBlock[] = [];
  try {
    for (const block of read) {
      if (!block.resting) blocks.push(block);
      else blocks.push(...(await encoder.encode([{ bytes: await decoder.decode(block, { segment }) }])));
    }
  } catch (error) {
    if (isPayloadStoreError(error, "CORRUPT")) return damaged(error.message);
    throw error;
  }
  const table = blocks.map(({ codec, rawBytes, body }) => ({ codec, rawBytes, bodyBytes: body.length }));
  return decoded({ page: encodePage({ ...page.value, blocks: table }).slice(), blocks });
}

function readBlocks({ segments, digest }: Parts, scan: SegmentScan, frame: ScannedFrame): EncodedBlock[] {
  const start = frame.offset + frame.headBytes;
  const body = segments.read(scan.tenant, scan.segment, start, frame.bodyBytes);
  const binding = new SegmentBinding(digest, scan.segment);
  const blocks: EncodedBlock[] = [];
  for (let at = 0; at < body.length;) {
    const block = decodeBlock(body, at, start, binding);
    invariant(block.ok, "the scan has checked the bodies of a tail");
    blocks.push(block.value);
    at += storedBlockBytes(block.value);
  }
  return blocks;
}

/** A segment that ends in a mark, found without reading it: header and mark tell all that the next frame needs. */
function growingAtMark(
  { segments, digest }: Parts,
  { tenant, segment, bytes }: SegmentSummary,
): GrowingSegment | undefined {
  if (bytes < segmentHeaderBytes + markBytes) return undefined;
  const binding = new SegmentBinding(digest, segment);
  const header = decodeSegmentHeader(segments.read(tenant, segment, 0, segmentHeaderBytes), tenant, binding);
  const mark = decodeMark(segments.read(tenant, segment, bytes - markBytes, markBytes), bytes - markBytes, binding);
  if (!header.ok || mark?.durableBytes !== bytes - markBytes) return undefined;
  const { frames, groupCrcBefore } = mark;
  return { segment, marker: header.value.marker, bytes, frames, groupCrcBefore, durableBytes: bytes };
}

/**
 * What is not there has to stay away, where no saved index says that it goes: a file that was removed before, without a sync,
 * would come back with a power cut, and its pages with it.
 */
async function settleRemovals({ fs, layout }: Parts): Promise<void> {
  for (const tenant of listOrNothing(fs, layout.segments)) {
    if (fs.stat(layout.tenant(tenant))?.isDirectory) await fs.syncDirectory(layout.tenant(tenant), "removed segment");
  }
}

/** Segments that compaction was about to remove when the process ended. */
async function removeAgain({ segments, index }: Parts): Promise<void> {
  for (const { tenant, segment } of await segments.segments()) {
    if (index.segments.find(tenant, segment)?.removed) await segments.remove(tenant, segment);
  }
}

async function quarantine({ fs, layout, segments }: Parts, { tenant, segment }: SegmentSummary): Promise<void> {
  try {
    segments.forget(tenant, segment);
    await ensureDirectory(fs, layout.quarantine, "new store folder");
    fs.rename(layout.segment(tenant, segment), join(layout.quarantine, `${tenant}-${segment}.seg`));
    // Once it has a successor, an unreadable segment would count as damaged.
    await fs.syncDirectory(layout.quarantine, "quarantine");
    await fs.syncDirectory(layout.tenant(tenant), "quarantine");
  } catch (error) {
    throw diskError(error, `moving segment ${tenant}/${segment} to ${layout.quarantine} failed`);
  }
}

function byTenant(summaries: readonly SegmentSummary[]): Map<string, SegmentSummary[]> {
  const grouped = new Map<string, SegmentSummary[]>();
  for (const summary of summaries) {
    const known = grouped.get(summary.tenant);
    if (known) known.push(summary);
    else grouped.set(summary.tenant, [summary]);
  }
  return grouped;
}
