import { ByteCache, type CachedBytes } from "./byte-cache.ts";
import { emptyBytes } from "./bytes.ts";
import { limits } from "./limits.ts";
import type { Codecs } from "./ports/codec.ts";
import { blockHeaderBytes, type EncodedBlock } from "./segment/block.ts";

/** Longest block that is kept, as it is stored: one that payloads share, also where its codec made nothing of it. */
const storedBytesMax = limits.mergedBlockBytes + blockHeaderBytes;

/**
 * Decoded blocks by where they lie, up to a bound; one for all reads of a store.
 *
 * A block at its place never changes, and the index is asked before whether an id still has its payload: nothing that was
 * overwritten or deleted is answered from here that would not be from the segment.
 */
export class BlockCache {
  readonly #codecs: Codecs;
  /** The note is how long a block is as it is stored. */
  readonly #blocks: ByteCache<number>;
  #stored: Uint8Array = emptyBytes;

  /**
   * @param bytesMin  memory that it may take whatever others take, in bytes
   * @param bytesMax  bound of its memory as it is now, in bytes
   */
  constructor(codecs: Codecs, bytesMin: number, bytesMax?: () => number) {
    this.#codecs = codecs;
    this.#blocks = new ByteCache(bytesMin, bytesMax);
  }

  /** Forgets everything at once; the steps that are left to be taken overwrite it, some 0.1 ms each. */
  clear(): Iterator<void> {
    this.#stored = emptyBytes;
    return this.#blocks.clear();
  }

  /** Keeps within its bound when that has become less. */
  giveWay(): void {
    this.#blocks.giveWay();
  }

  /** A block's raw bytes, to be used before anything else runs. */
  get(name: string, stored: number): Uint8Array | undefined {
    const kept: CachedBytes<number> | undefined = this.#blocks.get(name);
    return kept?.note === stored ? kept.bytes : undefined;
  }

  /** Memory to read a block to, until the next one; `undefined` for what is not kept. */
  room(stored: number): Uint8Array | undefined {
    if (stored > storedBytesMax) return undefined;
    if (this.#stored.length < stored) this.#stored = new Uint8Array(Math.min(storedBytesMax, 2 * stored));
    return this.#stored.subarray(0, stored);
  }

  /** Memory to decode a block to that is then {@link keep kept}; `undefined` for what is too long. */
  rawRoom(rawBytes: number): Uint8Array | undefined {
    return this.#blocks.room(rawBytes + 1);
  }

  /** Keeps raw bytes that were decoded elsewhere. */
  keep(name: string, stored: number, raw: Uint8Array): void {
    this.#blocks.keep(name, raw, stored);
  }

  /** Decodes and keeps a block that rests on no other. What it answers at once has to be used before anything else runs. */
  decode(name: string, stored: number, { codec, body, rawBytes }: EncodedBlock): Uint8Array | Promise<Uint8Array> {
    const raw = this.#codecs[codec].decode(body, rawBytes, this.#blocks.room(rawBytes + 1));
    if (raw instanceof Promise) {
      // It still reads from there.
      this.#stored = emptyBytes;
      return raw;
    }
    this.#blocks.keep(name, raw, stored);
    return raw;
  }
}
