import { view } from "../bytes.ts";
import { limits } from "../limits.ts";
import type { CodecCode } from "../ports/codec.ts";
import type { SegmentBinding } from "./binding.ts";
import { damaged, decoded, type Decoded } from "./decoded.ts";
import { crcText } from "./header.ts";
import { decodeRestingBody, type Resting } from "./resting.ts";

/**
 * A block in a segment: 16 bytes of header, then the body as its codec wrote it. docs/format.md §5.
 *
 *   0  codec          1   0 none, 1 LZ4 frame, 2 Zstandard frame
 *   1  flags          1   1: it rests on a base; the body then begins with where that lies
 *   2  reserved       2   0
 *   4  stored length  4   bytes of the body
 *   8  raw length     4   bytes it decodes to, at most 4 MiB
 *  12  crc            4   over bytes 0–11 and the body, bound to name and offset
 */
export const blockHeaderBytes = 16;

/** A block without a place: what a codec made of raw bytes. */
export interface EncodedBlock {
  readonly codec: CodecCode;
  readonly rawBytes: number;
  readonly body: Uint8Array;
  /** Set where a base is its dictionary, so that it lies in the base's segment or nowhere. */
  readonly resting?: Resting | undefined;
}

const restsFlag = 0x100;

export function storedBlockBytes(block: EncodedBlock): number {
  return blockHeaderBytes + block.body.length;
}

/** Writes the header of the block that will lie at `offset` of the segment into `target`; the body follows it as it is. */
export function encodeBlockHeader(
  block: EncodedBlock,
  target: Uint8Array,
  offset: number,
  binding: SegmentBinding,
): void {
  const data = view(target);
  data.setUint32(0, block.resting ? block.codec | restsFlag : block.codec, true);
  data.setUint32(4, block.body.length, true);
  data.setUint32(8, block.rawBytes, true);
  data.setUint32(12, binding.crc(offset, target.subarray(0, 12), block.body), true);
}

/**
 * Reads the block at `start` of `bytes`, which begin at `offset` of the segment.
 * A body is a view into `bytes`; nothing is allocated for lengths that do not fit.
 */
export function decodeBlock(
  bytes: Uint8Array,
  start: number,
  offset: number,
  binding: SegmentBinding,
): Decoded<EncodedBlock> {
  const at = `block at byte ${offset + start}`;
  if (bytes.length - start < blockHeaderBytes) return damaged(`${at}: cut in its header`);
  const data = view(bytes);
  const codecAndFlags = data.getUint32(start, true);
  const storedBytes = data.getUint32(start + 4, true);
  const rawBytes = data.getUint32(start + 8, true);
  if (storedBytes > bytes.length - start - blockHeaderBytes)
    return damaged(`${at}: ${storedBytes} stored bytes do not fit`);
  const body = bytes.subarray(start + blockHeaderBytes, start + blockHeaderBytes + storedBytes);
  const stored = data.getUint32(start + 12, true);
  const computed = binding.crc(offset + start, bytes.subarray(start, start + 12), body);
  if (stored !== computed) return damaged(`${at}: crc ${crcText(stored)} ≠ ${crcText(computed)}`);
  const codec = codecAndFlags & 0xff;
  const rests = (codecAndFlags & restsFlag) !== 0;
  if (codec !== 0 && codec !== 1 && codec !== 2) return damaged(`${at}: unknown codec ${codec}`);
  if (codecAndFlags !== (rests ? 2 | restsFlag : codec)) return damaged(`${at}: unknown flags ${codecAndFlags >>> 8}`);
  if (rawBytes > limits.blockRawBytesMax) return damaged(`${at}: raw length ${rawBytes} > ${limits.blockRawBytesMax}`);
  if (codec === 0 && rawBytes !== storedBytes)
    return damaged(`${at}: stored as it is, yet ${storedBytes} ≠ ${rawBytes} bytes`);
  if (!rests) return decoded({ codec, rawBytes, body });
  const resting = decodeRestingBody(body, offset + start);
  return resting.ok ? decoded({ codec, rawBytes, body, resting: resting.value }) : resting;
}
