/** Stable codes of the format: 0 stored as it is, 1 an LZ4 frame, 2 a Zstandard frame. */
export type CodecCode = 0 | 1 | 2;

export type CodecName = "none" | "lz4" | "zstd";

/**
 * One way to store a block. Bodies are standard frames, so the `lz4` and `zstd` tools can decode them.
 *
 * A codec never guesses from the bytes: the caller knows code and raw length from a checksummed page or block header.
 * Small blocks should be answered synchronously: a promise costs more than the work.
 */
export interface Codec {
  readonly name: CodecName;
  readonly code: CodecCode;

  /** @param raw  at most `limits.blockRawBytesMax` bytes; not changed, and not kept after the answer. */
  encode(raw: Uint8Array): Uint8Array | Promise<Uint8Array>;

  /**
   * @param stored  what `encode` gave, or foreign bytes
   * @param rawBytes  the length to decode to; no more than this is ever allocated for the result
   * @param into  memory of at least `rawBytes` + 1 bytes whose beginning an answer given at once may lie in
   * @returns exactly `rawBytes` bytes
   * @throws {PayloadStoreError} `CORRUPT` when the bytes do not decode to exactly `rawBytes`
   */
  decode(stored: Uint8Array, rawBytes: number, into?: Uint8Array): Uint8Array | Promise<Uint8Array>;

  /** Frames that have other bytes for their dictionary; zstd alone, and not everywhere. */
  readonly onBase?: CodecOnBase | undefined;
}

/** One way to store a block that rests on other bytes, its base: what repeats them need not be stored again. */
export interface CodecOnBase {
  /** @param base  not changed, and not kept after the answer */
  encode(raw: Uint8Array, base: Uint8Array): Uint8Array | Promise<Uint8Array>;

  /**
   * Answers at once, as its base may lie in memory that is used again.
   * @param base  read before anything is written to `into`, which may be the same memory
   * @param into  memory of at least `rawBytes` + 1 bytes whose beginning the answer may lie in
   * @returns exactly `rawBytes` bytes
   * @throws {PayloadStoreError} `CORRUPT` when the bytes do not decode to exactly `rawBytes` on this base
   */
  decode(stored: Uint8Array, rawBytes: number, base: Uint8Array, into?: Uint8Array): Uint8Array;

  /** Overwrites copies of bases that it has kept. */
  forget(): void;
}

/** Every codec of a store, by code. */
export type Codecs = Readonly<Record<CodecCode, Codec>>;
