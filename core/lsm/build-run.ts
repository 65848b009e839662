import { view } from "../bytes.ts";
import { invariant } from "../invariant.ts";
import { changeOf, clears, noChange, several, severalOf, type ChangeKind, type Several } from "./change.ts";
import { ChangeTable, type ChangeColumns } from "./change-table.ts";
import { fingerprintOf, partOf, remainderOf } from "./index-key.ts";
import { PerfectHashBuilder, partShape, pilotsBefore, remapBefore, slotOf } from "./perfect-hash.ts";
import {
  encodeRunFooter,
  pageBytes,
  pageCrc,
  pageHeadBytes,
  partBitsFor,
  runLayout,
  wordsPerListPage,
  type RunLayout,
  type RunShape,
} from "./run-format.ts";
import { writeSlot } from "./slot.ts";

/** What a run is built from: another run, or the changes of an overlay. */
export interface RunSource {
  /** Keys in it. */
  readonly keys: number;
  /** It can give its keys by windows of the first bits of their hash, of up to so many bits. */
  readonly windowBits: number;
  /** Applies the changes of a window's keys; stops now and then, when others may run. */
  readonly window: (number: number, bits: number, into: ChangeTable) => Generator<void, void>;
}

export interface RunBuild {
  /** Oldest first. */
  readonly sources: readonly RunSource[];
  /** Nothing older is left: removals have done their work. */
  readonly bottom: boolean;
  /** Keys that are left out. */
  readonly keeps?: ((key0: number, key1: number) => boolean) | undefined;
  /** Takes the bytes of the run, in order; it must not keep them. */
  readonly write: (bytes: Uint8Array) => void;
  readonly crc32: (bytes: Uint8Array, seed?: number) => number;
}

/**
 * Merges sources into one run, window by window of the hash. It stops after each part, some 2,000 keys or 2 ms, so that
 * others may run.
 *
 * Memory: a window's keys, and the resident part of the run. Cost: about 1 µs a key.
 * @returns the run's shape; without keys, nothing was written
 */
export function* buildRun(build: RunBuild): Generator<void, RunShape> {
  const keysMax = build.sources.reduce((sum, source) => sum + source.keys, 0);
  const partBits = partBitsFor(keysMax);
  const windowBits = Math.min(partBits, ...build.sources.map((source) => source.windowBits));
  const writer = new RunWriter(keysMax, partBits, build);
  for (let window = 0; window < 2 ** windowBits; window++) {
    const table = new ChangeTable(build.sources.length === 1 ? 0 : keysMax / 2 ** windowBits);
    for (const source of build.sources) yield* source.window(window, windowBits, table);
    const columns = table.columns();
    yield;
    const parts = byPart(columns, partBits, windowBits, build);
    yield;
    for (let i = 0; i + 1 < parts.ends.length; i++) {
      writer.addPart(parts.columns, parts.ends[i]!, parts.ends[i + 1]!);
      yield;
    }
  }
  return writer.finish();
}

/** The kept keys of a window, part after part, with where the parts end. */
function byPart(
  from: ChangeColumns,
  partBits: number,
  windowBits: number,
  { bottom, keeps }: RunBuild,
): { readonly columns: ChangeColumns; readonly ends: Int32Array } {
  const parts = 2 ** (partBits - windowBits);
  const columns = {
    keys: from.keys,
    key0: new Int32Array(from.keys),
    key1: new Int32Array(from.keys),
    kind: new Uint8Array(from.keys),
    value: new Int32Array(from.keys),
    several: [...from.several],
  };
  const partIn = (key0: number) => partOf(key0, partBits) & (parts - 1);
  const ends = new Int32Array(parts + 1);
  if (bottom) for (let i = 0; i < from.keys; i++) settle(from, columns.several, i);
  for (let i = 0; i < from.keys; i++) {
    if (from.kind[i] === noChange) continue;
    if (keeps && !keeps(from.key0[i]!, from.key1[i]!)) from.kind[i] = noChange;
    else ends[partIn(from.key0[i]!) + 1] = ends[partIn(from.key0[i]!) + 1]! + 1;
  }
  for (let part = 0; part < parts; part++) ends[part + 1] = ends[part + 1]! + ends[part]!;
  const next = ends.slice();
  for (let i = 0; i < from.keys; i++) {
    if (from.kind[i] === noChange) continue;
    const part = partIn(from.key0[i]!);
    const to = next[part]!;
    next[part] = to + 1;
    columns.key0[to] = from.key0[i]!;
    columns.key1[to] = from.key1[i]!;
    columns.kind[to] = from.kind[i]!;
    columns.value[to] = from.value[i]!;
  }
  return { columns, ends };
}

/** What a change comes to where nothing is older: the set itself, or nothing. */
function settle(columns: ChangeColumns, lists: (Several | undefined)[], i: number): void {
  const kind = columns.kind[i] as ChangeKind;
  const value = columns.value[i]!;
  const whole = kind === several ? lists[value] : undefined;
  const settled = changeOf({ drops: true, adds: severalOf(kind, value, whole).adds, removes: [] });
  columns.kind[i] = settled.kind === clears ? noChange : settled.kind;
  if (settled.kind === several) lists[value] = settled.several;
  else columns.value[i] = settled.value;
}

const bytesWrittenAtOnce = 16 * pageBytes;

class RunWriter {
  readonly #build: RunBuild;
  readonly #layout: RunLayout;
  readonly #perfectHash = new PerfectHashBuilder();
  readonly #starts: Int32Array;
  readonly #remap: Uint16Array;
  readonly #seeds: Uint8Array;
  readonly #pilots: Uint8Array;
  readonly #fingerprints: Uint8Array;
  readonly #out = new Uint8Array(bytesWrittenAtOnce);
  #outBytes = 0;
  #slots = new Uint8Array(0);
  #slotInPage = 0;
  #pages = 0;
  #lists = new Int32Array(0);
  #listWords = 0;
  #keys = 0;
  #parts = 0;

  constructor(keysMax: number, partBits: number, build: RunBuild) {
    this.#build = build;
    // Of the layout only what the number of parts decides is used before the number of keys is known.
    this.#layout = runLayout({ keys: keysMax, partBits, listWords: 0 });
    const { parts } = this.#layout;
    this.#starts = new Int32Array(parts + 1);
    this.#remap = new Uint16Array(remapBefore(keysMax, parts));
    this.#seeds = new Uint8Array(parts);
    this.#pilots = new Uint8Array(pilotsBefore(keysMax, parts));
    this.#fingerprints = new Uint8Array(keysMax);
  }

  /** Writes the keys `from` … `to − 1`, which are those of the next part. */
  addPart(columns: ChangeColumns, from: number, to: number): void {
    const { partBits, remainderBytes, slotBytes } = this.#layout;
    const start = this.#keys;
    const part = this.#parts++;
    const shape = partShape(part, start, start + to - from);
    const arrays = { pilots: this.#pilots, remap: this.#remap };
    const seed = this.#perfectHash.build(columns.key0, columns.key1, from, shape, arrays);
    this.#seeds[part] = seed;
    const { keys, pilotsAt, buckets, remapAt, spare } = shape;
    if (this.#slots.length < keys * slotBytes) this.#slots = new Uint8Array(keys * slotBytes);
    for (let i = from; i < to; i++) {
      const key0 = columns.key0[i]!;
      const key1 = columns.key1[i]!;
      const slot = slotOf(key0, key1, seed, keys, pilotsAt, buckets, remapAt, spare, arrays);
      const fingerprint = fingerprintOf(key1);
      const kind = columns.kind[i] as ChangeKind;
      const value = kind === several ? this.#addList(columns.several[columns.value[i]!]) : columns.value[i]!;
      this.#fingerprints[start + slot] = fingerprint;
      const remainder = remainderOf(key0, key1, partBits);
      const at = slot * slotBytes;
      writeSlot(this.#slots, at, remainderBytes, remainder, kind, value, start + slot, fingerprint);
    }
    for (let slot = 0; slot < keys; slot++) {
      if (this.#slotInPage === this.#layout.slotsPerPage) this.#endPage();
      const at = this.#outBytes + pageHeadBytes + this.#slotInPage * slotBytes;
      for (let i = 0; i < slotBytes; i++) this.#out[at + i] = this.#slots[slot * slotBytes + i]!;
      this.#slotInPage += 1;
    }
    this.#keys += keys;
    this.#starts[part + 1] = this.#keys;
  }

  finish(): RunShape {
    const { partBits } = this.#layout;
    invariant(this.#parts === this.#layout.parts, "a run has all its parts");
    const shape = { keys: this.#keys, partBits, listWords: this.#listWords };
    if (this.#keys === 0) return shape;
    if (this.#slotInPage > 0) this.#endPage();
    this.#writeLists();
    this.#flush();
    const { write, crc32 } = this.#build;
    const layout = runLayout(shape);
    let crc = 0;
    const resident = [
      bytesOf(this.#starts),
      bytesOf(this.#remap.subarray(0, layout.remap)),
      this.#seeds,
      this.#pilots.subarray(0, layout.pilots),
      this.#fingerprints.subarray(0, this.#keys),
    ];
    for (const bytes of resident) {
      crc = crc32(bytes, crc);
      write(bytes);
    }
    write(encodeRunFooter(shape, crc, crc32));
    return shape;
  }

  #addList(whole: Several | undefined): number {
    invariant(whole !== undefined, "a change of several values has its list");
    const { drops, adds, removes } = whole;
    const words = 2 + adds.length + removes.length;
    if (this.#listWords + words > this.#lists.length) {
      const grown = new Int32Array(Math.max(1024, 2 * (this.#listWords + words)));
      grown.set(this.#lists);
      this.#lists = grown;
    }
    const at = this.#listWords;
    this.#lists.set([adds.length, removes.length * 2 + Number(drops)], at);
    this.#lists.set(adds, at + 2);
    this.#lists.set(removes, at + 2 + adds.length);
    this.#listWords += words;
    return at;
  }

  #writeLists(): void {
    for (let from = 0; from < this.#listWords; from += wordsPerListPage) {
      const some = this.#lists.subarray(from, Math.min(from + wordsPerListPage, this.#listWords));
      this.#out.set(bytesOf(some), this.#outBytes + pageHeadBytes);
      this.#endPage();
    }
  }

  #endPage(): void {
    const page = this.#out.subarray(this.#outBytes, this.#outBytes + pageBytes);
    view(page).setUint32(0, pageCrc(page, this.#pages, this.#build.crc32), true);
    this.#pages += 1;
    this.#slotInPage = 0;
    this.#outBytes += pageBytes;
    if (this.#outBytes === bytesWrittenAtOnce) this.#flush();
  }

  #flush(): void {
    if (this.#outBytes > 0) this.#build.write(this.#out.subarray(0, this.#outBytes));
    this.#out.fill(0);
    this.#outBytes = 0;
  }
}

function bytesOf(array: Int32Array | Uint16Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
