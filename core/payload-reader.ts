import type { BlockCache } from "./block-cache.ts";
import { BlockDecoder, type BlockPlace } from "./block-decoder.ts";
import { concat, emptyBytes } from "./bytes.ts";
import { PayloadStoreError } from "./errors.ts";
import { limits } from "./limits.ts";
import type { EntryPlace, PageBlock } from "./page/page.ts";
import type { Location, ReadRange } from "./payload.ts";
import type { CodecCode, Codecs } from "./ports/codec.ts";
import type { FramePlace } from "./ports/segment-store.ts";
import { blockHeaderBytes, storedBlockBytes, type EncodedBlock } from "./segment/block.ts";
import { isSegmentName } from "./segment/name.ts";
import type { FrameReader } from "./segment/read-frame.ts";
import type { UploadBlocks } from "./upload-blocks.ts";

/** What is known of a payload beside its location. */
export interface KnownPayload {
  /** The frame that holds it, or that was read for it. */
  readonly place?: FramePlace | undefined;
  /** What its page says of it. */
  readonly found?: EntryPlace | undefined;
}

/**
 * Reads payloads by location. It keeps the blocks it decoded last, so payloads of one block that are read one after the
 * other decode it once; a reader belongs to one call. A cache keeps more of them, for all calls.
 */
export class PayloadReader {
  readonly #frames: FrameReader;
  readonly #decoder: BlockDecoder;
  readonly #tenant: string;
  readonly #uploads: UploadBlocks | undefined;
  readonly #cache: BlockCache | undefined;
  readonly #room: Uint8Array | undefined;
  readonly #own: (bytes: Uint8Array) => Uint8Array;
  #named: { readonly segment: string; readonly offset: number; readonly name: string } | undefined;
  #blocks: (Loaded & { readonly offset: number; readonly stored: number }) | undefined;

  /**
   * @param ports  with `room`, the block that is kept lies in this memory, if it is shorter; `own` makes the copy of a payload that
   *   is answered
   */
  constructor(
    tenant: string,
    ports: {
      readonly frames: FrameReader;
      readonly codecs: Codecs;
      readonly uploads?: UploadBlocks | undefined;
      readonly cache?: BlockCache | undefined;
      readonly room?: Uint8Array | undefined;
      readonly own?: ((bytes: Uint8Array) => Uint8Array) | undefined;
    },
  ) {
    this.#room = ports.room;
    this.#own = ports.own ?? owned;
    this.#cache = ports.cache;
    this.#tenant = tenant;
    this.#frames = ports.frames;
    this.#decoder = new BlockDecoder(tenant, ports);
    this.#uploads = ports.uploads;
  }

  /**
   * The bytes, or the part of them in `range`. Only blocks that hold some of them are read, where its page is known, and
   * decoded. Cost: one read, none where the frame is held or the block is kept; one for 4 MiB of an upload. It is answered
   * at once where segments and codec answer at once.
   * @throws {PayloadStoreError} `CORRUPT`, `GONE`, `UNAVAILABLE`; `INVALID` if the location is malformed; `TOO_LARGE`
   */
  read(asked: Location, range?: ReadRange, known: KnownPayload = {}): Uint8Array | Promise<Uint8Array> {
    // What the index says of a page of its own is no caller's word.
    if (!known.found) checkLocation(asked);
    const wanted = rangeIn(asked, range);
    if (wanted.end - wanted.start > limits.readBytesMax) {
      const message = `${wanted.end - wanted.start} bytes are more than one read answers: stream them, or read ranges of at most ${limits.readBytesMax} bytes`;
      throw new PayloadStoreError("TOO_LARGE", message, { details: { bytes: asked.length } });
    }
    const { found, place } = known;
    if (found?.upload !== undefined) return this.#readUpload(found, wanted);
    const { location, from, to } = narrowed(asked, wanted, found?.blocks);
    const { segment, offset, stored, start, length } = location;
    const part: Part = { from, to, end: start + length };
    const cache = this.#cache;
    const room = cache?.room(stored);
    if (!cache || !room) return this.#join(this.#load(location, place), part);

    const name = this.#nameOf(segment, offset);
    const kept = cache.get(name, stored);
    if (kept) return cut(kept, part);
    const blocks = this.#frames.blocks(this.#tenant, segment, offset, stored, place, room);
    if (blocks instanceof Promise)
      return this.#join(
        blocks.then((found) => undecoded(found, { segment, place })),
        part,
      );
    const [block, ...others] = blocks;
    if (!block || others.length > 0) return this.#join(this.#load(location, place), part);
    const raw = block.resting
      ? this.#rested(block, { segment, place }, cache, name)
      : cache.decode(name, stored, block);
    return raw instanceof Promise ? raw.then((bytes) => cut(bytes, part)) : cut(raw, part);
  }

  /** Decodes and keeps a block that rests on a base, and lies in memory which the next read uses again. */
  #rested(block: EncodedBlock, at: BlockPlace, cache: BlockCache, name: string): Uint8Array | Promise<Uint8Array> {
    const resting = block.resting!;
    const base = this.#decoder.base(resting.base, at);
    if (base instanceof Promise) {
      const own = { ...block, resting: { ...resting, frame: resting.frame.slice() } };
      return base.then((raw) => this.#decoder.decodeOn(own, raw, at));
    }
    const raw = this.#decoder.decodeOn(block, base, at, cache.rawRoom(block.rawBytes));
    cache.keep(name, storedBlockBytes(block), raw);
    return raw;
  }

  /** What the block there is kept under. Neighbours are asked for in a row, and a name costs as much as a look at the cache. */
  #nameOf(segment: string, offset: number): string {
    if (this.#named?.segment !== segment || this.#named.offset !== offset)
      this.#named = { segment, offset, name: `${this.#tenant}/${segment}/${offset}` };
    return this.#named.name;
  }

  async #join(loading: Promise<Loaded>, { from, to, end }: Part): Promise<Uint8Array> {
    const held = await loading;
    let rawStart = 0;
    const parts: Uint8Array[] = [];
    for (const [i, block] of held.blocks.entries()) {
      const rawEnd = rawStart + block.rawBytes;
      if (rawStart < to && rawEnd > from) {
        const isAlone = held.blocks.length === 1 && block.rawBytes < (this.#room?.length ?? 0);
        held.raw[i] ??= await this.#decoder.decode(block, held, isAlone ? this.#room : undefined);
        parts.push(held.raw[i].subarray(Math.max(from - rawStart, 0), to - rawStart));
      }
      rawStart = rawEnd;
    }
    if (rawStart < end) throw doesNotFit(end, rawStart);
    if (parts.length === 0) return emptyBytes;
    return parts.length > 1 ? concat(parts) : this.#own(parts[0] ?? emptyBytes);
  }

  /** The bytes, or the part of them in `range`, block by block. Cost: as {@link read}; memory for two blocks. */
  async *stream(location: Location, range: ReadRange | undefined, known: KnownPayload): AsyncGenerator<Uint8Array> {
    checkLocation(location);
    const wanted = rangeIn(location, range);
    let start = 0;
    const blocks = known.found?.blocks ?? [];
    for (const end of blocks.length > 1 ? endsOf(blocks) : [location.length]) {
      const part = { start: Math.max(start, wanted.start), end: Math.min(end, wanted.end) };
      if (part.start < part.end) yield await this.read(location, part, known);
      start = end;
    }
  }

  async #readUpload({ upload, blocks }: EntryPlace, wanted: ReadRange): Promise<Uint8Array> {
    if (upload === undefined || !this.#uploads) {
      throw new PayloadStoreError("UNAVAILABLE", `the payload lies in upload ${upload}, which this store cannot read`);
    }
    const parts: Uint8Array[] = [];
    let start = 0;
    for (const block of blocks) {
      const end = start + block.rawBytes;
      if (start < wanted.end && end > wanted.start) {
        const bytes = await this.#uploads.read(this.#tenant, upload, start, block);
        parts.push(bytes.subarray(Math.max(wanted.start - start, 0), wanted.end - start));
      }
      start = end;
    }
    return parts.length > 1 ? concat(parts) : new Uint8Array(parts[0] ?? emptyBytes);
  }

  /**
   * The payload's block as it is stored, its checksum verified, if it is one of these codecs and the payload is all of it.
   * Cost: as {@link read}, without decoding.
   */
  async stored(
    location: Location,
    codecs: readonly CodecCode[],
    place?: FramePlace,
  ): Promise<EncodedBlock | undefined> {
    const { start, length, codec } = location;
    if (start !== 0 || length === 0 || !codecs.includes(codec)) return undefined;
    const [block, ...others] = (await this.#load(location, place)).blocks;
    // Who gets it would need its base as well.
    return block?.rawBytes === length && others.length === 0 && !block.resting ? block : undefined;
  }

  async #load({ segment, offset, stored }: Location, place: FramePlace | undefined): Promise<Loaded> {
    const held = this.#blocks;
    if (held && held.segment === segment && held.offset === offset && held.stored === stored) return held;
    const blocks = await this.#frames.blocks(this.#tenant, segment, offset, stored, place);
    this.#blocks = { offset, stored, ...undecoded(blocks, { segment, place }) };
    return this.#blocks;
  }
}

/** Blocks, and what those of them that were decoded hold. */
interface Loaded extends BlockPlace {
  readonly blocks: readonly EncodedBlock[];
  readonly raw: (Uint8Array | undefined)[];
}

function undecoded(blocks: readonly EncodedBlock[], { segment, place }: BlockPlace): Loaded {
  return { segment, place, blocks, raw: [] };
}

/** Bytes `from` … `to` − 1 of what the blocks decode to; what is asked for ends at `end`. */
interface Part {
  readonly from: number;
  readonly to: number;
  readonly end: number;
}

function cut(raw: Uint8Array, { from, to, end }: Part): Uint8Array {
  if (raw.length < end) throw doesNotFit(end, raw.length);
  return owned(raw.subarray(from, to));
}

/**
 * A payload is the caller's own: it neither keeps a shared block in memory nor lets one caller see another's change.
 * Not slice(): that of a Buffer, which zlib answers, is a view of the same bytes.
 */
function owned(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function doesNotFit(end: number, rawBytes: number): PayloadStoreError {
  return new PayloadStoreError("CORRUPT", `location that ends at byte ${end} does not fit its ${rawBytes} raw bytes`);
}

function rangeIn({ length }: Location, range: ReadRange | undefined): ReadRange {
  if (range && !(range.start >= 0 && range.end >= range.start)) {
    throw new PayloadStoreError("INVALID", "a range is 0 ≤ start ≤ end", { details: { field: "range" } });
  }
  return { start: Math.min(range?.start ?? 0, length), end: Math.min(range?.end ?? length, length) };
}

/** The blocks of a payload that hold a range of it, as a location of their own, and the range in their raw bytes. */
function narrowed(
  location: Location,
  { start: first, end }: ReadRange,
  blocks: readonly PageBlock[] = [],
): { readonly location: Location; readonly from: number; readonly to: number } {
  if (blocks.length < 2) return { location, from: location.start + first, to: location.start + end };
  let rawStart = 0;
  let skippedRaw = 0;
  let { offset } = location;
  let stored = 0;
  let length = 0;
  for (const { rawBytes, bodyBytes } of blocks) {
    const storedBytes = blockHeaderBytes + bodyBytes;
    if (rawStart + rawBytes <= first) {
      skippedRaw += rawBytes;
      offset += storedBytes;
    } else if (rawStart < end) {
      stored += storedBytes;
      length += rawBytes;
    }
    rawStart += rawBytes;
  }
  return { location: { ...location, offset, stored, length }, from: first - skippedRaw, to: end - skippedRaw };
}

/** Where each block ends, in the raw bytes of a payload that consists of them. */
function* endsOf(blocks: readonly PageBlock[]): Generator<number> {
  let end = 0;
  for (const { rawBytes } of blocks) yield (end += rawBytes);
}

/** A location comes from a caller: it must not be able to ask for more than a payload's worth. */
export function checkLocation(location: Location): void {
  const { version, segment, offset, stored, start, length, page } = (location as Location | null) ?? ({} as Location);
  const whole = [offset, stored, start, length].every((value) => Number.isSafeInteger(value) && value >= 0);
  const storedMax = page === undefined ? 2 * limits.commitBytesMax : limits.uploadBytesMax;
  const malformedPage =
    page !== undefined && !(Number.isSafeInteger((page as Location["page"] | null)?.sequence) && page.sequence > 0);
  const malformed =
    malformedPage || !whole || stored > storedMax || start + length > storedMax || (stored === 0 && length > 0);
  if (version !== 0 || typeof segment !== "string" || !isSegmentName(segment) || malformed) {
    throw new PayloadStoreError("INVALID", "the location is not one that `append` returned", {
      details: { field: "location" },
    });
  }
}
