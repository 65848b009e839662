import { constants, zstdCompress, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { promisify } from "node:util";
import { PayloadStoreError } from "../../errors.ts";

const compress = promisify(zstdCompress);

/** Runs work of the thread pool, or lets it wait for its turn. */
export type InPool = <T>(work: () => Promise<T>) => Promise<T>;

/** One frame by one call of node:zlib, in the thread pool. */
export function compressInPool(raw: Uint8Array, level: number, dictionary?: Uint8Array): Promise<Uint8Array> {
  return compress(raw, options(raw, level, dictionary));
}

/** One frame by one call of node:zlib, in place. */
export function compressOnce(raw: Uint8Array, level: number, dictionary?: Uint8Array): Uint8Array {
  return zstdCompressSync(raw, options(raw, level, dictionary));
}

/** @throws {PayloadStoreError} `CORRUPT` when the frame does not decode to exactly `rawBytes` bytes */
export function decompressOnce(stored: Uint8Array, rawBytes: number, dictionary?: Uint8Array): Uint8Array {
  let raw: Uint8Array;
  // One chunk that is a byte longer than the block: one call into zlib, and nothing to join.
  try {
    raw = zstdDecompressSync(stored, {
      maxOutputLength: Math.max(rawBytes, 1),
      chunkSize: Math.max(rawBytes + 1, 64),
      ...(dictionary && { dictionary }),
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

function options(raw: Uint8Array, level: number, dictionary: Uint8Array | undefined) {
  return {
    pledgedSrcSize: raw.length,
    params: { [constants.ZSTD_c_compressionLevel]: level },
    ...(dictionary && { dictionary }),
  };
}

/** A plain view, since slices of a Buffer would share its memory. */
export function uncleared(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
}
