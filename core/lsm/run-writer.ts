import { view } from "../bytes.ts";
import { invariant } from "../invariant.ts";
import type { RunBuild } from "./build-run.ts";
import { several, type ChangeKind, type Several } from "./change.ts";
import type { ChangeColumns } from "./change-columns.ts";
import { keysPerStep } from "./index-bounds.ts";
import { fingerprintOf, remainderOf } from "./index-key.ts";
import { PerfectHashBuilder, partShape, pilotsBefore, remapBefore, slotOf, type PartShape } from "./perfect-hash.ts";
import {
  encodeRunFooter,
  pageBytes,
  pageCrc,
  pageHeadBytes,
  runLayout,
  wordsPerListPage,
  type RunLayout,
  type RunShape,
} from "./run-format.ts";
import { writeSlot } from "./slot.ts";

const bytesWrittenAtOnce = 16 * pageBytes;
const residentBytesAtOnce = 64 * 1024;

/** Builders that no run is using: half a megabyte less to make for each run. There are as many as were ever used at once. */
const idleBuilders: PerfectHashBuilder[] = [];

/** Writes the parts of one run, one after the other. */
export class RunWriter {
  readonly #build: Pick<RunBuild, "write" | "crc32" | "space">;
  readonly #layout: RunLayout;
  readonly #starts: Int32Array;
  #remap: Uint16Array;
  readonly #seeds: Uint8Array;
  #pilots: Uint8Array;
  #fingerprints: Uint8Array;
  readonly #out = new Uint8Array(bytesWrittenAtOnce);
  #outBytes = 0;
  #slotInPage = 0;
  #pages = 0;
  #lists = new Int32Array(0);
  #listWords = 0;
  #keys = 0;
  #parts = 0;

  /** @param keys  an estimate, for the room that is made at once */
  constructor(keys: number, partBits: number, build: Pick<RunBuild, "write" | "crc32" | "space">) {
    this.#build = build;
    // Of the layout only what the number of parts decides is used before the number of keys is known.
    this.#layout = runLayout({ keys, partBits, listWords: 0 });
    const { parts } = this.#layout;
    this.#starts = new Int32Array(parts + 1);
    this.#remap = new Uint16Array(remapBefore(keys, parts));
    this.#seeds = new Uint8Array(parts);
    this.#pilots = new Uint8Array(pilotsBefore(keys, parts));
    this.#fingerprints = new Uint8Array(keys);
  }

  /** Writes the next part, which has these keys, a step at a time. */
  *addPart(columns: ChangeColumns): Generator<void, void> {
    const { slotBytes } = this.#layout;
    const { keys } = columns;
    const start = this.#keys;
    const part = this.#parts++;
    const shape = partShape(part, start, start + keys);
    this.#makeRoom(start + keys, part + 1);
    const arrays = { pilots: this.#pilots, remap: this.#remap };
    const builder = idleBuilders.pop() ?? new PerfectHashBuilder();
    const seed = yield* builder.build(columns.key0, columns.key1, shape, arrays);
    idleBuilders.push(builder);
    this.#seeds[part] = seed;
    const slots = this.#build.space.slots(keys * slotBytes);
    for (let from = 0; from < keys; from += keysPerStep) {
      this.#fillSlots(columns, from, Math.min(keys, from + keysPerStep), start, seed, shape, slots);
      yield;
    }
    for (let slot = 0; slot < keys;) {
      if (this.#slotInPage === this.#layout.slotsPerPage) this.#endPage();
      const count = Math.min(keys - slot, this.#layout.slotsPerPage - this.#slotInPage);
      const at = this.#outBytes + pageHeadBytes + this.#slotInPage * slotBytes;
      this.#out.set(slots.subarray(slot * slotBytes, (slot + count) * slotBytes), at);
      this.#slotInPage += count;
      slot += count;
      yield;
    }
    this.#keys += keys;
    this.#starts[part + 1] = this.#keys;
  }

  #fillSlots(
    columns: ChangeColumns,
    from: number,
    to: number,
    start: number,
    seed: number,
    shape: PartShape,
    slots: Uint8Array,
  ): void {
    const { partBits, remainderBytes, slotBytes } = this.#layout;
    const { keys, pilotsAt, buckets, remapAt, spare } = shape;
    const arrays = { pilots: this.#pilots, remap: this.#remap };
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
      writeSlot(slots, at, remainderBytes, remainder, kind, value, start + slot, fingerprint);
    }
  }

  /** Stops now and then: the resident part of a large run is megabytes. */
  *finish(): Generator<void, RunShape> {
    const { partBits } = this.#layout;
    invariant(this.#parts === this.#layout.parts, "a run has all its parts");
    const shape = { keys: this.#keys, partBits, listWords: this.#listWords };
    if (this.#keys === 0) return shape;
    if (this.#slotInPage > 0) this.#endPage();
    yield* this.#writeLists();
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
      for (let from = 0; from < bytes.length; from += residentBytesAtOnce) {
        const some = bytes.subarray(from, from + residentBytesAtOnce);
        crc = crc32(some, crc);
        write(some);
        yield;
      }
    }
    write(encodeRunFooter(shape, crc, crc32));
    return shape;
  }

  #makeRoom(keys: number, parts: number): void {
    if (keys > this.#fingerprints.length) this.#fingerprints = grown(this.#fingerprints, keys);
    const pilots = pilotsBefore(keys, parts);
    if (pilots > this.#pilots.length) this.#pilots = grown(this.#pilots, pilots);
    const remap = remapBefore(keys, parts);
    if (remap > this.#remap.length) {
      const longer = new Uint16Array(remap * 2);
      longer.set(this.#remap);
      this.#remap = longer;
    }
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

  *#writeLists(): Generator<void, void> {
    for (let from = 0; from < this.#listWords; from += wordsPerListPage) {
      const some = this.#lists.subarray(from, Math.min(from + wordsPerListPage, this.#listWords));
      this.#out.set(bytesOf(some), this.#outBytes + pageHeadBytes);
      this.#endPage();
      yield;
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

function grown(array: Uint8Array, length: number): Uint8Array {
  const longer = new Uint8Array(length * 2);
  longer.set(array);
  return longer;
}
