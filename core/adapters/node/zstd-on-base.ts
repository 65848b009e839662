import { emptyBytes } from "../../bytes.ts";
import type { CodecOnBase } from "../../ports/codec.ts";
import { frameBehindBase, frameBehindBaseBytesMax } from "./zstd-behind-base.ts";
import { encodedBytesMax, type ZstdContext, type zstdEncodersOnBases } from "./zstd-context.ts";
import { compressInPool, compressOnce, decompressOnce, type InPool, uncleared } from "./zstd-once.ts";

export interface ZstdOnBaseOptions {
  /** Blocks of so many bytes at most are compressed in place, at this level, longer ones in the pool, at that one. */
  readonly inPlaceBytesMax: number;
  readonly inPlace: number;
  readonly inPool: number;
  readonly pool: InPool;
  readonly decoder: () => ZstdContext | undefined;
  /** Makes encoders at the level that is used in place. */
  readonly encoders: () => ReturnType<typeof zstdEncodersOnBases>;
  /** Longer blocks are decoded by one call of node:zlib. */
  readonly againBytesMax: number;
}

/**
 * Zstandard frames that have a base for their dictionary, in memory that is used again: what is left to the collector stops others later. It
 * keeps an encoder for the base that it used last, which has read it once.
 */
export class ZstdOnBase implements CodecOnBase {
  readonly #options: ZstdOnBaseOptions;
  #encoder: { readonly base: Uint8Array; readonly context: ZstdContext } | undefined;
  #input = emptyBytes;
  #output = emptyBytes;

  constructor(options: ZstdOnBaseOptions) {
    this.#options = options;
  }

  encode(raw: Uint8Array, base: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const { inPlaceBytesMax, inPlace, inPool, pool } = this.#options;
    if (raw.length > inPlaceBytesMax) return pool(() => compressInPool(raw, inPool, base));
    const output = this.#room(encodedBytesMax(raw.length));
    const bytes = this.#encoderOn(base)?.run(raw, output);
    return bytes === undefined ? compressOnce(raw, inPlace, base) : output.slice(0, bytes);
  }

  decode(stored: Uint8Array, rawBytes: number, base: Uint8Array, into?: Uint8Array): Uint8Array {
    const decoder = rawBytes > this.#options.againBytesMax ? undefined : this.#options.decoder();
    if (!decoder) return decompressOnce(stored, rawBytes, base);
    const inputBytes = frameBehindBaseBytesMax(stored.length, base.length);
    if (this.#input.length < inputBytes) this.#input = uncleared(2 * inputBytes);
    const bytes = frameBehindBase(stored, rawBytes, base, this.#input);
    const outputBytes = base.length + rawBytes;
    // One byte more than the frame may fill, by which it shows that it ended.
    const output = this.#room(outputBytes + 1);
    if (bytes === undefined || decoder.run(this.#input.subarray(0, bytes), output) !== outputBytes) {
      decoder.reset();
      // One call of node:zlib tells what is wrong.
      return decompressOnce(stored, rawBytes, Uint8Array.from(base));
    }
    const raw = into?.subarray(0, rawBytes) ?? uncleared(rawBytes);
    raw.set(output.subarray(base.length, outputBytes));
    return raw;
  }

  forget(): void {
    this.#encoder?.base.fill(0);
    this.#encoder?.context.reset();
    this.#encoder = undefined;
    this.#input.fill(0);
    this.#output.fill(0);
  }

  #room(bytes: number): Uint8Array {
    if (this.#output.length < bytes) this.#output = uncleared(2 * bytes);
    return this.#output.subarray(0, bytes);
  }

  #encoderOn(base: Uint8Array): ZstdContext | undefined {
    // The bytes decide: where they lie, others may have lain before.
    if (this.#encoder && Buffer.compare(this.#encoder.base, base) === 0) return this.#encoder.context;
    const context = this.#options.encoders()?.(base);
    this.#encoder?.context.reset();
    this.#encoder = context && { base: Uint8Array.from(base), context };
    return context;
  }
}
