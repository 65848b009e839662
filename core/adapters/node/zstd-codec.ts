import { constants, zstdCompress, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { promisify } from "node:util";
import { emptyBytes } from "../../bytes.ts";
import { PayloadStoreError } from "../../errors.ts";
import type { Codec, CodecOnBase } from "../../ports/codec.ts";
import { frameBehindBase, frameBehindBaseBytesMax } from "./zstd-behind-base.ts";
import { encodedBytesMax, zstdDecoder, zstdEncoder, type ZstdContext } from "./zstd-context.ts";

const compressInPool = promisify(zstdCompress);

/**
 * Up to here a block is compressed in place: 256 KiB take about 0.5 ms at level 1, and the pool costs 5–10 times a small
 * block's work. Larger blocks would hold up everybody else.
 */
const inPlaceBytesMax = 256 * 1024;

/**
 * In place everybody waits for the encoder, and level 1 takes three quarters of level 3's time for 3 % more bytes
 * (docs/decisions/0020); in the pool nobody does.
 */
const levels = { inPlace: 1, inPool: 3 } as const;

/** Room for about a dozen shared blocks. It goes with the last frame in it, so whoever keeps one for long keeps all that. */
const roomBytes = 128 * 1024;

/** Zstandard frames (RFC 8878) by Node's own zlib, with content size and without a second checksum: blocks carry their own. */
export class ZstdCodec implements Codec {
  readonly name = "zstd" as const;
  readonly code = 2 as const;
  readonly onBase: CodecOnBase;
  readonly #encoder: () => ZstdContext | undefined;
  readonly #decoder: () => ZstdContext | undefined;
  /** Where the next frames are written, one behind the other: memory for each alone costs more than its bytes do. */
  #room = new Uint8Array(0);

  /** @param contexts  without them every frame is one call of node:zlib: the same bytes, half as fast */
  constructor({ contexts = true }: { readonly contexts?: boolean } = {}) {
    this.#encoder = fromTheSecond(() => (contexts ? zstdEncoder(levels.inPlace) : undefined));
    this.#decoder = fromTheSecond(() => (contexts ? zstdDecoder() : undefined));
    this.onBase = onBase(levels.inPool, new DecoderOnBases(this.#decoder));
  }

  encode(raw: Uint8Array): Uint8Array | Promise<Uint8Array> {
    if (raw.length > inPlaceBytesMax) return compressInPool(raw, encodeOptions(raw, levels.inPool));
    const room = encodedBytesMax(raw.length);
    if (this.#room.length < room) this.#room = uncleared(Math.max(room, roomBytes));
    const bytes = this.#encoder()?.run(raw, this.#room);
    if (bytes === undefined) return zstdCompressSync(raw, encodeOptions(raw, levels.inPlace));
    const frame = this.#room.subarray(0, bytes);
    this.#room = this.#room.subarray(bytes);
    return frame;
  }

  decode(stored: Uint8Array, rawBytes: number, into?: Uint8Array): Uint8Array {
    return this.#decodeAgain(stored, rawBytes, into) ?? decodeOnce(stored, rawBytes);
  }

  /** `undefined` where one call of node:zlib has to tell what is wrong. */
  #decodeAgain(stored: Uint8Array, rawBytes: number, into: Uint8Array | undefined): Uint8Array | undefined {
    const decoder = rawBytes > inPlaceBytesMax ? undefined : this.#decoder();
    if (!decoder) return undefined;
    // One byte more than the frame may fill, by which it shows that it ended.
    const raw = into?.subarray(0, rawBytes + 1) ?? uncleared(rawBytes + 1);
    const bytes = decoder.run(stored, raw);
    if (bytes === rawBytes) return raw.subarray(0, rawBytes);
    decoder.reset();
    return undefined;
  }
}

/** The same frames, made in the thread pool at a level of its own: for who is in no hurry. */
export function compactionCodec(level: number): Codec {
  const codec = new ZstdCodec();
  return {
    name: codec.name,
    code: codec.code,
    encode: (raw) => compressInPool(raw, encodeOptions(raw, level)),
    decode: (stored, rawBytes, into) => codec.decode(stored, rawBytes, into),
    onBase: onBase(level, codec.onBase),
  };
}

/** Decodes what rests on bases, in memory that is used again: what a read leaves to the collector stops later ones. */
class DecoderOnBases {
  readonly #decoder: () => ZstdContext | undefined;
  #input = emptyBytes;
  #output = emptyBytes;

  constructor(decoder: () => ZstdContext | undefined) {
    this.#decoder = decoder;
  }

  decode(stored: Uint8Array, rawBytes: number, base: Uint8Array, into?: Uint8Array): Uint8Array {
    const decoder = rawBytes > inPlaceBytesMax ? undefined : this.#decoder();
    if (!decoder) return decodeOnce(stored, rawBytes, base);
    const inputBytes = frameBehindBaseBytesMax(stored.length, base.length);
    const outputBytes = base.length + rawBytes;
    if (this.#input.length < inputBytes) this.#input = uncleared(2 * inputBytes);
    if (this.#output.length <= outputBytes) this.#output = uncleared(2 * outputBytes + 1);
    const bytes = frameBehindBase(stored, rawBytes, base, this.#input);
    if (
      bytes === undefined ||
      decoder.run(this.#input.subarray(0, bytes), this.#output.subarray(0, outputBytes + 1)) !== outputBytes
    ) {
      decoder.reset();
      // One call of node:zlib tells what is wrong.
      return decodeOnce(stored, rawBytes, Uint8Array.from(base));
    }
    const raw = into?.subarray(0, rawBytes) ?? uncleared(rawBytes);
    raw.set(this.#output.subarray(base.length, outputBytes));
    return raw;
  }

  forget(): void {
    this.#input.fill(0);
    this.#output.fill(0);
  }
}

/**
 * Shorter blocks are written at one level on a base, in bytes: most of the work is to read the base, which takes 0.14 ms up to
 * level 9 and 3–6 ms from level 12 on, for 10 % of 100 bytes.
 */
const shortOnBaseBytes = 8192;
const shortOnBaseLevel = 6;

function onBase(level: number, decoders: Pick<CodecOnBase, "decode" | "forget">): CodecOnBase {
  const levelOf = (raw: Uint8Array) => (raw.length < shortOnBaseBytes ? shortOnBaseLevel : level);
  return {
    encode: (raw, base) => compressInPool(raw, { ...encodeOptions(raw, levelOf(raw)), dictionary: base }),
    decode: (stored, rawBytes, base, into) => decoders.decode(stored, rawBytes, base, into),
    forget: () => decoders.forget(),
  };
}

/** A plain view, since slices of a Buffer would share its memory. */
function uncleared(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
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

function encodeOptions(raw: Uint8Array, level: number) {
  return { pledgedSrcSize: raw.length, params: { [constants.ZSTD_c_compressionLevel]: level } };
}

function decodeOnce(stored: Uint8Array, rawBytes: number, base?: Uint8Array): Uint8Array {
  let raw: Uint8Array;
  // One chunk that is a byte longer than the block: one call into zlib, and nothing to join.
  try {
    raw = zstdDecompressSync(stored, {
      maxOutputLength: Math.max(rawBytes, 1),
      chunkSize: Math.max(rawBytes + 1, 64),
      ...(base && { dictionary: base }),
    });
  } catch (cause) {
    throw new PayloadStoreError(
      "CORRUPT",
      `zstd frame of ${stored.length} bytes does not decode to ${rawBytes} bytes`,
      {
        cause,
      },
    );
  }
  if (raw.length !== rawBytes) {
    throw new PayloadStoreError("CORRUPT", `zstd frame decodes to ${raw.length} bytes, expected ${rawBytes}`);
  }
  return raw;
}
