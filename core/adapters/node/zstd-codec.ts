import { constants, zstdCompress, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { promisify } from "node:util";
import { PayloadStoreError } from "../../errors.ts";
import type { Codec } from "../../ports/codec.ts";

const compressInPool = promisify(zstdCompress);

/**
 * Up to here a block is compressed in place: 256 KiB take about 1 ms at level 3, and the pool costs 5–10 times a small
 * block's work. Larger blocks would hold up everybody else.
 */
const inPlaceBytesMax = 256 * 1024;

/** Zstandard frames (RFC 8878) by Node's own zlib, with content size and without a second checksum: blocks carry their own. */
export class ZstdCodec implements Codec {
  readonly name = "zstd" as const;
  readonly code = 2 as const;
  readonly #level: number;

  constructor(level = 3) {
    this.#level = level;
  }

  encode(raw: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const options = { pledgedSrcSize: raw.length, params: { [constants.ZSTD_c_compressionLevel]: this.#level } };
    return raw.length <= inPlaceBytesMax ? zstdCompressSync(raw, options) : compressInPool(raw, options);
  }

  decode(stored: Uint8Array, rawBytes: number): Uint8Array {
    let raw: Uint8Array;
    // One chunk that is a byte longer than the block: one call into zlib, and nothing to join.
    try {
      raw = zstdDecompressSync(stored, {
        maxOutputLength: Math.max(rawBytes, 1),
        chunkSize: Math.max(rawBytes + 1, 64),
      });
    } catch (cause) {
      throw new PayloadStoreError(
        "CORRUPT",
        `zstd frame of ${stored.length} bytes does not decode to ${rawBytes} bytes`,
        { cause },
      );
    }
    if (raw.length !== rawBytes) {
      throw new PayloadStoreError("CORRUPT", `zstd frame decodes to ${raw.length} bytes, expected ${rawBytes}`);
    }
    return raw;
  }
}
