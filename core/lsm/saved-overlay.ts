import { bytesEqual, utf8, view } from "../bytes.ts";
import type { PayloadStoreError } from "../errors.ts";
import { several, type Several } from "./change.ts";
import { ChangeTable, type PendingChanges } from "./change-table.ts";
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
/** A key's second word has no bits here: they take the kind. */
const kindMask = 7;

type Crc32 = (bytes: Uint8Array, seed?: number) => number;

/** The bytes of these tables, in parts to be written one after the other. Cost: 12 bytes a key; about 20 ns, a table at a time. */
export function* encodeOverlay(tables: readonly ChangeTable[], crc32: Crc32): Generator<Uint8Array, void> {
  const directory = new Uint8Array(directoryEntryBytes * tables.length + overlayFooterBytes);
  const data = view(directory);
  for (const [i, table] of tables.entries()) {
    const { bytes, listWords } = encodeTable(table);
    data.setUint32(directoryEntryBytes * i, table.size, true);
    data.setUint32(directoryEntryBytes * i + 4, listWords, true);
    data.setUint32(directoryEntryBytes * i + 8, crc32(bytes, i), true);
    yield bytes;
  }
  const footerAt = directoryEntryBytes * tables.length;
  directory.set(magic, footerAt);
  data.setUint32(footerAt + 8, overlayVersion, true);
  data.setUint32(footerAt + 12, tables.length, true);
  data.setUint32(footerAt + 16, crc32(directory.subarray(0, footerAt + 16)), true);
  yield directory;
}

function encodeTable(table: ChangeTable): { readonly bytes: Uint8Array; readonly listWords: number } {
  const { keys, key0, key1, kind, value, several: lists } = table.columns();
  const records = new Int32Array(3 * keys);
  const words: number[] = [];
  for (let i = 0; i < keys; i++) {
    records[3 * i] = key0[i]!;
    records[3 * i + 1] = key1[i]! | kind[i]!;
    records[3 * i + 2] = value[i]!;
    if (kind[i] !== several) continue;
    const { drops, adds, removes } = lists[value[i]!]!;
    records[3 * i + 2] = words.length;
    words.push(adds.length, removes.length * 2 + Number(drops));
    for (const each of adds) words.push(each);
    for (const each of removes) words.push(each);
  }
  const recordsBytes = new Uint8Array(records.buffer);
  if (words.length === 0) return { bytes: recordsBytes, listWords: 0 };
  const bytes = new Uint8Array(recordsBytes.length + 4 * words.length);
  bytes.set(recordsBytes);
  bytes.set(new Uint8Array(Uint32Array.from(words).buffer), recordsBytes.length);
  return { bytes, listWords: words.length };
}

/** A saved overlay, open for reading. Its file is closed when all tables have been read, or by {@link close}. */
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
      read: () => this.#changes(saved),
      refuse: (what) => this.#damage(`table ${saved.table} ${what}`),
    };
  }

  #changes({ table, at, keys, listWords, crc }: SavedTable): ReturnType<PendingChanges["read"]> {
    const bytes = this.#read(recordBytes * keys + 4 * listWords, at);
    if (this.#crc32(bytes, table) !== crc) throw this.#damage(`crc of table ${table} differs`);
    const records = new Int32Array(bytes.buffer, 0, 3 * keys);
    const saved = new Uint32Array(bytes.buffer, recordBytes * keys, listWords);
    const words = new Int32Array(4 * keys);
    const lists: Several[] = [];
    for (let from = 0, to = 0; from < records.length; from += 3, to += 4) {
      const key1 = records[from + 1]!;
      const kind = key1 & kindMask;
      if (kind < 1 || kind > several || (key1 & ~key1Mask) !== kind)
        throw this.#damage(`table ${table} has a change of kind ${kind}`);
      words[to] = records[from]!;
      words[to + 1] = key1 & key1Mask;
      words[to + 2] = kind;
      words[to + 3] = records[from + 2]!;
      if (kind !== several) continue;
      const list = readList(saved, records[from + 2]! >>> 0);
      if (!list) throw this.#damage(`table ${table} has no list at word ${records[from + 2]! >>> 0}`);
      words[to + 3] = lists.push(list) - 1;
    }
    this.#unread -= 1;
    if (this.#unread === 0) this.close();
    return { words, lists };
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
