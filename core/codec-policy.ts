import type { CodecName } from "./ports/codec.ts";

/** What a policy may look at: a block before it is encoded. */
export interface BlockShape {
  readonly rawBytes: number;
  /** Payloads in the block; a slice of a large payload counts as one. */
  readonly payloads: number;
  /** Length of the payload where there is one, also when the block is a slice of it. */
  readonly payloadBytes: number;
}

/** Chooses a codec for a block whose payloads name none. A pure function of its shape. */
export type CodecPolicy = (block: BlockShape) => CodecName;

/** Sizes from which the tiers of {@link tieredPolicy} begin, in bytes. */
export interface CodecTiers {
  readonly lz4From: number;
  readonly zstdFrom: number;
}

/**
 * The rule of the systems that Paylode replaces, for a payload alone: below 1,024 bytes none, below 100,000 LZ4, else zstd.
 * A block shared by several payloads is read for each of them, and repeats itself: from 1,024 bytes it is zstd.
 */
export function tieredPolicy(tiers: CodecTiers = { lz4From: 1024, zstdFrom: 100_000 }): CodecPolicy {
  return ({ rawBytes, payloads, payloadBytes }) => {
    if (payloads > 1) return rawBytes < tiers.lz4From ? "none" : "zstd";
    if (payloadBytes < tiers.lz4From) return "none";
    return payloadBytes < tiers.zstdFrom ? "lz4" : "zstd";
  };
}
