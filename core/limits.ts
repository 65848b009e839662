import { invariant } from "./invariant.ts";

/**
 * Every bound of the product, with unit and reason. A bound is part of the contract: raising one is a release note,
 * lowering one is breaking.
 */
export const limits = {
  /** Group and id, in UTF-8 bytes. DynamoDB sort keys end at 1,024 bytes; two names and a sequence must fit. */
  nameBytesMax: 512,
  /** One payload on the local store: 64 MiB, 16 blocks of {@link limits.blockRawBytesMax}; the default, a store may lower it. */
  payloadBytesMax: 67_108_864,
  /** Raw bytes of one commit, 256 MiB: every payload of one `appendMany` together. It is what a crash may leave as a torn tail. */
  commitBytesMax: 268_435_456,
  /** Payloads of one commit. */
  commitPayloadsMax: 10_000,
  /** Raw bytes of one block, 4 MiB. The `lz4` tool reads frames of at most 4 MiB blocks everywhere, and a decoder allocates this at most. */
  blockRawBytesMax: 4_194_304,
  /** Raw bytes gathered before a block shared by a batch is closed. A random read decodes all of it: docs/decisions/0021. */
  sharedBlockBytes: 32_768,
  /** Encoded page of one commit, 16 MiB: 10,000 ids of 512 bytes, or fewer with attributes. */
  pageBytesMax: 16_777_216,
  /** All attributes of one payload, encoded, in bytes. They are for filtering; bodies belong in the payload. */
  attributesBytesMax: 4096,
  attributesCountMax: 32,
  /** Content type, in bytes. RFC 6838 bounds type and subtype to 127 characters each. */
  contentTypeBytesMax: 255,
  /** Idempotency-Key, in bytes. */
  idempotencyKeyBytesMax: 255,
  /** A growing segment file is sealed once it is this long, 64 MiB. It bounds what a start after a crash reads again. */
  segmentBytesMax: 67_108_864,
  /** Frames of one segment: bounds the footer. */
  segmentFramesMax: 1_000_000,
  /** A frame's sequence in its group. The local index keeps it in 31 bits: ten commits a second for 6.8 years. */
  sequenceMax: 0x7fff_ffff,
  /** Open segment files for reading, per store. The common default for open files is 1,024. */
  openFilesMax: 256,
  /** Memory for heads and blocks that were read last, in bytes, half for each; the default, a store may choose. */
  cacheBytes: 33_554_432,
  /** Frames and bytes written by one group commit. */
  groupCommitFramesMax: 4096,
  groupCommitBytesMax: 67_108_864,
  /** Tries of one commit whose sequence was taken by another writer. */
  commitAttemptsMax: 16,
  /** Payloads of one answer of a list. */
  listLimitMax: 1000,
} as const;

invariant(limits.payloadBytesMax <= limits.commitBytesMax, "one payload fits a commit");
invariant(limits.sharedBlockBytes <= limits.blockRawBytesMax, "a shared block is a block");
invariant(limits.pageBytesMax >= limits.commitPayloadsMax * limits.nameBytesMax, "a page holds the longest names");
