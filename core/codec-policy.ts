import { PayloadStoreError } from "./errors.ts";
import type { CodecName } from "./ports/codec.ts";

/** What a policy may look at: a block before it is encoded. */
export interface BlockShape {
  /** The block's bytes; a policy may sample them. */
  readonly raw: Uint8Array;
  /** Payloads in the block; a slice of a large payload counts as one. */
  readonly payloads: number;
  /** Length of the payload where there is one, also when the block is a slice of it. */
  readonly payloadBytes: number;
}

/** Chooses a codec for a block whose payloads name none. A pure function of the block. */
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
  return ({ raw, payloads, payloadBytes }) => {
    if (payloads > 1) return raw.length < tiers.lz4From ? "none" : "zstd";
    if (payloadBytes < tiers.lz4From) return "none";
    return payloadBytes < tiers.zstdFrom ? "lz4" : "zstd";
  };
}

/** Below this a frame's own bytes eat what it gains. */
const smallestBytes = 192;

/** Text and JSON have 4–6 bits a byte; images, archives and ciphertext more than 7.5, and no codec makes them smaller. */
const entropyBitsMax = 7.5;

/**
 * Looks at the bytes: what is very small, or looks random, is stored as it is without a try; everything else is zstd, which
 * makes agent traces smaller than LZ4 does and is slower to read: `npm run bench` shows both.
 */
export function autoPolicy(): CodecPolicy {
  return ({ raw }) => (raw.length < smallestBytes || sampledEntropyBits(raw) > entropyBitsMax ? "none" : "zstd");
}

/** Policies by the names that options and the command line use. */
export type CodecPolicyName = "tiered" | "auto";

/** @throws {PayloadStoreError} `INVALID` for a name that is none */
export function codecPolicy(policy: CodecPolicyName | CodecPolicy): CodecPolicy {
  if (typeof policy === "function") return policy;
  if (policy === "tiered") return tieredPolicy();
  if (policy === "auto") return autoPolicy();
  throw new PayloadStoreError("INVALID", `codecPolicy must be "tiered" or "auto"; got ${JSON.stringify(policy)}`, {
    details: { field: "codecPolicy" },
  });
}

const sampleBytes = 1024;

/**
 * Shannon entropy of up to 1,024 bytes taken evenly from a block, in bits a byte, corrected for the sample's size (Miller
 * and Madow, 1955), since 1,024 random bytes alone show 7.8.
 */
export function sampledEntropyBits(raw: Uint8Array): number {
  const counts = new Uint16Array(256);
  const taken = Math.min(raw.length, sampleBytes);
  for (let i = 0; i < taken; i++) {
    const byte = raw[Math.floor((i * raw.length) / taken)] ?? 0;
    counts[byte] = (counts[byte] ?? 0) + 1;
  }
  let bits = 0;
  let seen = 0;
  for (const count of counts) {
    if (count === 0) continue;
    seen += 1;
    bits -= (count / taken) * Math.log2(count / taken);
  }
  return taken === 0 ? 0 : Math.min(8, bits + (seen - 1) / (2 * taken * Math.LN2));
}
