import { getUint64, setUint64, utf8, utf8Text, bytesEqual, view } from "../bytes.ts";
import { ByteReader, ByteWriter } from "../byte-stream.ts";
import { limits } from "../limits.ts";
import type { FrameKind } from "./frame.ts";
import type { SegmentBinding } from "./binding.ts";
import { damaged, decoded, type Decoded } from "./decoded.ts";
import { crcText, syncMarkerBytes } from "./header.ts";

/**
 * The footer of a sealed segment, docs/format.md §6: sync marker, kind 4, then
 *
 *   groups   count, then each group's name
 *   frames   count, then per frame: gap after the frame before · group · kind · sequence · head length · body length
 *   voids    count, then per range: gap after the range before · length
 *
 * in variable-length integers. It is followed by the trailer:
 *
 *   0  footer offset   8
 *   8  footer length   4
 *  12  footer crc      4   over the footer, bound to name and offset
 *  16  reserved        4   0
 *  20  trailer crc     4   over bytes 0–19, bound to name and offset
 *  24  magic           8   "PAYLEND\n"
 */
export const trailerBytes = 32;
export const footerKind = 4;

const trailerMagic = utf8("PAYLEND\n");

/** A frame as the footer lists it: enough to attribute it when the frame itself is damaged. */
export interface FrameEntry {
  readonly group: string;
  readonly kind: FrameKind;
  readonly sequence: number;
  readonly offset: number;
  readonly headBytes: number;
  readonly bodyBytes: number;
}

/** Bytes of a segment that hold nothing: the tail of a crash, whose whole frames were appended again elsewhere. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * What a segment has, and all of it: a segment with damage is never sealed, because a footer lists what is whole, and would
 * hide that something was lost.
 */
export interface Footer {
  readonly frames: readonly FrameEntry[];
  readonly voids: readonly ByteRange[];
}

/** @returns footer and trailer, to be written at `offset`, the end of the segment so far. */
export function encodeFooter(footer: Footer, marker: Uint8Array, offset: number, binding: SegmentBinding): Uint8Array {
  const draft = new FooterDraft();
  for (const frame of footer.frames) draft.add(frame);
  return draft.encode(footer.voids, marker, offset, binding);
}

/** What a group takes of memory beside its name twice, in bytes: its entry in a map and a string's head. An estimate. */
const groupOverheadBytes = 96;

/** A footer that is made while its segment grows: encoded as far as it goes, so that ending it is a copy and a checksum. */
export class FooterDraft {
  readonly #groups = new Map<string, number>();
  readonly #names = new ByteWriter(64);
  readonly #frames = new ByteWriter(64);
  #count = 0;
  #end = 0;

  /** Frames so far. */
  get count(): number {
    return this.#count;
  }

  /** What it takes of memory, in bytes: some 12 for a frame, and for a group its name twice and 100. An estimate. */
  get memoryBytes(): number {
    return this.#frames.length + 2 * this.#names.length + this.#groups.size * groupOverheadBytes;
  }

  /** Adds the next frame; it lies behind the others. */
  add({ group, kind, sequence, offset, headBytes, bodyBytes }: FrameEntry): void {
    this.#frames.varint(offset - this.#end);
    this.#frames.varint(this.#groups.get(group) ?? this.#name(group));
    this.#frames.uint8(kind === "payloads" ? 1 : 2);
    this.#frames.varint(sequence);
    this.#frames.varint(headBytes);
    this.#frames.varint(bodyBytes);
    this.#count += 1;
    this.#end = offset + headBytes + bodyBytes;
  }

  /** @returns footer and trailer, to be written at `offset`, the end of the segment so far */
  encode(voids: readonly ByteRange[], marker: Uint8Array, offset: number, binding: SegmentBinding): Uint8Array {
    const writer = new ByteWriter(marker.length + this.#names.length + this.#frames.length + 256);
    writer.bytes(marker);
    writer.uint8(footerKind);
    writer.varint(this.#groups.size);
    writer.bytes(this.#names.finish());
    writer.varint(this.#count);
    writer.bytes(this.#frames.finish());
    writer.varint(voids.length);
    let end = 0;
    for (const range of voids) {
      writer.varint(range.start - end);
      writer.varint(range.end - range.start);
      end = range.end;
    }

    const footerBytes = writer.length;
    const trailer = new Uint8Array(trailerBytes);
    const data = view(trailer);
    setUint64(data, 0, offset);
    data.setUint32(8, footerBytes, true);
    data.setUint32(12, binding.crc(offset, writer.finish()), true);
    data.setUint32(20, binding.crc(offset + footerBytes, trailer.subarray(0, 20)), true);
    trailer.set(trailerMagic, 24);
    writer.bytes(trailer);
    return writer.finish();
  }

  #name(group: string): number {
    const number = this.#groups.size;
    this.#names.text(group);
    // A copy: a caller's string may be a part of a longer one, which it would keep in memory.
    this.#groups.set(utf8Text(utf8(group)) ?? group, number);
    return number;
  }
}

/** @param bytes  the last {@link trailerBytes} of the segment, which is `size` bytes long */
export function decodeTrailer(
  bytes: Uint8Array,
  size: number,
  binding: SegmentBinding,
): Decoded<{ offset: number; bytes: number; crc: number }> {
  if (bytes.length < trailerBytes || !bytesEqual(bytes.subarray(24, 32), trailerMagic)) return damaged("no trailer");
  const data = view(bytes);
  const stored = data.getUint32(20, true);
  const computed = binding.crc(size - trailerBytes, bytes.subarray(0, 20));
  if (stored !== computed) return damaged(`trailer crc ${crcText(stored)} ≠ ${crcText(computed)}`);
  const offset = getUint64(data, 0);
  const footerBytes = data.getUint32(8, true);
  if (offset === undefined || offset + footerBytes + trailerBytes !== size)
    return damaged("trailer and length disagree");
  return decoded({ offset, bytes: footerBytes, crc: data.getUint32(12, true) });
}

/** Names and frames that are decoded in one step: some half a millisecond. */
const entriesPerStep = 512;

/** @param bytes  the footer without its trailer, as it lies at `offset` */
export function decodeFooter(
  bytes: Uint8Array,
  crc: number,
  offset: number,
  marker: Uint8Array,
  binding: SegmentBinding,
): Decoded<Footer> {
  const steps = decodeFooterInSteps(bytes, crc, offset, marker, binding);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** The same in steps of some half a millisecond, between which others may run: the footer of a million frames takes a second. */
export function* decodeFooterInSteps(
  bytes: Uint8Array,
  crc: number,
  offset: number,
  marker: Uint8Array,
  binding: SegmentBinding,
): Generator<void, Decoded<Footer>> {
  const computed = binding.crc(offset, bytes);
  if (crc !== computed) return damaged(`footer crc ${crcText(crc)} ≠ ${crcText(computed)}`);
  const reader = new ByteReader(bytes);
  const foreign = !bytesEqual(reader.bytes(syncMarkerBytes), marker);
  if (foreign || reader.uint8() !== footerKind) return damaged("footer of another segment");

  const groups: string[] = [];
  for (let left = reader.count(limits.segmentFramesMax); left > 0 && !reader.failed; left--) {
    groups.push(reader.text(limits.nameBytesMax));
    if (groups.length % entriesPerStep === 0) yield;
  }
  const frames: FrameEntry[] = [];
  let end = 0;
  for (let left = reader.count(limits.segmentFramesMax, 6); left > 0 && !reader.failed; left--) {
    const start = end + reader.varint();
    const group = groups[reader.varint()];
    const kind = reader.uint8();
    const sequence = reader.varint();
    const headBytes = reader.varint();
    const bodyBytes = reader.varint();
    end = start + headBytes + bodyBytes;
    if (group === undefined || (kind !== 1 && kind !== 2) || end > offset)
      return damaged("footer lists an impossible frame");
    frames.push({ group, kind: kind === 1 ? "payloads" : "tombstone", sequence, offset: start, headBytes, bodyBytes });
    if (frames.length % entriesPerStep === 0) yield;
  }
  const voids: ByteRange[] = [];
  end = 0;
  for (let left = reader.count(limits.segmentFramesMax, 2); left > 0 && !reader.failed; left--) {
    const start = end + reader.varint();
    end = start + reader.varint();
    voids.push({ start, end });
  }
  if (reader.failed || reader.remaining !== 0 || end > offset) return damaged("footer is malformed");
  return decoded({ frames, voids });
}
