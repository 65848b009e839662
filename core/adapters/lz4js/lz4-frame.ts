import { view } from "../../bytes.ts";

const magic = 0x184d2204;
const versionMask = 0xc0;
const version = 0x40;
const blockChecksumFlag = 0x10;
const contentSizeFlag = 0x08;
const contentChecksumFlag = 0x04;
const dictionaryFlag = 0x01;
const storedBlockFlag = 0x8000_0000;
const minMatch = 4;

/** Magic, version 1, independent blocks of up to 4 MiB, no checksums; then the header's own checksum. */
const frameHeader = Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73);

/** @param block  the compressed block, or `undefined` to store `raw` as it is */
export function encodeLz4Frame(raw: Uint8Array, block: Uint8Array | undefined): Uint8Array {
  const body = block ?? raw;
  const frame = new Uint8Array(frameHeader.length + 4 + body.length + 4);
  frame.set(frameHeader, 0);
  view(frame).setUint32(frameHeader.length, block ? body.length : body.length + storedBlockFlag, true);
  frame.set(body, frameHeader.length + 4);
  return frame;
}

/**
 * Decodes one LZ4 frame to exactly `rawBytes` bytes, allocating no more than that and looking at every byte once.
 *
 * Checksums inside the frame are passed over: the segment's block carries one over the whole frame.
 * @param into  memory of at least so many bytes whose beginning the answer lies in; what is there before is not read
 * @returns `undefined` when the bytes are no such frame
 */
export function decodeLz4Frame(frame: Uint8Array, rawBytes: number, into?: Uint8Array): Uint8Array | undefined {
  const data = view(frame);
  if (frame.length < 11 || data.getUint32(0, true) !== magic) return undefined;
  const flags = data.getUint8(4);
  if ((flags & versionMask) !== version || flags & dictionaryFlag) return undefined;
  let at = 7 + (flags & contentSizeFlag ? 8 : 0);
  const raw = into?.subarray(0, rawBytes) ?? new Uint8Array(rawBytes);
  let written = 0;
  while (at + 4 <= frame.length) {
    const size = data.getUint32(at, true);
    at += 4;
    if (size === 0) {
      const end = at + (flags & contentChecksumFlag ? 4 : 0);
      return written === rawBytes && end === frame.length ? raw : undefined;
    }
    const bytes = size >= storedBlockFlag ? size - storedBlockFlag : size;
    const end = at + bytes;
    if (end > frame.length) return undefined;
    if (size >= storedBlockFlag) {
      if (written + bytes > rawBytes) return undefined;
      raw.set(frame.subarray(at, end), written);
      written += bytes;
    } else {
      written = decodeLz4Block(frame, at, end, raw, written);
      if (written < 0) return undefined;
    }
    at = end + (flags & blockChecksumFlag ? 4 : 0);
  }
  return undefined;
}

/** @returns the end of what was written, or −1 when the block is malformed or does not fit. */
function decodeLz4Block(source: Uint8Array, start: number, end: number, raw: Uint8Array, from: number): number {
  let at = start;
  let to = from;
  while (at < end) {
    const token = source[at++]!;
    let literals = token >> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255) {
        if (at >= end) return -1;
        more = source[at++]!;
        literals += more;
      }
    }
    if (literals > end - at || literals > raw.length - to) return -1;
    if (literals > 32) raw.set(source.subarray(at, at + literals), to);
    else for (let i = 0; i < literals; i++) raw[to + i] = source[at + i]!;
    at += literals;
    to += literals;
    if (at === end) return to;

    if (end - at < 2) return -1;
    const distance = source[at]! | (source[at + 1]! << 8);
    at += 2;
    if (distance === 0 || distance > to) return -1;
    let length = token & 15;
    if (length === 15) {
      let more = 255;
      while (more === 255) {
        if (at >= end) return -1;
        more = source[at++]!;
        length += more;
      }
    }
    length += minMatch;
    if (length > raw.length - to) return -1;
    if (distance >= length && length > 32) raw.copyWithin(to, to - distance, to - distance + length);
    else for (let i = 0; i < length; i++) raw[to + i] = raw[to + i - distance]!;
    to += length;
  }
  return -1;
}
