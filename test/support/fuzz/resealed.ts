import type { SeededRandom } from "../../../bench/agent-trace-random.ts";
import { nodeDigest } from "../../../core/adapters/node/digest.ts";
import { concat, setUint64, utf8, utf8Text, view } from "../../../core/bytes.ts";
import type { SegmentBinding } from "../../../core/segment/binding.ts";
import { blockHeaderBytes } from "../../../core/segment/block.ts";
import { trailerBytes } from "../../../core/segment/footer.ts";
import { frameHeaderBytes, markBytes } from "../../../core/segment/frame.ts";
import { segmentHeaderBytes } from "../../../core/segment/header.ts";
import type { GoldenSegment } from "./golden-pieces.ts";
import { mutated, mutatedInPlace } from "./mutations.ts";

/**
 * Checksums made right again, so that a decoder looks at what a change did to the inside. Each writes into the bytes it is
 * given; what is too short for its checksum stays as it is.
 */
export function resealHeader(bytes: Uint8Array, binding: SegmentBinding): void {
  if (bytes.length < segmentHeaderBytes) return;
  const crc = binding.crc(0, bytes.subarray(0, 12), bytes.subarray(16, segmentHeaderBytes));
  view(bytes).setUint32(12, crc, true);
}

export function resealFrameHeader(head: Uint8Array, offset: number, binding: SegmentBinding): void {
  if (head.length < frameHeaderBytes) return;
  const data = view(head);
  const group = head.subarray(frameHeaderBytes, frameHeaderBytes + data.getUint16(10, true));
  const page = head.subarray(frameHeaderBytes + group.length);
  data.setUint32(48, binding.crc(offset + frameHeaderBytes + group.length, page), true);
  data.setUint32(52, binding.crc(offset, head.subarray(0, 52), group), true);
}

export function resealMark(bytes: Uint8Array, offset: number, binding: SegmentBinding): void {
  if (bytes.length >= markBytes) view(bytes).setUint32(28, binding.crc(offset, bytes.subarray(0, 28)), true);
}

export function resealBlock(block: Uint8Array, offset: number, binding: SegmentBinding): void {
  if (block.length < blockHeaderBytes) return;
  const data = view(block);
  const body = block.subarray(blockHeaderBytes, blockHeaderBytes + data.getUint32(4, true));
  data.setUint32(12, binding.crc(offset, block.subarray(0, 12), body), true);
}

/** @returns the trailer of a footer that lies at `offset`. */
export function trailerOf(footer: Uint8Array, offset: number, binding: SegmentBinding): Uint8Array {
  const trailer = new Uint8Array(trailerBytes);
  const data = view(trailer);
  setUint64(data, 0, offset);
  data.setUint32(8, footer.length, true);
  data.setUint32(12, binding.crc(offset, footer), true);
  data.setUint32(20, binding.crc(offset + footer.length, trailer.subarray(0, 20)), true);
  trailer.set(utf8("PAYLEND\n"), 24);
  return trailer;
}

export function resealCheckpoint(bytes: Uint8Array, secret: Uint8Array): void {
  if (bytes.length < 24) return;
  const crc = nodeDigest.crc32(bytes.subarray(0, 16), nodeDigest.crc32(secret));
  view(bytes).setUint32(16, nodeDigest.crc32(bytes.subarray(20), crc), true);
}

/** `store.json` with the checksum that its fields ask for, where it is still an object. */
export function resealStoreFile(bytes: Uint8Array): Uint8Array {
  try {
    const json = JSON.parse(utf8Text(bytes) ?? "") as Record<string, unknown>;
    const { format, secret, created } = json;
    const crc = nodeDigest.crc32(utf8(`${String(format)} ${String(secret)} ${String(created)}`));
    return utf8(JSON.stringify({ ...json, crc: `0x${crc.toString(16).padStart(8, "0")}` }));
  } catch {
    return bytes;
  }
}

/** A segment of which one structure is changed and its checksums are right. */
export function resealedSegment(
  segment: GoldenSegment,
  others: readonly Uint8Array[],
  random: SeededRandom,
): Uint8Array {
  const bytes = segment.bytes.slice();
  const { binding, frames, marks, blocks, footer } = segment;
  const part = (offset: number, length: number) => {
    const changed = mutatedInPlace(bytes.subarray(offset, offset + length), others, random);
    bytes.set(changed, offset);
    return bytes.subarray(offset, offset + length);
  };
  const kind = random.between(0, 4);
  if (kind === 0) resealHeader(part(0, segmentHeaderBytes), binding);
  else if (kind === 1) {
    const mark = random.pick(marks);
    resealMark(part(mark.offset, markBytes), mark.offset, binding);
  } else if (kind === 2) {
    const block = random.pick(blocks);
    resealBlock(part(block.offset, block.bytes.length), block.offset, binding);
  } else if (kind === 3 && footer) {
    const changed = mutated(footer.bytes, others, random);
    // Mostly of this segment: a footer of another one is refused before it is read.
    if (random.chance(0.9)) changed.set(segment.marker.subarray(0, changed.length));
    return concat([bytes.subarray(0, footer.offset), changed, trailerOf(changed, footer.offset, binding)]);
  } else {
    const frame = random.pick(frames);
    const head = part(frame.offset, frame.headBytes);
    if (random.chance(0.9)) head.set(segment.marker);
    resealFrameHeader(head, frame.offset, binding);
  }
  return bytes;
}
