import { ByteReader } from "../byte-stream.ts";
import { utf8 } from "../bytes.ts";
import { limits } from "../limits.ts";
import type { Decoded } from "../segment/decoded.ts";
import { hidden, malformed, passEntry, placed, silent, type PageAnswer } from "./find-in-page.ts";
import {
  blocksMax,
  firstBlock,
  minBlockBytes,
  minEntryBytes,
  readBlock,
  readEntry,
  readNames,
  readOpening,
  storedBytes,
  type BlockCursor,
  type PageEntry,
  type PageOpening,
} from "./page.ts";

/**
 * Where the entries and blocks of an encoded page begin, so that an id is found without a look at the others. It pays for
 * pages that are asked again and again: it takes as long to make as some four ids to be found.
 */
export class PageDirectory {
  readonly #page: PageOpening;
  readonly #types: readonly string[];
  readonly #deleted: readonly string[];
  /** Of each block: where it begins in the page, behind the frame's head, and in the stream. */
  readonly #blocks: Uint32Array;
  /** Of each entry: where it begins in the page, and its payload in the stream. */
  readonly #entries: Uint32Array;
  /** Numbers of entries, from 1 on, each at its id's hash or behind it; at least half of them are 0. A page has at most 10,000. */
  readonly #slots: Uint16Array;

  private constructor(
    page: PageOpening,
    names: { readonly types: readonly string[]; readonly deleted: readonly string[] },
    {
      blocks,
      entries,
      slots,
    }: { readonly blocks: Uint32Array; readonly entries: Uint32Array; readonly slots: Uint16Array },
  ) {
    this.#page = page;
    this.#types = names.types;
    this.#deleted = names.deleted;
    this.#blocks = blocks;
    this.#entries = entries;
    this.#slots = slots;
  }

  /** @returns the directory of a page, `undefined` where it is malformed, or longer than 4 GiB. */
  static of(bytes: Uint8Array): PageDirectory | undefined {
    const reader = new ByteReader(bytes);
    const page = readOpening(reader);
    const isUpload = page.upload !== undefined;
    const blocks = new Uint32Array(reader.count(blocksMax, minBlockBytes) * blockFields);
    let offset = 0;
    let streamBytes = 0;
    for (let at = 0; at < blocks.length && !reader.failed; at += blockFields) {
      blocks[at] = reader.offset;
      blocks[at + 1] = offset;
      blocks[at + 2] = streamBytes;
      const block = readBlock(reader, page);
      offset += storedBytes(block.bodyBytes, isUpload);
      streamBytes += block.rawBytes;
    }
    const names = readNames(reader);
    const count = reader.count(limits.commitPayloadsMax, minEntryBytes);
    const entries = new Uint32Array(count * entryFields);
    const slots = new Uint16Array(2 ** (32 - Math.clz32(2 * count)));
    let streamStart = 0;
    for (let number = 0; number < count && !reader.failed; number++) {
      const entryAt = reader.offset;
      entries[number * entryFields] = entryAt;
      entries[number * entryFields + 1] = streamStart;
      const idBytes = reader.varint();
      const idAt = reader.offset;
      reader.skip(idBytes);
      let slot = hashOf(bytes, idAt, reader.offset) & (slots.length - 1);
      while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1);
      slots[slot] = number + 1;
      streamStart += passEntry(reader);
    }
    if (reader.failed || offset > 0xffff_ffff || streamBytes > 0xffff_ffff || streamStart > 0xffff_ffff)
      return undefined;
    return new PageDirectory(page, names, { blocks, entries, slots });
  }

  /** Memory that it takes, in bytes. */
  get bytes(): number {
    return this.#blocks.byteLength + this.#entries.byteLength + this.#slots.byteLength + overheadBytes;
  }

  /** As `findInPage` in the page that it was made of, wherever that lies now. Cost: 0.3 µs. */
  find(bytes: Uint8Array, id: string): Decoded<PageAnswer> {
    const wanted = utf8(id);
    const last = this.#slots.length - 1;
    for (let slot = hashOf(wanted, 0, wanted.length) & last; this.#slots[slot]! > 0; slot = (slot + 1) & last) {
      const at = (this.#slots[slot]! - 1) * entryFields;
      const reader = new ByteReader(bytes, this.#entries[at]);
      if (!reader.skipIfEqual(reader.varint(), wanted)) continue;
      const entry = readEntry(reader, id, this.#types);
      return reader.failed ? malformed : this.#placed(bytes, entry, this.#entries[at + 1]!);
    }
    return this.#page.clearsGroup || this.#deleted.includes(id) ? hidden : silent;
  }

  #placed(bytes: Uint8Array, entry: PageEntry, streamStart: number): Decoded<PageAnswer> {
    const blocks = this.#blocks;
    const count = blocks.length / blockFields;
    let number = 0;
    // The last that begins no later than the payload.
    for (let end = count; end - number > 1;) {
      const middle = (number + end) >>> 1;
      if (blocks[middle * blockFields + 2]! <= streamStart) number = middle;
      else end = middle;
    }
    const at = number * blockFields;
    const cursor: BlockCursor = { ...firstBlock(), offset: blocks[at + 1] ?? 0, rawStart: blocks[at + 2] ?? 0 };
    return placed(new ByteReader(bytes, blocks[at] ?? 0), count - number, this.#page, entry, streamStart, cursor);
  }
}

const blockFields = 3;
const entryFields = 2;

/** What a directory takes beside its tables: objects, and the names of types and of what the page hides. An estimate. */
const overheadBytes = 512;

/** FNV-1a. Whoever chooses ids that collide makes his own page as slow as it is without a directory. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c_9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x0100_0193);
  return hash ^ (hash >>> 15);
}
