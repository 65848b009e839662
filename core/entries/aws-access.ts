import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { accessOver, type Access } from "../access/access.ts";
import { dynamoClient } from "../adapters/aws/dynamo-client.ts";
import { Deadline } from "../adapters/aws/deadline.ts";
import { DynamoKeyStore } from "../adapters/aws/dynamo-key-store.ts";
import { DynamoUsageLedger } from "../adapters/aws/dynamo-usage-ledger.ts";
import { systemClock } from "../adapters/node/clock.ts";
import { nodeDigest } from "../adapters/node/digest.ts";
import { SystemRandom } from "../adapters/node/random.ts";
import { PayloadStoreError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { AwsOptions } from "./aws.ts";

export interface AwsAccessOptions extends Pick<AwsOptions, "requestMsMax" | "remainingMs"> {
  /** The table of the store's pages, which holds its keys too. */
  readonly table: string;
  /** A client of your own; by default it takes credentials from the environment. */
  readonly client?: DynamoDBClient | undefined;
  /** For the default client; by default the environment's. */
  readonly region?: string | undefined;
}

/**
 * The keys in a DynamoDB table, and the quotas that all processes on it share. Nothing is asked of the table yet.
 *
 * @throws {PayloadStoreError} `INVALID` without a table: there is no such thing as a store on AWS that asks for no keys
 */
export function openAwsAccess(options: AwsAccessOptions, machine: { readonly clock?: Clock } = {}): Access {
  const { table, region, requestMsMax, remainingMs } = options;
  if (typeof table !== "string" || table === "") {
    throw new PayloadStoreError("INVALID", "table must name the DynamoDB table that holds the keys", {
      details: { field: "table" },
    });
  }
  const client = options.client ?? dynamoClient(region === undefined ? {} : { region });
  const parts = { client, table, deadline: new Deadline(requestMsMax ?? 20_000, remainingMs) };
  return accessOver({
    keys: new DynamoKeyStore(parts),
    ledger: new DynamoUsageLedger(parts),
    clock: machine.clock ?? systemClock,
    random: new SystemRandom(),
    digest: nodeDigest,
  });
}
