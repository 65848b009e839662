import { view } from "../bytes.ts";
import { limits } from "../limits.ts";
import type { SegmentBinding } from "./binding.ts";
import { decodeBlock, storedBlockBytes, type EncodedBlock } from "./block.ts";
import { damaged, decoded, type Decoded } from "./decoded.ts";
import { decodeFrameHeader, decodeMark, frameHeaderAndGroupBytes, frameHeaderBytes, markBytes } from "./frame.ts";

/** Shorter ones are no dictionary to zstd. In bytes. */
const baseRawBytesMin = 8;

/** A dictionary that begins so is read as a trained one, with tables of its own, by every reader of zstd. */
const trainedMagic = 0xec30_a437;

/**
 * The blocks that a base consists of: those of the frames and parts of frames in a stretch of a segment, without those that
 * rest on a base themselves.
 * @param bytes  what lies from `offset` of the segment on, where a frame begins, up to the end of a block, frame or mark
 */
export function decodeBase(
  bytes: Uint8Array,
  offset: number,
  binding: SegmentBinding,
): Decoded<readonly EncodedBlock[]> {
  const blocks: EncodedBlock[] = [];
  let rawBytes = 0;
  for (let at = 0; at < bytes.length;) {
    const rest = bytes.subarray(at);
    if (decodeMark(rest, offset + at, binding)) {
      at += markBytes;
      continue;
    }
    const room = rest.length < frameHeaderBytes ? 0 : frameHeaderAndGroupBytes(rest);
    const header = decodeFrameHeader(rest.subarray(0, room), offset + at, binding);
    if (!header.ok) return header;
    const { headBytes, bodyBytes } = header.value;
    at += headBytes;
    if (at > bytes.length) return damaged(`base ends at byte ${offset + bytes.length}, in the head of a frame`);
    for (const end = at + bodyBytes; at < end && at < bytes.length;) {
      const block = decodeBlock(bytes, at, offset, binding);
      if (!block.ok) return block;
      at += storedBlockBytes(block.value);
      if (block.value.resting) continue;
      blocks.push(block.value);
      rawBytes += block.value.rawBytes;
      if (rawBytes > limits.baseRawBytesMax)
        return damaged(`base decodes to more than ${limits.baseRawBytesMax} bytes`);
    }
  }
  if (rawBytes < baseRawBytesMin) return damaged(`base of ${rawBytes} raw bytes`);
  return decoded(blocks);
}

/** Whether zstd takes these bytes as they are; otherwise they are no base. */
export function isRawContent(raw: Uint8Array): boolean {
  return raw.length >= baseRawBytesMin && view(raw).getUint32(0, true) !== trainedMagic;
}
