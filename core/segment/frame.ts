import { bytesEqual, getUint64, setUint64, utf8, utf8Length, utf8Text, view } from "../bytes.ts";
import { invariant } from "../invariant.ts";
import { limits } from "../limits.ts";
import type { SegmentBinding } from "./binding.ts";
import { blockHeaderBytes, encodeBlockHeader, storedBlockBytes, type EncodedBlock } from "./block.ts";
import { damaged, decoded, type Decoded } from "./decoded.ts";
import { crcText, syncMarkerBytes } from "./header.ts";

/**
 * A frame's header; the group, the page and the blocks follow it. docs/format.md §4.
 *
 *   0  sync marker     8   the segment's own
 *   8  kind            1   1 payloads, 2 tombstone
 *   9  reserved        1   0
 *  10  group length    2
 *  12  page length     4
 *  16  body length     8   all blocks with their headers
 *  24  sequence        8
 *  32  time            8   milliseconds since 1970
 *  40  number          4   of the frame in its segment, from 0
 *  44  before          4   CRC-32 of the group of the frame before, 0 for the first: names a frame that was lost
 *  48  page crc        4   over the page, bound to name and offset of the page
 *  52  header crc      4   over bytes 0–51 and the group, bound to name and offset of the frame
 */
export const frameHeaderBytes = 56;

/**
 * A mark says that everything before it is acknowledged, and how far everything is durable. Growing segments carry one
 * after each group commit.
 *
 *   0  sync marker     8
 *   8  kind            1   3
 *   9  reserved        3   0
 *  12  frames          4   frames before it in the segment
 *  16  before          4   CRC-32 of the group of the last frame, 0 if none
 *  20  durable         8   everything before this offset is durable; the mark's own offset in durability `safe`
 *  28  crc             4   over bytes 0–27, bound to name and offset
 */
export const markBytes = 32;

const kindCodes = { payloads: 1, tombstone: 2 } as const satisfies Record<FrameKind, number>;
export const markKind = 3 as const;

/** A frame that has no place yet: what one commit of one group stores. */
export interface FrameDraft {
  readonly kind: FrameKind;
  readonly group: string;
  /** The page's number in its group, 1 … `limits.sequenceMax`. */
  readonly sequence: number;
  /** When the commit was made, milliseconds since 1970. For people, never for order. */
  readonly timeMs: number;
  /** The encoded page, at most `limits.pageBytesMax`. */
  readonly page: Uint8Array;
  /** Number of ids that the page names, for a store that weighs what to keep of it. */
  readonly ids?: number | undefined;
  /** The frame must lie in a segment, also where it were cheaper elsewhere: a rebuild has to find it. */
  readonly inSegment?: true | undefined;
  /** Segment that some of its blocks rest in, or {@link wholeSegment}: it is stored there or not at all. */
  readonly restsIn?: string | undefined;
  /** When what it was made of was known, where that may not be acted on much later: see `core/rows/knowledge.ts`. */
  readonly restsOnMs?: number | undefined;
  /**
   * A power cut that takes the frame takes nothing with it: what it says lies elsewhere too, until after the next
   * `SegmentStore.flush`. So it need not be durable before it is acknowledged.
   */
  readonly mayWait?: true | undefined;
  readonly blocks: readonly EncodedBlock[];
}

/** `payloads` brings payloads (and may hide older ones), `tombstone` only hides. */
export type FrameKind = "payloads" | "tombstone";

/** What the header says, with the group. */
export interface FrameHeader {
  readonly kind: FrameKind;
  readonly group: string;
  readonly sequence: number;
  readonly timeMs: number;
  /** Number of the frame in its segment, from 0. */
  readonly number: number;
  readonly groupCrcBefore: number;
  readonly headBytes: number;
  readonly pageBytes: number;
  readonly pageCrc: number;
  readonly bodyBytes: number;
}

export interface Mark {
  readonly frames: number;
  readonly groupCrcBefore: number;
  /** Everything before this offset is durable. */
  readonly durableBytes: number;
}

export interface FrameContext {
  readonly binding: SegmentBinding;
  readonly marker: Uint8Array;
  readonly number: number;
  readonly groupCrcBefore: number;
}

/** CRC-32 of a group's name alone, as `before` fields carry it. */
export function groupCrc(group: string, crc32: (bytes: Uint8Array) => number): number {
  return crc32(utf8(group));
}

/** Stands for the segment that a frame is put in together with what it rests on. It is no segment's name. */
export const wholeSegment = "~";

/** Length of a frame's head: header, group and page. */
export function headBytesOf({ group, page }: Pick<FrameDraft, "group" | "page">): number {
  return frameHeaderBytes + utf8Length(group) + page.length;
}

/**
 * Lays a frame out for `offset` of its segment.
 * @returns the buffers to write one after the other: bodies are the codecs' own bytes, not copies.
 */
export function encodeFrame(
  draft: FrameDraft,
  offset: number,
  context: FrameContext,
): { parts: Uint8Array[]; headBytes: number; bytes: number } {
  const { binding } = context;
  for (const { resting } of draft.blocks) {
    const isThere = !resting || (draft.restsIn === binding.segment && resting.base.end <= offset);
    invariant(isThere, "a block rests on bytes of its own segment that lie before its frame");
  }
  const group = utf8(draft.group);
  const headBytes = frameHeaderBytes + group.length + draft.page.length;
  const head = new Uint8Array(headBytes + draft.blocks.length * blockHeaderBytes);
  const parts: Uint8Array[] = [];
  let bodyBytes = 0;
  let partStart = 0;
  for (const [i, block] of draft.blocks.entries()) {
    const start = headBytes + i * blockHeaderBytes;
    encodeBlockHeader(block, head.subarray(start, start + blockHeaderBytes), offset + headBytes + bodyBytes, binding);
    parts.push(head.subarray(partStart, start + blockHeaderBytes), block.body);
    partStart = start + blockHeaderBytes;
    bodyBytes += storedBlockBytes(block);
  }
  if (draft.blocks.length === 0) parts.push(head);

  const data = view(head);
  head.set(context.marker, 0);
  head[8] = kindCodes[draft.kind];
  data.setUint16(10, group.length, true);
  data.setUint32(12, draft.page.length, true);
  setUint64(data, 16, bodyBytes);
  setUint64(data, 24, draft.sequence);
  setUint64(data, 32, draft.timeMs);
  data.setUint32(40, context.number, true);
  data.setUint32(44, context.groupCrcBefore, true);
  head.set(group, frameHeaderBytes);
  head.set(draft.page, frameHeaderBytes + group.length);
  data.setUint32(48, binding.crc(offset + frameHeaderBytes + group.length, draft.page), true);
  data.setUint32(52, binding.crc(offset, head.subarray(0, 52), group), true);
  return { parts, headBytes, bytes: headBytes + bodyBytes };
}

/** Length of header and group, from the first {@link frameHeaderBytes} bytes; unchecked, at most 65,591. */
export function frameHeaderAndGroupBytes(header: Uint8Array): number {
  return frameHeaderBytes + view(header).getUint16(10, true);
}

/** @param bytes  the frame's bytes from `offset` of the segment on: at least its header and group. */
export function decodeFrameHeader(bytes: Uint8Array, offset: number, binding: SegmentBinding): Decoded<FrameHeader> {
  const at = `frame at byte ${offset}`;
  if (bytes.length < frameHeaderBytes) return damaged(`${at}: cut in its header`);
  const data = view(bytes);
  const groupBytes = data.getUint16(10, true);
  if (groupBytes < 1 || groupBytes > limits.nameBytesMax) return damaged(`${at}: group of ${groupBytes} bytes`);
  if (bytes.length < frameHeaderBytes + groupBytes) return damaged(`${at}: cut in its group`);
  const groupPart = bytes.subarray(frameHeaderBytes, frameHeaderBytes + groupBytes);
  const stored = data.getUint32(52, true);
  const computed = binding.crc(offset, bytes.subarray(0, 52), groupPart);
  if (stored !== computed) return damaged(`${at}: header crc ${crcText(stored)} ≠ ${crcText(computed)}`);
  const kind =
    bytes[8] === kindCodes.payloads ? "payloads" : bytes[8] === kindCodes.tombstone ? "tombstone" : undefined;
  const group = utf8Text(groupPart);
  const bodyBytes = getUint64(data, 16);
  const sequence = getUint64(data, 24);
  const timeMs = getUint64(data, 32);
  const pageBytes = data.getUint32(12, true);
  if (kind === undefined || bytes[9] !== 0) return damaged(`${at}: unknown kind ${bytes[8]}`);
  if (group === undefined || bodyBytes === undefined || timeMs === undefined)
    return damaged(`${at}: unreadable header`);
  if (sequence === undefined || sequence < 1 || sequence > limits.sequenceMax)
    return damaged(`${at}: sequence out of range`);
  if (pageBytes > limits.pageBytesMax) return damaged(`${at}: page of ${pageBytes} bytes > ${limits.pageBytesMax}`);
  return decoded({
    kind,
    group,
    sequence,
    timeMs,
    number: data.getUint32(40, true),
    groupCrcBefore: data.getUint32(44, true),
    headBytes: frameHeaderBytes + groupBytes + pageBytes,
    pageBytes,
    pageCrc: data.getUint32(48, true),
    bodyBytes,
  });
}

/** @param head  the frame's header, group and page, as they lie at `offset` */
export function decodeFramePage(
  head: Uint8Array,
  header: FrameHeader,
  offset: number,
  binding: SegmentBinding,
): Decoded<Uint8Array> {
  if (head.length < header.headBytes) return damaged(`frame at byte ${offset}: cut in its page`);
  const start = header.headBytes - header.pageBytes;
  const page = head.subarray(start, header.headBytes);
  const computed = binding.crc(offset + start, page);
  if (computed === header.pageCrc) return decoded(page);
  return damaged(`frame at byte ${offset}: page crc ${crcText(header.pageCrc)} ≠ ${crcText(computed)}`);
}

export function encodeMark(mark: Mark, marker: Uint8Array, offset: number, binding: SegmentBinding): Uint8Array {
  const bytes = new Uint8Array(markBytes);
  const data = view(bytes);
  bytes.set(marker, 0);
  bytes[8] = markKind;
  data.setUint32(12, mark.frames, true);
  data.setUint32(16, mark.groupCrcBefore, true);
  setUint64(data, 20, mark.durableBytes);
  data.setUint32(28, binding.crc(offset, bytes.subarray(0, 28)), true);
  return bytes;
}

/** @returns the mark that lies at `offset`, or `undefined` when these bytes are none. */
export function decodeMark(bytes: Uint8Array, offset: number, binding: SegmentBinding): Mark | undefined {
  if (bytes.length < markBytes || bytes[8] !== markKind) return undefined;
  const data = view(bytes);
  if (data.getUint32(28, true) !== binding.crc(offset, bytes.subarray(0, 28))) return undefined;
  const durableBytes = getUint64(data, 20);
  if (durableBytes === undefined || durableBytes > offset) return undefined;
  return { frames: data.getUint32(12, true), groupCrcBefore: data.getUint32(16, true), durableBytes };
}

export function startsWithMarker(bytes: Uint8Array, marker: Uint8Array): boolean {
  return bytes.length >= syncMarkerBytes && bytesEqual(bytes.subarray(0, syncMarkerBytes), marker);
}
