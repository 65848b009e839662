import type { ExpiresAt } from "./expiry.ts";
import type { Attributes } from "./page/page.ts";
import type { CodecCode, CodecName } from "./ports/codec.ts";

export type { Attributes } from "./page/page.ts";

/**
 * Where a payload's bytes lie: one contiguous range of blocks in one segment. JSON-safe, and stable until compaction
 * declares it dead. `getAt` reads it without the index.
 */
export interface Location {
  readonly version: 0;
  readonly segment: string;
  /** Offset of the first block in the segment, in bytes. */
  readonly offset: number;
  /** Bytes of the blocks, their headers included: what one ranged read takes. 0 for an empty payload. */
  readonly stored: number;
  /** Codec of the first block: 0 none, 1 LZ4, 2 zstd. */
  readonly codec: CodecCode;
  /** Where the payload begins in the raw bytes of the blocks: payloads of a batch share blocks. */
  readonly start: number;
  /** Length of the payload, in bytes. */
  readonly length: number;
  /** Set where the page has to be read first: the bytes lie with it in the index, or in an upload that it describes. */
  readonly page?: { readonly group: string; readonly sequence: number } | undefined;
}

/** What is known of a payload without reading it. */
export interface PayloadHead {
  readonly group: string;
  readonly id: string;
  /** Length in bytes. */
  readonly bytes: number;
  /** 24 hex digits: the first 96 bits of the SHA-256 of the bytes. The same bytes have the same etag for ever. */
  readonly etag: string;
  readonly contentType?: string | undefined;
  readonly attributes?: Attributes | undefined;
  /** When its commit was made, milliseconds since 1970, by the writer's clock. */
  readonly timeMs: number;
  /** From when on it counts as absent, milliseconds since 1970. */
  readonly expiresMs?: number | undefined;
  readonly location: Location;
}

export interface Payload extends PayloadHead {
  /** The payload's bytes, or the asked range of them. */
  readonly body: Uint8Array;
}

/** A payload whose bytes come in pieces. */
export interface StreamedPayload extends PayloadHead {
  /** To be read once. Rejects with `CORRUPT`, `GONE` or `UNAVAILABLE` where it cannot go on. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** A payload whose body may be compressed. */
export interface StoredPayload extends PayloadHead {
  /** What decodes the body: 0 none, 1 LZ4, 2 zstd. */
  readonly codec: CodecCode;
  readonly body: Uint8Array;
}

/** A payload to store. */
export interface PayloadInput {
  readonly bytes: Uint8Array;
  /** Media type, at most 255 printable ASCII characters; kept and answered as it is. */
  readonly contentType?: string | undefined;
  /** At most 32 names and values, 4,096 bytes in all. */
  readonly attributes?: Attributes | undefined;
  /** From then on, by the store's clock, the payload counts as absent. The next compaction takes its bytes away. */
  readonly expiresAt?: ExpiresAt | undefined;
  /** A class of the store's `retentionMs`, which says how long it is kept from its commit on. Not beside `expiresAt`. */
  readonly retention?: string | undefined;
  /** Forces a codec for this payload, unless it would grow the bytes. By default the store's policy chooses. */
  readonly codec?: CodecName | undefined;
}

export interface CallOptions {
  /** Once it fires the call rejects with `ABORTED`. What had become durable by then stays. */
  readonly signal?: AbortSignal | undefined;
}

export interface IdempotentOptions extends CallOptions {
  /**
   * 1–255 bytes, chosen by the caller and unique in its group. The same key with the same request again stores nothing and
   * answers as the first time, also when what it stored is overwritten or deleted meanwhile; with another request it is
   * `KEY_REUSED`. Kept for at least 24 hours. A delete that found nothing is not kept: the next one looks again.
   */
  readonly idempotencyKey?: string | undefined;
}

export interface CreateOptions extends IdempotentOptions {
  /** Stores only if the id has no payload, else rejects with `EXISTS`. Exactly one of many concurrent creators wins. */
  readonly ifAbsent?: boolean | undefined;
}

export interface AppendOptions extends CreateOptions, Omit<PayloadInput, "bytes"> {}

/** Bytes `start` … `end` − 1 of a payload; cut to its length. */
export interface ReadRange {
  readonly start: number;
  readonly end: number;
}

export interface ReadOptions extends CallOptions {
  readonly range?: ReadRange | undefined;
  /** Refuses what is longer, in bytes, before anything of it is read. */
  readonly bytesMax?: number | undefined;
}

export interface ListedPayload extends PayloadHead {
  /** Opaque: pass it as `after` to go on behind this payload. */
  readonly cursor: string;
}

export interface Stats {
  /** Number of payloads. Those that have expired count until compaction has taken them away. */
  readonly payloads: number;
  /** Their lengths, in bytes. */
  readonly uncompressedBytes: number;
  /** Their shares of the stored blocks, in bytes, without pages and frame headers. */
  readonly compressedBytes: number;
  /** `uncompressedBytes / compressedBytes`; 1 for an empty store. */
  readonly ratio: number;
  /** Payloads by the codec that was really used. */
  readonly none: number;
  readonly lz4: number;
  readonly zstd: number;
  /** False once a damaged page kept the store from subtracting what an overwrite or a delete made dead. */
  readonly exact: boolean;
}
