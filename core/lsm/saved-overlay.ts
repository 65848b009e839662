import { bytesEqual, utf8, view } from "../bytes.ts";
import { damaged, decoded, type Decoded } from "../segment/decoded.ts";
import type { Several } from "./change.ts";
import { ChangeTable } from "./change-table.ts";

/**
 * The changes that no run has, as they are saved: the tables of the lanes as they are in memory, so that a start need not
 * fill them again. docs/format.md §13.4.
 *
 *   0  magic        8   "PAYLOVL\n"
 *   8  version      4   0
 *  12  tables       4
 *  16  list words   4
 *  20  crc          4   CRC-32 over bytes 0–19 and everything from byte 24 on
 *  24  table        8 each: words u32, keys u32
 *      words            of the tables, one after the other, i32 each
 *      lists            u32 each
 */
export const overlayVersion = 0;

const magic = utf8("PAYLOVL\n");
const headerBytes = 24;

type Crc32 = (bytes: Uint8Array, seed?: number) => number;

/**
 * A copy of the changes in these tables, in parts to be written one after the other; `undefined` when there are none.
 * Cost: a copy of the tables, 21–43 bytes a key.
 */
export function encodeOverlay(tables: readonly ChangeTable[], crc32: Crc32): Uint8Array[] | undefined {
  if (tables.every((table) => table.size === 0)) return undefined;
  const lists: number[] = [];
  const words = tables.map((table) =>
    table.copyWords((whole) => {
      const at = lists.length;
      lists.push(whole.adds.length, whole.removes.length * 2 + Number(whole.drops));
      for (const listed of [whole.adds, whole.removes]) for (const each of listed) lists.push(each);
      return at;
    }),
  );
  const head = new Uint8Array(headerBytes + 8 * tables.length);
  const data = view(head);
  head.set(magic, 0);
  data.setUint32(8, overlayVersion, true);
  data.setUint32(12, tables.length, true);
  data.setUint32(16, lists.length, true);
  for (const [i, table] of tables.entries()) {
    data.setUint32(headerBytes + 8 * i, words[i]!.length, true);
    data.setUint32(headerBytes + 8 * i + 4, table.size, true);
  }
  const parts = [...words, Uint32Array.from(lists)].map((part) => new Uint8Array(part.buffer));
  let crc = crc32(head.subarray(headerBytes), crc32(head.subarray(0, 20)));
  for (const part of parts) crc = crc32(part, crc);
  data.setUint32(20, crc, true);
  return [head, ...parts];
}

/** @param bytes  beginning at a multiple of four in their memory; the tables keep views into it */
export function decodeOverlay(bytes: Uint8Array, crc32: Crc32): Decoded<ChangeTable[]> {
  if (bytes.length < headerBytes || !bytesEqual(bytes.subarray(0, 8), magic)) return damaged("not an overlay");
  const data = view(bytes);
  if (data.getUint32(20, true) !== crc32(bytes.subarray(headerBytes), crc32(bytes.subarray(0, 20))))
    return damaged("overlay crc differs");
  const version = data.getUint32(8, true);
  if (version !== overlayVersion) return damaged(`overlay version ${version}, expected ${overlayVersion}`);
  const count = data.getUint32(12, true);
  const listWords = data.getUint32(16, true);
  let at = headerBytes + 8 * count;
  if (at > bytes.length) return damaged("overlay is cut short");
  let end = at + 4 * listWords;
  for (let i = 0; i < count; i++) end += 4 * data.getUint32(headerBytes + 8 * i, true);
  if (end !== bytes.length) return damaged("overlay and its header differ in length");

  const lists = new Uint32Array(bytes.buffer, bytes.byteOffset + bytes.length - 4 * listWords, listWords);
  const tables: ChangeTable[] = [];
  for (let i = 0; i < count; i++) {
    const length = data.getUint32(headerBytes + 8 * i, true);
    const table = new ChangeTable();
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, length);
    if (!table.restore(words, data.getUint32(headerBytes + 8 * i + 4, true), (list) => readList(lists, list)))
      return damaged(`overlay: table ${i}`);
    tables.push(table);
    at += 4 * length;
  }
  return decoded(tables);
}

function readList(lists: Uint32Array, at: number): Several | undefined {
  const adding = lists[at];
  const rest = lists[at + 1];
  if (adding === undefined || rest === undefined) return undefined;
  const from = at + 2;
  const removing = rest >>> 1;
  if (from + adding + removing > lists.length) return undefined;
  return {
    drops: (rest & 1) === 1,
    adds: [...lists.subarray(from, from + adding)],
    removes: [...lists.subarray(from + adding, from + adding + removing)],
  };
}
