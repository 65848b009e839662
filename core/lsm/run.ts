import { view } from "../bytes.ts";
import { PayloadStoreError } from "../errors.ts";
import type { RunSource } from "./build-run.ts";
import { noChange, several, type ChangeKind, type Several } from "./change.ts";
import type { ChangeTable } from "./change-table.ts";
import { fingerprintOf, key0Of, key1Of, partOf, remainderOf } from "./index-key.ts";
import { partKeysMax, pilotsBefore, remapBefore, slotOf } from "./perfect-hash.ts";
import {
  decodeRunFooter,
  pageBytes,
  pageCrc,
  pageHeadBytes,
  residentArrays,
  runFooterBytes,
  wordsPerListPage,
  type ResidentArrays,
  type RunLayout,
} from "./run-format.ts";
import { slotKind, slotRemainder, slotValue } from "./slot.ts";

/** A file that runs and pages of the index are read from. */
export interface ReadableFile {
  /** Reads up to `target.length` bytes at `offset`; returns how many, fewer at the end of the file only. */
  read(target: Uint8Array, offset: number): number;
  close(): void;
}

type Crc32 = (bytes: Uint8Array, seed?: number) => number;

/** Longest slot and a little: what a hit reads. */
const slotBytesMax = 16;
const residentBytesAtOnce = 256 * 1024;

/** Of all runs, since a look-up, and a step of a merge, end before another begins. */
const pageScratch = new Uint8Array(pageBytes);
const pageView = view(pageScratch);
const slotsScratch = new Uint8Array(pageBytes);
const slotScratch = new Uint8Array(slotBytesMax);

/** Keys that are asked together: a slot and a place share a double, whose 53 bits are enough for 32 and 20. */
const placesMax = 2 ** 20;

/**
 * A sealed run, open for reading.
 *
 * A key that is not in it is mostly told without a read, by its fingerprint; a hit costs one read of a slot. The first
 * read of a page is of all of it, and checked; so is that which finds another key in the slot. Damage throws.
 *
 * Memory: 2.6 bits a key for the perfect hash, 8 for the fingerprint.
 */
export class Run implements RunSource {
  readonly name: string;
  readonly layout: RunLayout;
  readonly #file: ReadableFile;
  readonly #crc32: Crc32;
  readonly #residentCrc: number;
  /** Read when the run is first asked: a start reads a few bytes of each run, however large it is. */
  #resident: ResidentArrays | undefined;
  /** A bit for each page that was read and checked. */
  readonly #checked: Uint8Array;
  /** Value of the key that was found last. */
  value = 0;
  /** Of the key that was found last, where its kind is `several`. */
  found: Several | undefined;
  /** Reads so far. */
  reads = 0;

  /** @throws {PayloadStoreError} `CORRUPT` when the footer is not what was written */
  constructor(name: string, file: ReadableFile, bytes: number, crc32: Crc32) {
    this.name = name;
    this.#file = file;
    this.#crc32 = crc32;
    const footerAt = bytes - runFooterBytes;
    if (footerAt < 0) throw this.#damage(`${bytes} bytes are too few`);
    const footerPart = new Uint8Array(runFooterBytes);
    this.#readInto(footerPart, footerAt);
    const footer = decodeRunFooter(footerPart, bytes, crc32);
    if (!footer.ok) throw this.#damage(footer.damage);
    const { layout, residentCrc } = footer.value;
    this.layout = layout;
    this.#residentCrc = residentCrc;
    this.#checked = new Uint8Array(Math.ceil((layout.slotPages + layout.listPages) / 8));
  }

  get keys(): number {
    return this.layout.keys;
  }

  /** Bytes that stay in memory. */
  get residentBytes(): number {
    return this.layout.residentBytes + this.#checked.length;
  }

  close(): void {
    this.#file.close();
  }

  /**
   * Reads what the first look-up would read, a step at a time: of a run that takes the place of others, nobody shall wait for
   * it.
   */
  *readAhead(): Generator<void, void> {
    if (!this.#resident) yield* this.#residentInSteps();
  }

  /** @returns the kind of the key's change, and sets {@link value} and {@link found}. Cost: 0 or 1 read, or a few once. */
  find(key0: number, key1: number): ChangeKind {
    const slot = this.#slotFor(key0, key1);
    if (slot < 0) return noChange;
    const { slotBytes, slotsPerPage } = this.layout;
    const page = Math.floor(slot / slotsPerPage);
    const inPage = pageHeadBytes + (slot - page * slotsPerPage) * slotBytes;
    if (!this.#isChecked(page)) return this.#changeAt(this.#readPage(page), inPage, true, slot, key0, key1);
    this.reads += 1;
    if (this.#file.read(slotScratch, page * pageBytes + inPage) < slotBytes)
      throw this.#damage(`page ${page} is cut short`);
    return this.#changeAt(slotScratch, 0, false, slot, key0, key1);
  }

  /**
   * As {@link find} for the keys at the places `which`, in an order of its own. Calls `found` with the kind of each but those
   * that a fingerprint tells the run has not got. Cost: of keys whose slots lie in one page, one read.
   */
  findMany(
    key0: Int32Array,
    key1: Int32Array,
    which: readonly number[],
    found: (place: number, kind: ChangeKind) => void,
  ): void {
    const { slotBytes, slotsPerPage } = this.layout;
    // Slots in their order, with the place of the key behind the point: sorted without an object each.
    const wanted = new Float64Array(which.length);
    let count = 0;
    for (const place of which) {
      const slot = this.#slotFor(key0[place]!, key1[place]!);
      if (slot >= 0) wanted[count++] = slot + place / placesMax;
    }
    wanted.subarray(0, count).sort();
    const pageOf = (i: number) => (i < count ? Math.floor(wanted[i]! / slotsPerPage) : -1);
    let held = -1;
    let isVerified = false;
    for (let i = 0; i < count; i++) {
      const slot = Math.floor(wanted[i]!);
      const place = (wanted[i]! - slot) * placesMax;
      const page = pageOf(i);
      if (page !== held && page !== pageOf(i + 1)) {
        found(place, this.find(key0[place]!, key1[place]!));
        held = -1;
        continue;
      }
      if (page !== held) {
        isVerified = !this.#isChecked(page);
        if (isVerified) this.#readPage(page);
        else this.#readPageAsItIs(page);
      }
      const at = pageHeadBytes + (slot - page * slotsPerPage) * slotBytes;
      const kind = this.#changeAt(pageScratch, at, isVerified, slot, key0[place]!, key1[place]!);
      // A list was read over it.
      held = kind === several ? -1 : page;
      found(place, kind);
    }
  }

  /** The slot where a key is if the run has it; −1 where it has not. */
  #slotFor(key0: number, key1: number): number {
    const { partBits } = this.layout;
    const resident = this.#resident ?? this.#readResident();
    const { starts, seeds, fingerprints } = resident;
    const part = partOf(key0, partBits);
    const start = starts[part]!;
    const keys = starts[part + 1]! - start;
    if (keys === 0) return -1;
    const pilotsAt = pilotsBefore(start, part);
    const buckets = pilotsBefore(start + keys, part + 1) - pilotsAt;
    const remapAt = remapBefore(start, part);
    const spare = remapBefore(start + keys, part + 1) - remapAt;
    const slot = start + slotOf(key0, key1, seeds[part]!, keys, pilotsAt, buckets, remapAt, spare, resident);
    return fingerprints[slot] === fingerprintOf(key1) ? slot : -1;
  }

  /** What a slot that was read says of a key. @param isVerified  whether the checksum of its page was verified with this read */
  #changeAt(bytes: Uint8Array, at: number, isVerified: boolean, slot: number, key0: number, key1: number): ChangeKind {
    const { partBits, remainderBytes, slotsPerPage } = this.layout;
    if (slotRemainder(bytes, at, remainderBytes) !== remainderOf(key0, key1, partBits)) {
      if (!isVerified) this.#readPage(Math.floor(slot / slotsPerPage));
      return noChange;
    }
    const kind = slotKind(bytes, at, remainderBytes, slot, fingerprintOf(key1));
    if (kind < 0) throw this.#damage(`check of slot ${slot} differs`);
    const value = slotValue(bytes, at, remainderBytes);
    this.found = kind === several ? this.#readList(value) : undefined;
    this.value = kind === several ? 0 : value;
    return kind as ChangeKind;
  }

  /** Windows that are smaller than a part read all of it: no more than such a window is merged for anyway. */
  *window(number: number, bits: number, into: ChangeTable): Generator<void, void> {
    yield* this.readAhead();
    const { partBits, slotsPerPage } = this.layout;
    const { starts } = this.#resident ?? this.#readResident();
    const finer = bits - partBits;
    const first = finer > 0 ? number >>> finer : number << -finer;
    const last = finer > 0 ? first + 1 : (number + 1) << -finer;
    for (let part = first; part < last; part++) {
      const end = starts[part + 1]!;
      for (let slot = starts[part]!; slot < end;) {
        const page = Math.floor(slot / slotsPerPage);
        const next = Math.min(end, (page + 1) * slotsPerPage);
        this.#applySlots(page, slot, next, part, finer > 0 ? { number, bits } : undefined, into);
        slot = next;
        yield;
      }
    }
  }

  /** Applies the changes of slots of one page, and of one part; only those of a window, where one is named. */
  #applySlots(
    page: number,
    from: number,
    to: number,
    part: number,
    window: { readonly number: number; readonly bits: number } | undefined,
    into: ChangeTable,
  ): void {
    const { partBits, slotBytes, slotsPerPage, remainderBytes } = this.layout;
    const { fingerprints } = this.#resident ?? this.#readResident();
    // A copy: reading a list reads another page.
    const bytes = slotsScratch;
    bytes.set(this.#readPage(page));
    for (let slot = from; slot < to; slot++) {
      const at = pageHeadBytes + (slot - page * slotsPerPage) * slotBytes;
      const fingerprint = fingerprints[slot]!;
      const kind = slotKind(bytes, at, remainderBytes, slot, fingerprint);
      if (kind < 0) throw this.#damage(`check of slot ${slot} differs`);
      const remainder = slotRemainder(bytes, at, remainderBytes);
      const key0 = key0Of(part, remainder, partBits);
      if (window && partOf(key0, window.bits) !== window.number) continue;
      const value = slotValue(bytes, at, remainderBytes);
      const key1 = key1Of(remainder, fingerprint);
      if (kind === several) into.apply(key0, key1, several, 0, this.#readList(value));
      else into.apply(key0, key1, kind as ChangeKind, value);
    }
  }

  #readResident(): ResidentArrays {
    for (const reading = this.#residentInSteps(); ;) {
      const step = reading.next();
      if (step.done === true) return step.value;
    }
  }

  *#residentInSteps(): Generator<void, ResidentArrays> {
    const { layout } = this;
    const bytes = new Uint8Array(layout.residentBytes);
    let crc = 0;
    for (let from = 0; from < bytes.length; from += residentBytesAtOnce) {
      if (from > 0) yield;
      const some = bytes.subarray(from, from + residentBytesAtOnce);
      this.#readInto(some, layout.residentAt + from);
      crc = this.#crc32(some, crc);
    }
    if (crc !== this.#residentCrc) throw this.#damage("crc of the resident part differs");
    const resident = residentArrays(bytes, layout);
    if (!startsHold(resident.starts, layout)) throw this.#damage("starts of the parts");
    this.#resident = resident;
    return resident;
  }

  #isChecked(page: number): boolean {
    return (this.#checked[page >>> 3]! & (1 << (page & 7))) !== 0;
  }

  /** Reads a page and checks it. The next one takes its place. */
  #readPage(page: number): Uint8Array {
    this.#readPageAsItIs(page);
    if (pageView.getUint32(0, true) !== pageCrc(pageScratch, page, this.#crc32))
      throw this.#damage(`crc of page ${page} differs`);
    this.#checked[page >>> 3] = this.#checked[page >>> 3]! | (1 << (page & 7));
    return pageScratch;
  }

  #readPageAsItIs(page: number): void {
    this.reads += 1;
    if (this.#file.read(pageScratch, page * pageBytes) < pageBytes) throw this.#damage(`page ${page} is cut short`);
  }

  #readList(at: number): Several {
    const { listWords, slotPages } = this.layout;
    let page = -1;
    const word = (index: number): number => {
      if (index >= listWords) throw this.#damage(`a list at word ${at} of ${listWords}`);
      const wanted = slotPages + Math.floor(index / wordsPerListPage);
      if (wanted !== page) this.#readPage((page = wanted));
      return pageView.getUint32(pageHeadBytes + (index % wordsPerListPage) * 4, true);
    };
    const adding = word(at);
    const rest = word(at + 1);
    const removing = rest >>> 1;
    if (at + 2 + adding + removing > listWords) throw this.#damage(`a list at word ${at} of ${listWords}`);
    const values = (from: number, count: number) => Array.from({ length: count }, (_, i) => word(from + i));
    return { drops: (rest & 1) === 1, adds: values(at + 2, adding), removes: values(at + 2 + adding, removing) };
  }

  #readInto(bytes: Uint8Array, offset: number): void {
    if (this.#file.read(bytes, offset) < bytes.length) throw this.#damage("cut short");
  }

  #damage(what: string): PayloadStoreError {
    return indexDamage(this.name, what);
  }
}

/** Damage to a file of the index: nothing is lost, the segments suffice to make the index anew. */
export function indexDamage(file: string, what: string, cause?: unknown): PayloadStoreError {
  const message = `index file ${file}: ${what}`;
  return new PayloadStoreError("CORRUPT", message, { cause, details: { indexFile: file } });
}

export function isIndexDamage(error: unknown): error is PayloadStoreError {
  return error instanceof PayloadStoreError && error.code === "CORRUPT" && error.details["indexFile"] !== undefined;
}

function startsHold(starts: Int32Array, { keys, parts }: RunLayout): boolean {
  if (starts[0] !== 0 || starts[parts] !== keys) return false;
  for (let part = 0; part < parts; part++) {
    const inPart = starts[part + 1]! - starts[part]!;
    if (inPart < 0 || inPart > partKeysMax) return false;
  }
  return true;
}
