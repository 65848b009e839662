import { view } from "../bytes.ts";
import { invariant } from "../invariant.ts";
import { indexDamage, type ReadableFile } from "./run.ts";

/** One committed page, and what its group was when it had been committed. */
export interface LoggedPage {
  /** Ordinal of the segment. */
  readonly segment: number;
  readonly offset: number;
  readonly headBytes: number;
  readonly sequence: number;
  /** Number of the page before it in its group, plus 1; 0 for the first. */
  readonly previous: number;
  /** Payloads of the group. */
  readonly live: number;
  /** Pages of the group up to this sequence are hidden. */
  readonly cleared: number;
  /** Bits of the group's hash that its key does not have. */
  readonly groupCheck: number;
}

/** Where a page lies that was appended again. */
export type MovedPage = readonly [page: number, segment: number, offset: number, headBytes: number];

/**
 * A record, docs/format.md §14: the eight numbers of {@link LoggedPage} as u32 in their order, then the CRC-32 of them,
 * from the CRC-32 of the store's secret plus the page's number.
 */
export const pageRecordBytes = 36;
/** `previous` and the values of the map have 32 bits. */
export const loggedPagesMax = 0xffff_fffe;

const recordsPerChunk = 1024;
const recordsReadAtOnce = 1820;

type Crc32 = (bytes: Uint8Array, seed?: number) => number;

/**
 * Every committed page, in the order of its commit: a file that only grows, and its end, which is in memory until it is
 * written. Cost: one read of 36 bytes a page, none for some that were read last; no memory that grows for what is written.
 */
export class PageLog {
  readonly #crc32: Crc32;
  readonly #crcSeed: number;
  readonly #scratch = new Uint8Array(pageRecordBytes);
  readonly #scratchView = view(this.#scratch);
  #file: ReadableFile | undefined;
  #recent: RecentRecords | undefined;
  #written = 0;
  /** What is not written, and what was written last, in chunks; the first begins with page {@link #chunksFrom}. */
  readonly #chunks: Uint8Array[] = [];
  #chunksFrom = 0;
  #count = 0;
  readonly #moved = new Map<number, MovedPage>();
  /** Single records read from the file so far. */
  reads = 0;

  constructor(secret: Uint8Array, crc32: Crc32) {
    this.#crc32 = crc32;
    this.#crcSeed = crc32(secret);
  }

  get count(): number {
    return this.#count;
  }

  /** Pages that the file has. */
  get written(): number {
    return this.#written;
  }

  /** Goes on behind the first `written` pages of a file. */
  open(file: ReadableFile, written: number, moved: readonly MovedPage[]): void {
    this.#file = file;
    this.#recent = undefined;
    this.#written = written;
    this.#count = written;
    this.#chunksFrom = written;
    for (const page of moved) this.#moved.set(page[0], page);
  }

  /** @returns the page's number. */
  add(page: LoggedPage): number {
    invariant(this.#count < loggedPagesMax, "an index has at most 2^32 − 2 pages");
    const number = this.#count++;
    const inChunks = number - this.#chunksFrom;
    if (inChunks % recordsPerChunk === 0) this.#chunks.push(new Uint8Array(recordsPerChunk * pageRecordBytes));
    this.#encode(page, number, this.#inChunks(number));
    return number;
  }

  /** @throws {PayloadStoreError} `CORRUPT` when there is no such page, or its record is not what was written */
  page(number: number): LoggedPage {
    if (number >= this.#count) throw indexDamage("pages", `there is no page ${number}, of ${this.#count}`);
    if (number >= this.#chunksFrom) return this.#decode(this.#inChunks(number), number);
    this.#recent ??= new RecentRecords();
    const at = this.#recent.at(number);
    if (at >= 0) return this.#fields(this.#recent.data, at, number);
    const bytes = this.#scratch;
    this.reads += 1;
    if ((this.#file?.read(bytes, number * pageRecordBytes) ?? 0) < pageRecordBytes)
      throw indexDamage("pages", `cut short before page ${number}`);
    const page = this.#decode(bytes, number);
    this.#recent.keep(number, bytes);
    return page;
  }

  /** The pages from a number on, up to those there are when they are reached. Cost: a read for 1,820 pages. */
  *pages(from: number, to: number): Generator<LoggedPage> {
    const many = new Uint8Array(recordsReadAtOnce * pageRecordBytes);
    for (let start = from; start < to;) {
      const count = Math.min(recordsReadAtOnce, Math.min(to, this.#chunksFrom) - start);
      if (count <= 0) {
        yield this.page(start++);
        continue;
      }
      const bytes = many.subarray(0, count * pageRecordBytes);
      if ((this.#file?.read(bytes, start * pageRecordBytes) ?? 0) < bytes.length)
        throw indexDamage("pages", `cut short before page ${start + count}`);
      for (let i = 0; i < count; i++) {
        yield this.#decode(bytes.subarray(i * pageRecordBytes, (i + 1) * pageRecordBytes), start + i);
      }
      start += count;
    }
  }

  /** Says that a page lies elsewhere now. That is rare, so it is kept in memory and saved whole. */
  move(page: number, segment: number, offset: number, headBytes: number): void {
    this.#moved.set(page, [page, segment, offset, headBytes]);
  }

  moved(): readonly MovedPage[] {
    return [...this.#moved.values()];
  }

  /** The records from the first that is not written up to `to`, to be written one after the other. */
  unwritten(to: number): Uint8Array[] {
    const parts: Uint8Array[] = [];
    for (let number = this.#written; number < to;) {
      const inChunk = (number - this.#chunksFrom) % recordsPerChunk;
      const count = Math.min(to - number, recordsPerChunk - inChunk);
      const chunk = this.#chunks[Math.floor((number - this.#chunksFrom) / recordsPerChunk)]!;
      parts.push(chunk.subarray(inChunk * pageRecordBytes, (inChunk + count) * pageRecordBytes));
      number += count;
    }
    return parts;
  }

  /** Says that the file has all pages before `to` now. */
  wrote(file: ReadableFile, to: number): void {
    this.#file = file;
    this.#written = to;
    while (this.#chunks.length > 0 && this.#chunksFrom + recordsPerChunk <= to) {
      this.#chunks.shift();
      this.#chunksFrom += recordsPerChunk;
    }
  }

  #inChunks(number: number): Uint8Array<ArrayBuffer> {
    const inChunks = number - this.#chunksFrom;
    const at = (inChunks % recordsPerChunk) * pageRecordBytes;
    return this.#chunks[Math.floor(inChunks / recordsPerChunk)]!.subarray(
      at,
      at + pageRecordBytes,
    ) as Uint8Array<ArrayBuffer>;
  }

  #crc(bytes: Uint8Array, number: number): number {
    return this.#crc32(bytes.subarray(0, pageRecordBytes - 4), (this.#crcSeed + number) >>> 0);
  }

  #encode(page: LoggedPage, number: number, bytes: Uint8Array): void {
    const data = view(bytes);
    data.setUint32(0, page.segment, true);
    data.setUint32(4, page.offset, true);
    data.setUint32(8, page.headBytes, true);
    data.setUint32(12, page.sequence, true);
    data.setUint32(16, page.previous, true);
    data.setUint32(20, page.live, true);
    data.setUint32(24, page.cleared, true);
    data.setUint32(28, page.groupCheck, true);
    data.setUint32(32, this.#crc(bytes, number), true);
  }

  #decode(bytes: Uint8Array, number: number): LoggedPage {
    const data = bytes === this.#scratch ? this.#scratchView : view(bytes);
    if (data.getUint32(32, true) !== this.#crc(bytes, number))
      throw indexDamage("pages", `crc of page ${number} differs`);
    return this.#fields(data, 0, number);
  }

  /** What a record says that was checked. */
  #fields(data: DataView, at: number, number: number): LoggedPage {
    const page = {
      segment: data.getUint32(at, true),
      offset: data.getUint32(at + 4, true),
      headBytes: data.getUint32(at + 8, true),
      sequence: data.getUint32(at + 12, true),
      previous: data.getUint32(at + 16, true),
      live: data.getUint32(at + 20, true),
      cleared: data.getUint32(at + 24, true),
      groupCheck: data.getInt32(at + 28, true),
    };
    const moved = this.#moved.size === 0 ? undefined : this.#moved.get(number);
    return moved ? { ...page, segment: moved[1], offset: moved[2], headBytes: moved[3] } : page;
  }
}

/** Records that are kept: of so many pages in a row each has a place of its own. They take 180 KB. */
const recentRecords = 4096;

/** Records that were read and checked last. A record never changes: where its page was moved to is said elsewhere. */
class RecentRecords {
  readonly #bytes = new Uint8Array(recentRecords * pageRecordBytes);
  /** The page whose record is at a place, from 1 on. */
  readonly #pages = new Float64Array(recentRecords);
  readonly data: DataView = view(this.#bytes);

  /** Where a page's record begins; −1 where it is not kept. */
  at(page: number): number {
    const place = page % recentRecords;
    return this.#pages[place] === page + 1 ? place * pageRecordBytes : -1;
  }

  keep(page: number, record: Uint8Array): void {
    const place = page % recentRecords;
    this.#bytes.set(record, place * pageRecordBytes);
    this.#pages[place] = page + 1;
  }
}
