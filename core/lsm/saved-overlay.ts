import { bytesEqual, concat, utf8, view } from "../bytes.ts";
import { damaged, decoded, type Decoded } from "../segment/decoded.ts";
import { several, type ChangeKind } from "./change.ts";
import type { ChangeTable } from "./change-table.ts";
import type { LaneMap } from "./lane-map.ts";

/**
 * The changes that no run has, as they are saved. docs/format.md §11.5. The file is named by its SHA-256, which is
 * verified before it is read.
 *
 *   0  magic     8   "PAYLOVL\n"
 *   8  version   4   0
 *  12  keys      4
 *  16  words     4   of the lists
 *  20  columns       key words 0, key words 1, values: i32 each; the lists' words: u32 each; kinds: u8 each
 */
export const overlayVersion = 0;

const magic = utf8("PAYLOVL\n");
const headerBytes = 20;

/** A copy of the changes in these tables; `undefined` when there are none. Cost: 13 bytes a key, about 20 ns. */
export function encodeOverlay(tables: readonly ChangeTable[]): Uint8Array | undefined {
  const all = tables.filter((table) => table.size > 0).map((table) => table.columns());
  if (all.length === 0) return undefined;
  const lists: number[] = [];
  for (const { kind, value, several: wholes, keys } of all) {
    for (let i = 0; i < keys; i++) {
      if (kind[i] !== several) continue;
      const whole = wholes[value[i]!]!;
      value[i] = lists.length;
      lists.push(whole.adds.length, whole.removes.length * 2 + Number(whole.drops));
      for (const listed of [whole.adds, whole.removes]) for (const each of listed) lists.push(each);
    }
  }
  const words = Uint32Array.from(lists);
  const header = new Uint8Array(headerBytes);
  const data = view(header);
  header.set(magic, 0);
  data.setUint32(8, overlayVersion, true);
  data.setUint32(
    12,
    all.reduce((sum, { keys }) => sum + keys, 0),
    true,
  );
  data.setUint32(16, words.length, true);
  return concat([
    header,
    ...all.map(({ key0 }) => bytesOf(key0)),
    ...all.map(({ key1 }) => bytesOf(key1)),
    ...all.map(({ value }) => bytesOf(value)),
    bytesOf(words),
    ...all.map(({ kind }) => kind),
  ]);
}

/** Applies the saved changes to a map that has none. */
export function restoreOverlay(bytes: Uint8Array, map: LaneMap): Decoded<true> {
  if (bytes.length < headerBytes || !bytesEqual(bytes.subarray(0, 8), magic)) return damaged("not an overlay");
  const data = view(bytes);
  const version = data.getUint32(8, true);
  if (version !== overlayVersion) return damaged(`overlay version ${version}, expected ${overlayVersion}`);
  const keys = data.getUint32(12, true);
  const words = data.getUint32(16, true);
  if (headerBytes + 13 * keys + 4 * words !== bytes.length) return damaged("overlay and its header differ in length");
  const word = (column: number, i: number) => headerBytes + 4 * (column * keys + i);
  const list = (i: number) => data.getUint32(word(3, i), true);
  for (let i = 0; i < keys; i++) {
    const kind = bytes[headerBytes + 12 * keys + 4 * words + i]!;
    if (kind < 1 || kind > several) return damaged(`overlay: change ${i} is of kind ${kind}`);
    const key0 = data.getInt32(word(0, i), true);
    const key1 = data.getInt32(word(1, i), true);
    const value = data.getUint32(word(2, i), true);
    if (kind !== several) {
      map.apply(key0, key1, kind as ChangeKind, value);
      continue;
    }
    if (value + 2 > words) return damaged(`overlay: a list at word ${value} of ${words}`);
    const adding = list(value);
    const rest = list(value + 1);
    const from = value + 2;
    if (from + adding + (rest >>> 1) > words) return damaged(`overlay: a list at word ${value} of ${words}`);
    const values = (start: number, count: number) => Array.from({ length: count }, (_, n) => list(start + n));
    map.apply(key0, key1, several, 0, {
      drops: (rest & 1) === 1,
      adds: values(from, adding),
      removes: values(from + adding, rest >>> 1),
    });
  }
  return decoded(true);
}

function bytesOf(array: Int32Array | Uint32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
