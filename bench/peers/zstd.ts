import { zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** How a peer stores a payload: as it is, or as one zstd frame. */
export interface Packing {
  pack(bytes: Uint8Array): Uint8Array;
  unpack(bytes: Uint8Array): Uint8Array;
}

export const asIs: Packing = { pack: (bytes) => bytes, unpack: (bytes) => bytes };

/** Level 3, as Paylode's; the size is said beforehand, which makes the frame cheaper on both sides. */
export const zstd: Packing = {
  pack: (bytes) => zstdCompressSync(bytes, { pledgedSrcSize: bytes.length }),
  unpack: (bytes) => zstdDecompressSync(bytes),
};
