import { compressBlock, compressBound } from "lz4js";
import { PayloadStoreError } from "../../errors.ts";
import type { Codec } from "../../ports/codec.ts";
import { decodeLz4Frame, encodeLz4Frame } from "./lz4-frame.ts";

/** lz4js hashes four bytes to 16 bits. */
const hashTable = new Uint32Array(1 << 16);

let scratch = new Uint8Array(0);

/**
 * LZ4 frames (LZ4 Frame Format 1.6). lz4js compresses; the frame around its block is ours, because lz4js clears its table
 * by a loop that costs more than a small block. They are read by our own decoder, because lz4js checks no bound: a damaged
 * frame decodes to other bytes, or for minutes. docs/decisions/0004.
 */
export const lz4Codec: Codec = {
  name: "lz4",
  code: 1,
  encode(raw) {
    const bound = compressBound(raw.length);
    if (scratch.length < bound) scratch = new Uint8Array(bound);
    // A position left over from other bytes could match itself, at distance 0.
    hashTable.fill(0);
    const bytes = compressBlock(raw, scratch, 0, raw.length, hashTable);
    return encodeLz4Frame(raw, bytes > 0 && bytes < raw.length ? scratch.subarray(0, bytes) : undefined);
  },
  decode(stored, rawBytes, into) {
    const raw = decodeLz4Frame(stored, rawBytes, into);
    if (raw) return raw;
    throw new PayloadStoreError("CORRUPT", `LZ4 frame of ${stored.length} bytes does not decode to ${rawBytes} bytes`);
  },
};
