import { bytesEqual, utf8, view } from "../bytes.ts";
import { damaged, decoded, type Decoded } from "../segment/decoded.ts";
import { pilotsBefore, remapBefore } from "./perfect-hash.ts";

/**
 * A run: what a lane's keys map to, sealed. docs/format.md §13.
 *
 *   slot pages      4,096 bytes each: u32 crc, then slots; part by part, in the order of the perfect hash
 *   list pages      4,096 bytes each: u32 crc, then 1,023 words: changes that name more than one value
 *   resident part   what a reader keeps in memory: starts of the parts, remap, seeds, pilots, fingerprints
 *   footer          40 bytes
 */
export const runVersion = 0;
export const pageBytes = 4096;
export const pageHeadBytes = 4;
export const runFooterBytes = 40;
export const wordsPerListPage: number = (pageBytes - pageHeadBytes) / 4;
/** Parts of one run at most: 2^20 of them hold three billion keys. */
export const partBitsMax = 20;
/** Value, kind and check at the end of a slot, in bytes. */
const slotTailBytes = 5;

const magic = utf8("PAYLRUN\n");

/** The lengths of a run, which decide all others. */
export interface RunShape {
  readonly keys: number;
  /** The run has 2^partBits parts, each the keys whose hash begins with its number. */
  readonly partBits: number;
  /** Words in the list pages. */
  readonly listWords: number;
}

export interface RunLayout extends RunShape {
  readonly parts: number;
  /** Bytes of a slot that hold the remainder of the key. */
  readonly remainderBytes: number;
  readonly slotBytes: number;
  readonly slotsPerPage: number;
  readonly slotPages: number;
  readonly listPages: number;
  readonly pilots: number;
  readonly remap: number;
  /** Where the resident part begins, and how long it is. */
  readonly residentAt: number;
  readonly residentBytes: number;
  readonly bytes: number;
}

/** How many parts suit so many keys: of 1,536 to 3,072, which build fast and have little overhead. */
export function partBitsFor(keys: number): number {
  return Math.min(partBitsMax, Math.max(0, Math.floor(Math.log2(keys / 1536))));
}

export function runLayout({ keys, partBits, listWords }: RunShape): RunLayout {
  const parts = 2 ** partBits;
  const remainderBytes = partBits < 2 ? 6 : 5;
  const slotBytes = remainderBytes + slotTailBytes;
  const slotsPerPage = Math.floor((pageBytes - pageHeadBytes) / slotBytes);
  const slotPages = Math.ceil(keys / slotsPerPage);
  const listPages = Math.ceil(listWords / wordsPerListPage);
  const pilots = pilotsBefore(keys, parts);
  const remap = remapBefore(keys, parts);
  const residentAt = (slotPages + listPages) * pageBytes;
  const residentBytes = 4 * (parts + 1) + 2 * remap + parts + pilots + keys;
  return {
    keys,
    partBits,
    listWords,
    parts,
    remainderBytes,
    slotBytes,
    slotsPerPage,
    slotPages,
    listPages,
    pilots,
    remap,
    residentAt,
    residentBytes,
    bytes: residentAt + residentBytes + runFooterBytes,
  };
}

/** The arrays of the resident part, as views into its bytes, which begin at a multiple of four. */
export interface ResidentArrays {
  /** Keys before each part, and their number at the end. */
  readonly starts: Int32Array;
  readonly remap: Uint16Array;
  readonly seeds: Uint8Array;
  readonly pilots: Uint8Array;
  readonly fingerprints: Uint8Array;
}

export function residentArrays(bytes: Uint8Array, { parts, remap, pilots, keys }: RunLayout): ResidentArrays {
  let at = bytes.byteOffset;
  const take = (length: number) => (at += length) - length;
  const starts = new Int32Array(bytes.buffer, take(4 * (parts + 1)), parts + 1);
  const remapped = new Uint16Array(bytes.buffer, take(2 * remap), remap);
  const bytesOf = (length: number) => new Uint8Array(bytes.buffer, take(length), length);
  return {
    starts,
    remap: remapped,
    seeds: bytesOf(parts),
    pilots: bytesOf(pilots),
    fingerprints: bytesOf(keys),
  };
}

type Crc32 = (bytes: Uint8Array, seed?: number) => number;

/** The checksum of a page covers its number: a page that lies elsewhere is damage. */
export function pageCrc(page: Uint8Array, number: number, crc32: Crc32): number {
  return crc32(page.subarray(pageHeadBytes), number);
}

/**
 *   0  magic           8   "PAYLRUN\n"
 *   8  version         4   0
 *  12  keys            4
 *  16  list words      4
 *  20  resident crc    4   CRC-32 of the resident part
 *  24  part bits       1
 *  25  reserved       11
 *  36  crc             4   CRC-32 over bytes 0–35
 */
export function encodeRunFooter(shape: RunShape, residentCrc: number, crc32: Crc32): Uint8Array {
  const bytes = new Uint8Array(runFooterBytes);
  const data = view(bytes);
  bytes.set(magic, 0);
  data.setUint32(8, runVersion, true);
  data.setUint32(12, shape.keys, true);
  data.setUint32(16, shape.listWords, true);
  data.setUint32(20, residentCrc, true);
  data.setUint8(24, shape.partBits);
  data.setUint32(36, crc32(bytes.subarray(0, 36)), true);
  return bytes;
}

/** @param runBytes  length of the whole file, which the footer's numbers have to add up to */
export function decodeRunFooter(
  bytes: Uint8Array,
  runBytes: number,
  crc32: Crc32,
): Decoded<{ readonly layout: RunLayout; readonly residentCrc: number }> {
  if (bytes.length !== runFooterBytes || !bytesEqual(bytes.subarray(0, 8), magic)) return damaged("no footer of a run");
  const data = view(bytes);
  if (data.getUint32(36, true) !== crc32(bytes.subarray(0, 36))) return damaged("crc of the footer differs");
  const version = data.getUint32(8, true);
  if (version !== runVersion) return damaged(`version ${version}, expected ${runVersion}`);
  const partBits = data.getUint8(24);
  if (partBits > partBitsMax) return damaged(`2^${partBits} parts, at most 2^${partBitsMax}`);
  const layout = runLayout({ keys: data.getUint32(12, true), partBits, listWords: data.getUint32(16, true) });
  if (layout.bytes !== runBytes) return damaged(`${runBytes} bytes, its footer says ${layout.bytes}`);
  return decoded({ layout, residentCrc: data.getUint32(20, true) });
}
