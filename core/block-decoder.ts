import type { BlockCache } from "./block-cache.ts";
import { concat } from "./bytes.ts";
import { isPayloadStoreError, PayloadStoreError } from "./errors.ts";
import type { Codecs } from "./ports/codec.ts";
import type { FramePlace } from "./ports/segment-store.ts";
import { isRawContent } from "./segment/base.ts";
import type { EncodedBlock } from "./segment/block.ts";
import type { ByteRange } from "./segment/footer.ts";
import type { FrameReader } from "./segment/read-frame.ts";

/** Where a block was found. */
export interface BlockPlace {
  readonly segment: string;
  /** The frame it was read for, which may hold what it rests on. */
  readonly place?: FramePlace | undefined;
}

/**
 * Decodes blocks of a tenant, also those that rest on a base. It keeps the base it used last; a cache keeps more of them,
 * for all who share it.
 */
export class BlockDecoder {
  readonly #tenant: string;
  readonly #frames: FrameReader;
  readonly #codecs: Codecs;
  readonly #cache: BlockCache | undefined;
  #base: { readonly name: string; readonly raw: Uint8Array } | undefined;

  constructor(
    tenant: string,
    ports: { readonly frames: FrameReader; readonly codecs: Codecs; readonly cache?: BlockCache | undefined },
  ) {
    this.#tenant = tenant;
    this.#frames = ports.frames;
    this.#codecs = ports.codecs;
    this.#cache = ports.cache;
  }

  /**
   * The block's raw bytes, in memory of their own or of the block's. Cost: one read for a base that is not kept, none otherwise.
   * @param into  memory of at least `rawBytes` + 1 bytes whose beginning the answer may lie in
   * @throws {PayloadStoreError} `CORRUPT`, `GONE`, `UNAVAILABLE`; `UNSUPPORTED` where the codec knows no bases
   */
  decode(block: EncodedBlock, at: BlockPlace, into?: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const { codec, body, rawBytes, resting } = block;
    if (!resting) return this.#codecs[codec].decode(body, rawBytes, into);
    const base = this.base(resting.base, at);
    if (base instanceof Promise) return base.then((raw) => this.decodeOn(block, raw, at, into));
    return this.decodeOn(block, base, at, into);
  }

  /**
   * @param base  what the block rests on
   * @param into  memory of at least `rawBytes` + 1 bytes whose beginning the answer may lie in
   */
  decodeOn(
    { codec, rawBytes, resting }: EncodedBlock,
    base: Uint8Array,
    { segment }: BlockPlace,
    into?: Uint8Array,
  ): Uint8Array {
    const { onBase } = this.#codecs[codec];
    if (!onBase || !resting) {
      throw new PayloadStoreError(
        "UNSUPPORTED",
        "the block rests on a base, which this codec cannot read: read it on Node",
      );
    }
    try {
      return onBase.decode(resting.frame, rawBytes, base, into);
    } catch (error) {
      throw this.#corrupt(error, segment, resting.base);
    }
  }

  /**
   * What a base decodes to, to be used before anything else runs.
   * @throws {PayloadStoreError} `CORRUPT`, which says that others rest on it; `GONE`, `UNAVAILABLE`
   */
  base(range: ByteRange, at: BlockPlace): Uint8Array | Promise<Uint8Array> {
    const { segment } = at;
    const bytes = range.end - range.start;
    const name = `${this.#tenant}/${segment}/${range.start}+`;
    if (this.#base?.name === `${name}${bytes}`) return this.#base.raw;
    const kept = this.#cache?.get(name, bytes);
    if (kept) return kept;
    try {
      const found = this.#load(range, at);
      if (!(found instanceof Promise)) return this.#keep(name, bytes, found);
      return found.then(
        (raw) => this.#keep(name, bytes, raw),
        (error: unknown) => {
          throw this.#corrupt(error, segment, range);
        },
      );
    } catch (error) {
      throw this.#corrupt(error, segment, range);
    }
  }

  #load(range: ByteRange, { segment, place }: BlockPlace): Uint8Array | Promise<Uint8Array> {
    const blocks = this.#frames.base(this.#tenant, segment, range, place);
    return blocks instanceof Promise ? blocks.then((found) => this.#join(found)) : this.#join(blocks);
  }

  #join(blocks: readonly EncodedBlock[]): Uint8Array | Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (const { codec, body, rawBytes } of blocks) {
      const raw = this.#codecs[codec].decode(body, rawBytes);
      // Node's codecs answer at once.
      if (raw instanceof Promise) return this.#joinLater(blocks);
      // What is stored as it is lies in what was read.
      parts.push(codec === 0 ? new Uint8Array(raw) : raw);
    }
    return checked(concat(parts));
  }

  async #joinLater(blocks: readonly EncodedBlock[]): Promise<Uint8Array> {
    const decoding = blocks.map(async ({ codec, body, rawBytes }) => this.#codecs[codec].decode(body, rawBytes));
    return checked(concat(await Promise.all(decoding)));
  }

  #keep(name: string, bytes: number, raw: Uint8Array): Uint8Array {
    this.#cache?.keep(name, bytes, raw);
    this.#base = { name: `${name}${bytes}`, raw };
    return raw;
  }

  #corrupt(error: unknown, segment: string, { start, end }: ByteRange): unknown {
    if (!isPayloadStoreError(error, "CORRUPT")) return error;
    const message = `a block of segment ${this.#tenant}/${segment} rests on its bytes ${start}–${end}: ${error.message}`;
    return new PayloadStoreError("CORRUPT", message, { cause: error, details: { ...error.details, baseStart: start } });
  }
}

function checked(raw: Uint8Array): Uint8Array {
  if (isRawContent(raw)) return raw;
  throw new PayloadStoreError("CORRUPT", `${raw.length} raw bytes that begin so are no base`);
}
