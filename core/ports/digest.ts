/** Checksums and hashes of the formats. */
export interface Digest {
  /**
   * CRC-32 (IEEE 802.3, reflected, as zlib and PNG use it), continued from `seed`.
   * @returns an unsigned 32-bit integer
   */
  crc32(bytes: Uint8Array, seed?: number): number;
  /** SHA-256 (FIPS 180-4), as 64 lower-case hex digits. */
  sha256(bytes: Uint8Array): string;
  /** SHA-256 of bytes that come one after the other. */
  sha256Parts(): Sha256Parts;
}

export interface Sha256Parts {
  update(bytes: Uint8Array): void;
  /** 64 lower-case hex digits. Ends it. */
  end(): string;
}
