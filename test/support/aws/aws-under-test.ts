import type { S3Client } from "@aws-sdk/client-s3";
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { Deadline } from "../../../core/adapters/aws/deadline.ts";
import { DynamoOffsetIndex } from "../../../core/adapters/aws/dynamo-offset-index.ts";
import { S3 } from "../../../core/adapters/aws/s3.ts";
import { S3SegmentStore } from "../../../core/adapters/aws/s3-segment-store.ts";
import { systemClock } from "../../../core/adapters/node/clock.ts";
import { nodeDigest } from "../../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../../core/adapters/node/random.ts";
import { type AwsMachine, type AwsOptions, type AwsStore, openAws } from "../../../core/entries/aws.ts";
import { FrameReader } from "../../../core/segment/read-frame.ts";
import type { DynamoServer } from "./dynamo-server.ts";
import type { S3Server } from "./s3-server.ts";

/** The servers that a suite runs on, and one client of each. */
export interface AwsServers {
  readonly s3: S3Server;
  readonly dynamo: DynamoServer;
  readonly clients: { readonly s3: S3Client; readonly dynamo: DynamoDBClient };
}

/** Where one test's store lies. */
export interface AwsPlace {
  readonly bucket: string;
  readonly table: string;
}

export async function freshPlace({ s3, dynamo }: AwsServers): Promise<AwsPlace> {
  const [bucket, table] = await Promise.all([s3.freshBucket(), dynamo.freshTable()]);
  return { bucket, table };
}

/** Opens the store at a place, as a process of its own would. */
export function openAt(
  { clients }: AwsServers,
  place: AwsPlace,
  options: Partial<AwsOptions> = {},
  machine: Partial<AwsMachine> = {},
): Promise<AwsStore> {
  return openAws({ ...place, clients, ...options }, machine);
}

/** The two ports of a place, without a store on them. No frame is inline, so that the segments hold them all. */
export function portsAt({ clients }: AwsServers, { bucket, table }: AwsPlace) {
  const shared = { clock: systemClock, random: new SystemRandom(), digest: nodeDigest, deadline: new Deadline(20_000) };
  const segments = new S3SegmentStore({ ...shared, s3: new S3(clients.s3), bucket, placement: "segments" });
  const secret = new Uint8Array(16).fill(7);
  const frames = new FrameReader(segments, nodeDigest);
  const index = new DynamoOffsetIndex({ ...shared, client: clients.dynamo, table, secret, frames });
  return { segments, index };
}
