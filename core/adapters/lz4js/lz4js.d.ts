/**
 * The part of lz4js 0.2.0 that we call. The package brings no types.
 *
 * Its frames carry neither content size nor checksum, and decoding checks neither: the length and the checksum have to
 * come from the block that holds the frame.
 */
declare module "lz4js" {
  /** The largest number of bytes that a frame of `rawLength` bytes takes. */
  export function compressBound(rawLength: number): number;

  /**
   * Compresses one block to the start of `target` and returns its length, 0 when nothing matched. Positions in `hashTable`
   * (65,536 entries) are those of `raw` plus 1; a position of other bytes can give a match at distance 0.
   */
  export function compressBlock(
    raw: Uint8Array,
    target: Uint8Array,
    start: number,
    length: number,
    hashTable: Uint32Array,
  ): number;

  /** One LZ4 frame in a new array of exactly its length. Too small a `sizeMax` cuts it short without a word. */
  export function compress(raw: Uint8Array, sizeMax?: number): Uint8Array<ArrayBuffer>;

  /**
   * The bytes of one LZ4 frame, in a new array.
   *
   * @param sizeMax  bytes to allocate. Without it the frame's header decides: 4 MiB for the frames that `compress` writes.
   * @throws {Error} on a foreign magic number or header. Damaged blocks pass, with wrong bytes.
   */
  export function decompress(frame: Uint8Array, sizeMax?: number): Uint8Array<ArrayBuffer>;

  /** Writes one LZ4 frame to the start of `target` and returns its length, which may exceed what fitted. */
  export function compressFrame(raw: Uint8Array, target: Uint8Array): number;

  /** Decodes one LZ4 frame to the start of `target` and returns the number of bytes, which may exceed what fitted. */
  export function decompressFrame(frame: Uint8Array, target: Uint8Array): number;

  /** The largest raw length that the frame's block headers allow: whole blocks, so usually far above the true one. */
  export function decompressBound(frame: Uint8Array): number;
}
