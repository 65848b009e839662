import { view } from "../../bytes.ts";

const magic = 0xfd2fb528;
const dictionaryFlags = 0x03;
const checksumFlag = 0x04;
const singleSegmentFlag = 0x20;
/** Bytes that a content size takes, by the two bits about it; where the first is 0, one byte or none. */
const contentSizeBytes = [0, 2, 4, 8] as const;
const checksumBytes = 4;

/** Magic, descriptor, and a content size of four bytes. */
const headerBytes = 9;
const fourByteContentSize = 2 << 6;
const blockHeaderBytes = 3;
/** What one block of a frame decodes to at most. */
const blockRawBytesMax = 128 * 1024;

/** How long {@link frameBehindBase} gets at most. */
export function frameBehindBaseBytesMax(frameBytes: number, baseBytes: number): number {
  return headerBytes + baseBytes + Math.ceil(baseBytes / blockRawBytesMax) * blockHeaderBytes + frameBytes;
}

/**
 * Makes a Zstandard frame (RFC 8878) that has raw content for its dictionary one that needs none: it begins with the content, as
 * blocks that are stored as they are, and has the frame's own blocks behind these. What lies before a block is history to it
 * either way, and raw content brings no tables. It decodes to the base with the frame's content behind it, by a decoder that
 * serves for all bases.
 *
 * A checksum of the content is left out.
 * @param output  at least {@link frameBehindBaseBytesMax} bytes
 * @returns how many bytes were written; `undefined` where the frame is none, or asks for a dictionary by its number
 */
export function frameBehindBase(
  frame: Uint8Array,
  rawBytes: number,
  base: Uint8Array,
  output: Uint8Array,
): number | undefined {
  if (frame.length < 5) return undefined;
  const from = view(frame);
  const descriptor = from.getUint8(4);
  if (from.getUint32(0, true) !== magic || descriptor & dictionaryFlags) return undefined;
  const isSingleSegment = (descriptor & singleSegmentFlag) !== 0;
  const sizeBytes = contentSizeBytes[(descriptor >> 6) as 0 | 1 | 2 | 3];
  // In front of the size lies the window, unless the frame is a single segment, which always has a size.
  const blocksAt = 5 + (isSingleSegment ? Math.max(1, sizeBytes) : 1 + sizeBytes);
  const blocksEnd = frame.length - (descriptor & checksumFlag ? checksumBytes : 0);
  if (blocksEnd < blocksAt) return undefined;

  const to = view(output);
  to.setUint32(0, magic, true);
  to.setUint8(4, fourByteContentSize | singleSegmentFlag);
  to.setUint32(5, base.length + rawBytes, true);
  let at = headerBytes;
  for (let start = 0; start < base.length; start += blockRawBytesMax) {
    const part = base.subarray(start, start + blockRawBytesMax);
    // Not the last block, stored as it is.
    const blockHeader = part.length << 3;
    to.setUint16(at, blockHeader & 0xffff, true);
    to.setUint8(at + 2, blockHeader >>> 16);
    output.set(part, at + blockHeaderBytes);
    at += blockHeaderBytes + part.length;
  }
  output.set(frame.subarray(blocksAt, blocksEnd), at);
  return at + blocksEnd - blocksAt;
}
