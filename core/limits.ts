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
  /** One payload that is uploaded past the handlers: 5 GiB, the longest object that one PUT may store on S3. */
  uploadBytesMax: 5_368_709_120,
  /** Retention of a tenant, in milliseconds: 100 years. */
  retentionMsMax: 3_155_760_000_000,
  /** How long a signed URL takes an upload, in milliseconds. */
  uploadUrlMsMax: 3_600_000,
  /** How long after it was begun an upload may be committed, in milliseconds: far less than orphans are kept. */
  uploadCommitMsMax: 21_600_000,
  /** Longest payload that is answered as one array of bytes, 512 MiB; a longer one is streamed, or read in ranges. */
  readBytesMax: 536_870_912,
  /** Raw bytes of one commit, 256 MiB: every payload of one `appendMany` together. It is what a crash may leave as a torn tail. */
  commitBytesMax: 268_435_456,
  /** Payloads of one commit. */
  commitPayloadsMax: 10_000,
  /** Raw bytes of one block, 4 MiB. The `lz4` tool reads frames of at most 4 MiB blocks everywhere, and a decoder allocates this at most. */
  blockRawBytesMax: 4_194_304,
  /** Raw bytes gathered before a block shared by a batch is closed. A random read decodes all of it: docs/decisions/0021. */
  sharedBlockBytes: 32_768,
  /** The same where compaction has laid a group together, 256 KiB: agent traces are a third smaller in it than in 32 KiB. */
  mergedBlockBytes: 262_144,
  /**
   * What a base decodes to, 128 KiB, and the stretch of a segment that it lies in, 256 KiB: a read of a block that rests on it
   * reads and decodes all of it, unless it is kept. docs/decisions/0029.
   */
  baseRawBytesMax: 131_072,
  baseStoredBytesMax: 262_144,
  /** Encoded page of one commit, 16 MiB: 10,000 ids of 512 bytes, or fewer with attributes. */
  pageBytesMax: 16_777_216,
  /** All attributes of one payload, encoded, in bytes. They are for filtering; bodies belong in the payload. */
  attributesBytesMax: 4096,
  attributesCountMax: 32,
  /** Different values of indexed attributes in one commit to DynamoDB, which has a row for each in its group. */
  indexedTermsMax: 1000,
  /** Segments that the receipt of an erasure lists where several processes write, and as many that took their place: 0.2 KB each. */
  erasureSegmentsMax: 500,
  /** An erasure as it is asked for on DynamoDB, in bytes: a row has 400 KB, and ids may be in it twice. */
  erasureRowBytesMax: 98_304,
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
  /** Pages that a rebuild of a table keeps while it reads the segments, in bytes: of two million payloads. */
  rebuildPageBytesMax: 134_217_728,
  /** Open segment files for reading, per store. The common default for open files is 1,024. */
  openFilesMax: 256,
  /** Memory for heads and blocks that were read last, in bytes, up to three quarters for heads; the default, a store may choose. */
  cacheBytes: 33_554_432,
  /** Frames and bytes written by one group commit. */
  groupCommitFramesMax: 4096,
  groupCommitBytesMax: 67_108_864,
  /**
   * What compaction has written may wait for a sync of others so long, in milliseconds, and so much of it, in bytes: whoever
   * appends next waits until all of it is on the disk.
   */
  mergedSyncWithinMs: 100,
  mergedUnsyncedBytesMax: 1_048_576,
  /** Footers of all growing segments of one folder, kept in memory until they are written, in bytes: some 150,000 lone payloads. */
  growingFootersBytesMax: 16_777_216,
  /** Tries of one commit whose sequence was taken by another writer, and of counting the use of a key beside others. */
  commitAttemptsMax: 16,
  /** Payloads of one answer of a list. */
  listLimitMax: 1000,
  /** How long a key is believed to be as it was, in milliseconds: what revoking one may take to be noticed. */
  keyCacheMsMax: 30_000,
  /** How long an id is believed to be no key's, in milliseconds: what a new key may take to work, and a flood of wrong ones to cost a look-up. */
  keyRecheckMs: 1_000,
  /** Keys of one tenant. They are read together: 0.4 KB each, so 1,000 are 100 read units of DynamoDB. */
  keysPerTenantMax: 1_000,
  /** Keys of all tenants of one folder: its `keys.json` is then 4 MB long, and read whole. */
  keysPerFolderMax: 10_000,
  /** Keys kept in memory by one process, about 1 KB each. */
  keysCachedMax: 20_000,
  /** Tenants without keys that are remembered as such: 64-byte names that anybody can make up. */
  keylessTenantsCachedMax: 10_000,
  /** Name of a key, in UTF-8 bytes. */
  keyNameBytesMax: 200,
  /** How long an expired key is still listed, in milliseconds: 90 days. The next key that is made then takes its place. */
  expiredKeyKeptMs: 7_776_000_000,
  /** How long an old token may go on beside a new one, in milliseconds: 90 days. */
  keyOverlapMsMax: 7_776_000_000,
  /** How long changes of a folder's keys wait for one another, in milliseconds. Each takes two disk syncs. */
  keysLockMsMax: 5_000,
  /** Quotas of keys that one process counts at a time; what it took of one it forgets is lost. */
  quotaLeasesMax: 20_000,
  /** What a process takes of a quota at first, and at most at once: a write to DynamoDB each time, so 1/16 and 1/256 of one a request. */
  requestSliceFirst: 16,
  requestSliceMax: 256,
  /** The same of a quota of bytes: 1 MiB and 16 MiB, or what a single request needs. */
  byteSliceFirst: 1_048_576,
  byteSliceMax: 16_777_216,
} as const;

invariant(limits.payloadBytesMax <= limits.commitBytesMax, "one payload fits a commit");
invariant(limits.sharedBlockBytes <= limits.blockRawBytesMax, "a shared block is a block");
invariant(limits.pageBytesMax >= limits.commitPayloadsMax * limits.nameBytesMax, "a page holds the longest names");
invariant(limits.keysPerTenantMax <= limits.keysCachedMax, "the keys of a tenant fit the cache");
invariant(limits.requestSliceFirst <= limits.requestSliceMax, "a slice of requests begins small");
invariant(limits.byteSliceFirst <= limits.byteSliceMax, "a slice of bytes begins small");
