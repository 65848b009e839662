import type { DynamoDBClient, DynamoDBClientConfig } from "@aws-sdk/client-dynamodb";
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import { RequestMeter } from "../../../core/adapters/aws/request-meter.ts";
import { type AwsMachine, type AwsOptions, type AwsStore, openAws } from "../../../core/entries/aws.ts";
import type { AwsPlace } from "./aws-under-test.ts";
import { type DynamoServer, startDynalite } from "./dynamo-server.ts";
import { type S3Double, startS3Double } from "./s3-double.ts";

/** Servers that can be made to fail. */
export interface FaultyServers {
  readonly s3: S3Double;
  readonly dynamo: DynamoServer;
}

/** A store as a process of its own has it: with clients, connections and caches that it shares with nobody. */
export interface Handler {
  readonly store: AwsStore;
  readonly clients: { readonly s3: S3Client; readonly dynamo: DynamoDBClient };
  /** Counts what the handler asked, from before it was open. */
  readonly meter: RequestMeter;
}

export interface HandlerOptions extends Partial<AwsOptions> {
  readonly s3Config?: S3ClientConfig;
  readonly dynamoConfig?: DynamoDBClientConfig;
  readonly machine?: Partial<AwsMachine>;
}

/** Both servers, with clocks of their own if asked. */
export async function startFaultyServers(nowMs?: () => number): Promise<FaultyServers & { close(): Promise<void> }> {
  const options = nowMs === undefined ? {} : { nowMs };
  const [s3, dynamo] = await Promise.all([startS3Double(options), startDynalite(options)]);
  return {
    s3,
    dynamo,
    close: async () => {
      await Promise.all([s3.close(), dynamo.close()]);
    },
  };
}

export async function freshPlaceOf({ s3, dynamo }: FaultyServers): Promise<AwsPlace> {
  const [bucket, table] = await Promise.all([s3.freshBucket(), dynamo.freshTable()]);
  return { bucket, table };
}

/** Opens the store at a place as a process of its own would. The servers destroy its clients when they close. */
export async function openHandler(
  { s3, dynamo }: Pick<FaultyServers, "dynamo"> & { readonly s3: { client(config?: S3ClientConfig): S3Client } },
  place: AwsPlace,
  { s3Config, dynamoConfig, machine, ...options }: HandlerOptions = {},
): Promise<Handler> {
  const clients = { s3: s3.client(s3Config), dynamo: dynamo.client(dynamoConfig) };
  const meter = new RequestMeter();
  meter.watch(clients.s3);
  meter.watch(clients.dynamo);
  return { store: await openAws({ ...place, clients, ...options }, machine), clients, meter };
}
