import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { S3Client } from "@aws-sdk/client-s3";
import { checkBucket } from "../adapters/aws/check-bucket.ts";
import { Deadline } from "../adapters/aws/deadline.ts";
import { dynamoClient } from "../adapters/aws/dynamo-client.ts";
import { DynamoErasureLedger } from "../adapters/aws/dynamo-erasure-ledger.ts";
import { DynamoOffsetIndex } from "../adapters/aws/dynamo-offset-index.ts";
import { DynamoRowTable } from "../adapters/aws/dynamo-row-table.ts";
import type { RebuildOptions, TableRebuild } from "../adapters/aws/rebuild.ts";
import { S3 } from "../adapters/aws/s3.ts";
import { S3SegmentStore } from "../adapters/aws/s3-segment-store.ts";
import { S3StoredObjects } from "../adapters/aws/s3-stored-objects.ts";
import { S3UploadStore } from "../adapters/aws/s3-upload-store.ts";
import { openStoreRow } from "../adapters/aws/store-row.ts";
import { systemClock } from "../adapters/node/clock.ts";
import { nodeDigest } from "../adapters/node/digest.ts";
import { SystemRandom } from "../adapters/node/random.ts";
import { LoadedCompaction } from "../compaction/loaded-compaction.ts";
import { checkKnown } from "../known-options.ts";
import { PayloadStore, storeOptions, type PayloadStoreOptions, type PayloadStorePorts } from "../payload-store.ts";
import type { Prices } from "../placement.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import { FrameReader } from "../segment/read-frame.ts";
import type { CompactionChanges } from "./aws-compaction.ts";
import { nodeCodecs } from "./node-codecs.ts";

export * from "../index.ts";
export { listPrices, type Prices } from "../placement.ts";
export type { RebuildOptions, TableRebuild } from "../adapters/aws/rebuild.ts";

export interface AwsOptions extends PayloadStoreOptions {
  /** Holds the segments. Private, and of this store alone. */
  readonly bucket: string;
  /** Holds the pages: partition key `pk`, a string, sort key `sk`, a number. */
  readonly table: string;
  /** Clients of your own; by default they take region and credentials from the environment. */
  readonly clients?: { readonly s3?: S3Client | undefined; readonly dynamo?: DynamoDBClient | undefined } | undefined;
  /** Gets the default client of S3 when it is made: by the first request to S3. */
  readonly onS3Client?: ((client: S3Client) => void) | undefined;
  /**
   * The tenant that the credentials are bound to, where they are: docs/operations.md, "Credentials of one tenant". They may not list
   * the whole bucket, so S3 is asked in another way whether it or an object is there. It makes nothing safe: their policy does.
   */
  readonly boundTo?: string | undefined;
  /** `later`: opening does not ask for the bucket, {@link AwsStore.checkBucket} does. By default `opening`. */
  readonly bucketCheck?: "opening" | "later" | undefined;
  /** What requests cost, for the choice of where a commit's bytes go; list prices of us-east-1 by default. */
  readonly prices?: Prices | undefined;
  /**
   * `priced`, the default: small commits lie in the table alone until they are compacted. `segments`: every commit is put
   * into a segment as well, deletes too, so that the bucket alone suffices to make the store anew. It costs a PUT a commit.
   */
  readonly placement?: "priced" | "segments" | undefined;
  /** Longest time for one request to AWS, its retries included, in milliseconds; 20,000 by default. */
  readonly requestMsMax?: number | undefined;
  /**
   * The attributes that `find` finds payloads by: each commit writes a row for each value that is new in its group. Chosen when
   * the table is new, and kept in it; later it may be left out, and must not differ. None by default.
   */
  readonly indexedAttributes?: readonly string[] | undefined;
  /** What is left to the caller, in milliseconds: no request takes longer. On Lambda, the context's remaining time. */
  readonly remainingMs?: (() => number) | undefined;
  /** Bytes of segments kept in memory, 32 MiB by default. They never change, so nothing kept is ever stale. */
  readonly cacheBytesMax?: number | undefined;
}

const known: Readonly<Record<keyof AwsOptions, true>> = {
  bucket: true,
  table: true,
  clients: true,
  prices: true,
  placement: true,
  requestMsMax: true,
  indexedAttributes: true,
  remainingMs: true,
  cacheBytesMax: true,
  boundTo: true,
  bucketCheck: true,
  onS3Client: true,
  ...storeOptions,
};

/** What a test puts in place of the machine. */
export interface AwsMachine {
  readonly clock: Clock;
  readonly random: Random;
  readonly compaction: CompactionChanges;
}

/** A store on S3 and DynamoDB. Any number of processes write it at the same time. */
export class AwsStore extends PayloadStore {
  readonly #rebuild: (options: RebuildOptions) => Promise<TableRebuild>;
  /** Says what is wrong with the bucket: as opening does, unless it was told not to. */
  readonly checkBucket: () => Promise<void>;

  constructor(
    ports: PayloadStorePorts,
    options: PayloadStoreOptions,
    parts: { rebuild: (options: RebuildOptions) => Promise<TableRebuild>; checkBucket: () => Promise<void> },
  ) {
    super(ports, options);
    this.#rebuild = parts.rebuild;
    this.checkBucket = parts.checkBucket;
  }

  /**
   * Fills an empty table from the segments of the bucket. What lay in the old table alone is not known any more: commits
   * that were never compacted into a segment, deletes among them. docs/operations.md.
   *
   * @throws {PayloadStoreError} `EXISTS` unless the table holds no group
   * Cost: a LIST for 1,000 segments, a GET for 8 MiB of them, at most a GET and a write for each commit; memory for each commit.
   */
  rebuildIndex(options: RebuildOptions = {}): Promise<TableRebuild> {
    return this.withoutWrites(() => this.#rebuild(options));
  }
}

/**
 * Opens the store in a bucket and a table, which exist. The table's own row is made when it is new.
 *
 * @throws {PayloadStoreError} `UNAVAILABLE` naming the bucket or table that is missing or forbidden; `UNSUPPORTED_VERSION`;
 *   `INVALID` for an option that is unknown, and where the table indexes other attributes
 * Cost: two requests, at the same time.
 */
export async function openAws(options: AwsOptions, machine: Partial<AwsMachine> = {}): Promise<AwsStore> {
  checkKnown(options, known);
  const { bucket, table, clients } = options;
  const s3 = new S3(clients?.s3, options.onS3Client);
  const dynamo = clients?.dynamo ?? dynamoClient();
  const clock = machine.clock ?? systemClock;
  const random = machine.random ?? new SystemRandom();
  const digest = nodeDigest;
  const deadline = new Deadline(options.requestMsMax ?? 20_000, options.remainingMs);
  const { prices, placement, cacheBytesMax, indexedAttributes, boundTo } = options;
  const check = () => checkBucket({ s3, bucket, deadline, boundTo });
  const [{ secret, indexed }] = await Promise.all([
    openStoreRow({ dynamo, table, random, deadline, indexedAttributes }),
    options.bucketCheck === "later" ? undefined : check(),
  ]);
  const shared = { clock, random, digest, deadline };
  const segments = new S3SegmentStore({ ...shared, s3, bucket, boundTo, prices, placement, cacheBytesMax });
  const frames = new FrameReader(segments, digest);
  const index = new DynamoOffsetIndex({ ...shared, client: dynamo, table, secret, frames, indexed });
  const uploads = new S3UploadStore({ s3, bucket, deadline, boundTo });
  const rows = new DynamoRowTable({ client: dynamo, table, deadline });
  const objects = new S3StoredObjects({ s3, bucket, deadline });
  const erasures = new DynamoErasureLedger({ client: dynamo, table, deadline });
  const ports = { segments, index, uploads, erasures, codecs: nodeCodecs, clock, random, digest };
  const compaction: PayloadStorePorts["compaction"] = (inside) =>
    // Handlers do not compact: what does is loaded by the first call.
    new LoadedCompaction(async () => {
      const { awsCompaction } = await import("./aws-compaction.ts");
      return awsCompaction({ ...ports, rows, objects, secret, prices, terms: index.terms }, machine.compaction)(inside);
    });
  const rebuild = async (rebuilding: RebuildOptions) => {
    const { rebuildTable } = await import("../adapters/aws/rebuild.ts");
    return rebuildTable(segments, index, digest, rebuilding);
  };
  return new AwsStore({ ...ports, compaction }, { codecPolicy: "auto", ...options }, { rebuild, checkBucket: check });
}
