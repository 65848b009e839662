import { bytesEqual, utf8, view } from "../bytes.ts";
import type { PayloadStoreError } from "../errors.ts";
import { several, type Change, type ChangeKind, type Several } from "./change.ts";
import { ColumnSpace } from "./change-columns.ts";
import { ChangeTable, type PackedChanges, type PendingChanges } from "./change-table.ts";
import { keysPerStep } from "./index-bounds.ts";
import { key1Mask } from "./index-key.ts";
import { indexDamage, type ReadableFile } from "./run.ts";

/**
 * The changes that no run has, as they are saved: the tables of the lanes one after the other, each read when its lane is
 * first asked. docs/format.md §13.4.
 *
 *      tables           of each: records of 12 bytes, then words of lists, u32 each
 *      directory        12 bytes each: records u32, words of lists u32, CRC-32 of the table from its number
 *   0  magic        8   "PAYLOVL\n"
 *   8  version      4   1: since 1 the records lie packed, a table at a time
 *  12  tables       4
 *  16  crc          4   CRC-32 over the directory and bytes 0–15
 */
export const overlayVersion = 1;
export const overlayFooterBytes = 20;

const magic = utf8("PAYLOVL\n");
const recordBytes = 12;
const directoryEntryBytes = 12;
const bytesAtOnce = 64 * 1024;
/** Look-ups in the first table before it is made, and how many more of each next one: a commit of 256 ids in 64 lanes makes four. */
const looksBeforeTable = 16;
const looksApart = 1;
/** A key's second word has no bits here: they take the kind. */
const kindMask = 7;

type Crc32 = (bytes: Uint8Array, seed?: number) => number;

/** Takes the bytes of an overlay, in order; it must not keep them. */
type Write = (bytes: Uint8Array) => void;

/** Writes these tables, which must not change meanwhile. It stops after each step, of some 256 keys. Cost: 12 bytes a key; about 20 ns. */
export function* encodeOverlay(tables: readonly ChangeTable[], write: Write, crc32: Crc32): Generator<void, void> {
  const directory = new Uint8Array(directoryEntryBytes * tables.length + overlayFooterBytes);
  const data = view(directory);
  const space: TableSpace = { columns: new ColumnSpace(), records: new Int32Array(0) };
  for (const [i, table] of tables.entries()) {
    const listWords = yield* encodeRecords(table, space);
    const records = bytesOf(space.records.subarray(0, 3 * table.size));
    const lists = bytesOf(Uint32Array.from(listWords));
    let crc = i;
    for (const bytes of [records, lists]) {
      for (let from = 0; from < bytes.length; from += bytesAtOnce) {
        const some = bytes.subarray(from, from + bytesAtOnce);
        crc = crc32(some, crc);
        write(some);
        yield;
      }
    }
    data.setUint32(directoryEntryBytes * i, table.size, true);
    data.setUint32(directoryEntryBytes * i + 4, listWords.length, true);
    data.setUint32(directoryEntryBytes * i + 8, crc, true);
  }
  const footerAt = directoryEntryBytes * tables.length;
  directory.set(magic, footerAt);
  data.setUint32(footerAt + 8, overlayVersion, true);
  data.setUint32(footerAt + 12, tables.length, true);
  data.setUint32(footerAt + 16, crc32(directory.subarray(0, footerAt + 16)), true);
  write(directory);
}

/** What one table after the other is encoded in. */
interface TableSpace {
  readonly columns: ColumnSpace;
  records: Int32Array;
}

/** Fills the space with a table's records. @returns the words of its lists */
function* encodeRecords(table: ChangeTable, space: TableSpace): Generator<void, number[]> {
  const { columns } = space;
  yield* table.gather(columns);
  const { keys } = columns;
  if (space.records.length < 3 * keys) space.records = new Int32Array(4 * keys);
  const listWords: number[] = [];
  for (let from = 0; from < keys; from += keysPerStep) {
    encodeSome(columns, from, Math.min(keys, from + keysPerStep), space.records, listWords);
    yield;
  }
  return listWords;
}

function encodeSome(columns: ColumnSpace, from: number, to: number, records: Int32Array, listWords: number[]): void {
  const { key0, key1, kind, value, several: lists } = columns;
  for (let i = from; i < to; i++) {
    records[3 * i] = key0[i]!;
    records[3 * i + 1] = key1[i]! | kind[i]!;
    records[3 * i + 2] = value[i]!;
    if (kind[i] !== several) continue;
    const { drops, adds, removes } = lists[value[i]!]!;
    records[3 * i + 2] = listWords.length;
    listWords.push(adds.length, removes.length * 2 + Number(drops));
    for (const each of adds) listWords.push(each);
    for (const each of removes) listWords.push(each);
  }
}

function bytesOf(words: Int32Array | Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/** A saved overlay, open for reading. A table is read when it is first asked; its file is closed when all have been, or by {@link close}. */
export class SavedOverlay {
  readonly name: string;
  readonly tables: readonly ChangeTable[];
  readonly #file: ReadableFile;
  readonly #crc32: Crc32;
  #unread = 0;

  /** @throws {PayloadStoreError} `CORRUPT` when footer or directory are not what was written */
  constructor(name: string, file: ReadableFile, bytes: number, crc32: Crc32) {
    this.name = name;
    this.#file = file;
    this.#crc32 = crc32;
    const footerAt = bytes - overlayFooterBytes;
    if (footerAt < 0) throw this.#damage(`${bytes} bytes are too few`);
    const footer = this.#read(overlayFooterBytes, footerAt);
    if (!bytesEqual(footer.subarray(0, 8), magic)) throw this.#damage("not an overlay");
    const data = view(footer);
    const count = data.getUint32(12, true);
    const directoryAt = footerAt - directoryEntryBytes * count;
    if (directoryAt < 0) throw this.#damage("cut short");
    const directory = this.#read(directoryEntryBytes * count, directoryAt);
    if (data.getUint32(16, true) !== crc32(footer.subarray(0, 16), crc32(directory)))
      throw this.#damage("crc of the directory differs");
    const version = data.getUint32(8, true);
    if (version !== overlayVersion) throw this.#damage(`version ${version}, expected ${overlayVersion}`);
    this.tables = this.#open(directory, directoryAt);
  }

  close(): void {
    this.#file.close();
  }

  #open(directory: Uint8Array, end: number): ChangeTable[] {
    const data = view(directory);
    const tables: ChangeTable[] = [];
    let at = 0;
    for (let i = 0; i < directory.length; i += directoryEntryBytes) {
      const saved = {
        table: tables.length,
        at,
        keys: data.getUint32(i, true),
        listWords: data.getUint32(i + 4, true),
        crc: data.getUint32(i + 8, true),
      };
      at += recordBytes * saved.keys + 4 * saved.listWords;
      if (at > end) break;
      if (saved.keys > 0) this.#unread += 1;
      tables.push(saved.keys > 0 ? ChangeTable.pending(this.#pending(saved)) : new ChangeTable());
    }
    if (at !== end) throw this.#damage("tables and directory differ in length");
    if (this.#unread === 0) this.close();
    return tables;
  }

  #pending(saved: SavedTable): PendingChanges {
    return {
      keys: saved.keys,
      looksMax: looksBeforeTable + looksApart * saved.table,
      read: () => this.#packed(saved),
    };
  }

  #packed({ table, at, keys, listWords, crc }: SavedTable): PackedChanges {
    const bytes = this.#read(recordBytes * keys + 4 * listWords, at);
    if (this.#crc32(bytes, table) !== crc) throw this.#damage(`crc of table ${table} differs`);
    this.#unread -= 1;
    if (this.#unread === 0) this.close();
    const records = new Int32Array(bytes.buffer, 0, 3 * keys);
    const lists = new Uint32Array(bytes.buffer, recordBytes * keys, listWords);
    return new PackedTable(records, lists, (what) => this.#damage(`table ${table} ${what}`));
  }

  #read(length: number, offset: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    if (this.#file.read(bytes, offset) < length) throw this.#damage("cut short");
    return bytes;
  }

  #damage(what: string): PayloadStoreError {
    return indexDamage(this.name, what);
  }
}

/** The changes of one table, as they were saved. */
class PackedTable implements PackedChanges {
  readonly refuse: (what: string) => PayloadStoreError;
  readonly #records: Int32Array;
  readonly #lists: Uint32Array;

  constructor(records: Int32Array, lists: Uint32Array, refuse: (what: string) => PayloadStoreError) {
    this.#records = records;
    this.#lists = lists;
    this.refuse = refuse;
  }

  find(key0: number, key1: number): Change | undefined {
    const records = this.#records;
    const word0 = key0 | 0;
    for (let at = records.indexOf(word0); at >= 0; at = records.indexOf(word0, at + 1)) {
      if (at % 3 !== 0 || (records[at + 1]! & key1Mask) !== (key1 | 0)) continue;
      const kind = this.#kindAt(at);
      const stored = records[at + 2]!;
      return kind === several
        ? { kind, value: 0, several: this.#listAt(stored) }
        : { kind, value: stored >>> 0, several: undefined };
    }
    return undefined;
  }

  unpack(from: number, to: number, lists: (Several | undefined)[]): Int32Array {
    const records = this.#records;
    const words = new Int32Array((to - from) * 4);
    for (let at = 3 * from, into = 0; at < 3 * to; at += 3, into += 4) {
      const kind = this.#kindAt(at);
      words[into] = records[at]!;
      words[into + 1] = records[at + 1]! & key1Mask;
      words[into + 2] = kind;
      words[into + 3] = kind === several ? lists.push(this.#listAt(records[at + 2]!)) - 1 : records[at + 2]!;
    }
    return words;
  }

  #kindAt(at: number): ChangeKind {
    const key1 = this.#records[at + 1]!;
    const kind = key1 & kindMask;
    if (kind < 1 || kind > several || (key1 & ~key1Mask) !== kind) throw this.refuse(`has a change of kind ${kind}`);
    return kind as ChangeKind;
  }

  #listAt(word: number): Several {
    const list = readList(this.#lists, word >>> 0);
    if (!list) throw this.refuse(`has no list at word ${word >>> 0}`);
    return list;
  }
}

/** Where a table lies, and what it is. */
interface SavedTable {
  readonly table: number;
  readonly at: number;
  readonly keys: number;
  readonly listWords: number;
  readonly crc: number;
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
