/** Checksums and hashes of the formats. */
export interface Digest {
  /**
   * CRC-32 (IEEE 802.3, reflected, as zlib and PNG use it), continued from `seed`.
   * @returns an unsigned 32-bit integer
   */
  crc32(bytes: Uint8Array, seed?: number): number;
  /** SHA-256 (FIPS 180-4), 32 bytes. */
  sha256(bytes: Uint8Array): Uint8Array;
}
