import type { Codec } from "../../ports/codec.ts";
import { encodedBytesMax, zstdDecoder, zstdEncoder, zstdEncodersOnBases, type ZstdContext } from "./zstd-context.ts";
import { ZstdOnBase } from "./zstd-on-base.ts";
import { compressInPool, compressOnce, decompressOnce, type InPool, uncleared } from "./zstd-once.ts";

/** Longer blocks are decoded by one call of node:zlib: what a context saves is little of that. In bytes. */
const againBytesMax = 256 * 1024;

/** How blocks are compressed. */
interface Effort {
  /** Longer blocks are compressed in the thread pool, which costs 5–10 times a small block's work; in bytes. */
  readonly inPlaceBytesMax: number;
  /** Levels of zstd, in place and in the pool. */
  readonly inPlace: number;
  readonly inPool: number;
}

/**
 * In place everybody waits for the encoder, and level 1 takes three quarters of level 3's time for 3 % more bytes
 * (docs/decisions/0020): about 0.5 ms for 256 KiB. In the pool nobody does.
 */
const foreground: Effort = { inPlaceBytesMax: 256 * 1024, inPlace: 1, inPool: 3 };

/** What compaction compresses in place, at level 3, in bytes: some half a millisecond, alone and on a base together. */
const inPlaceBytesOfCompaction = 64 * 1024;

/**
 * Shorter blocks are compressed at one level on a base, whatever level longer ones have, in bytes: from level 12 on reading the base takes
 * 3–6 ms, for 10 % of 100 bytes.
 */
const shortOnBaseBytes = 8192;

/** Room for about a dozen shared blocks. It goes with the last frame in it, so whoever keeps one for long keeps all that. */
const roomBytes = 128 * 1024;

export interface ZstdOptions {
  /** Without them every frame is one call of node:zlib: the same bytes, half as fast. */
  readonly contexts?: boolean | undefined;
  readonly effort?: Effort | undefined;
  readonly pool?: InPool | undefined;
}

/** Zstandard frames (RFC 8878) by Node's own zlib, with content size and without a second checksum: blocks carry their own. */
export class ZstdCodec implements Codec {
  readonly name = "zstd" as const;
  readonly code = 2 as const;
  readonly onBase: ZstdOnBase;
  readonly #effort: Effort;
  readonly #pool: InPool;
  readonly #encoder: () => ZstdContext | undefined;
  readonly #decoder: () => ZstdContext | undefined;
  /** Where the next frames are written, one behind the other: memory for each alone costs more than its bytes do. */
  #room = new Uint8Array(0);

  constructor({ contexts = true, effort = foreground, pool = (work) => work() }: ZstdOptions = {}) {
    this.#effort = effort;
    this.#pool = pool;
    this.#encoder = fromTheSecond(() => (contexts ? zstdEncoder(effort.inPlace) : undefined));
    this.#decoder = fromTheSecond(() => (contexts ? zstdDecoder() : undefined));
    this.onBase = new ZstdOnBase({
      ...effort,
      inPlaceBytesMax: Math.max(shortOnBaseBytes - 1, effort.inPlaceBytesMax),
      pool,
      decoder: this.#decoder,
      encoders: fromTheSecond(() => (contexts ? zstdEncodersOnBases(effort.inPlace) : undefined)),
      againBytesMax,
    });
  }

  encode(raw: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const { inPlaceBytesMax, inPlace, inPool } = this.#effort;
    if (raw.length > inPlaceBytesMax) return this.#pool(() => compressInPool(raw, inPool));
    const room = encodedBytesMax(raw.length);
    if (this.#room.length < room) this.#room = uncleared(Math.max(room, roomBytes));
    const bytes = this.#encoder()?.run(raw, this.#room);
    if (bytes === undefined) return compressOnce(raw, inPlace);
    const frame = this.#room.subarray(0, bytes);
    this.#room = this.#room.subarray(bytes);
    return frame;
  }

  decode(stored: Uint8Array, rawBytes: number, into?: Uint8Array): Uint8Array {
    return this.#decodeAgain(stored, rawBytes, into) ?? decompressOnce(stored, rawBytes);
  }

  /** `undefined` where one call of node:zlib has to tell what is wrong. */
  #decodeAgain(stored: Uint8Array, rawBytes: number, into: Uint8Array | undefined): Uint8Array | undefined {
    const decoder = rawBytes > againBytesMax ? undefined : this.#decoder();
    if (!decoder) return undefined;
    // One byte more than the frame may fill, by which it shows that it ended.
    const raw = into?.subarray(0, rawBytes + 1) ?? uncleared(rawBytes + 1);
    const bytes = decoder.run(stored, raw);
    if (bytes === rawBytes) return raw.subarray(0, rawBytes);
    decoder.reset();
    return undefined;
  }
}

/**
 * The same frames at a level of its own, for who is in no hurry: in the thread pool, but for short ones at level 3, which cost as much
 * to be brought there as to be compressed.
 *
 * @param pool  when work of the pool has its turn
 */
export function compactionCodec(level: number, pool?: InPool): ZstdCodec {
  const inPlaceBytesMax = level > 3 ? 0 : inPlaceBytesOfCompaction;
  return new ZstdCodec({ effort: { inPlaceBytesMax, inPlace: 3, inPool: level }, pool });
}

/** A context is tried when it is made, which takes a millisecond or more: the first answer of a process does not wait for it. */
function fromTheSecond<T>(make: () => T | undefined): () => T | undefined {
  let asked = 0;
  let made: T | undefined;
  return () => {
    asked += 1;
    if (asked === 2) made = make();
    return made;
  };
}
