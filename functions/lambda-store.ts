import type { Access } from "../core/access/access.ts";
import { dynamoClient } from "../core/adapters/aws/dynamo-client.ts";
import { RequestMeter } from "../core/adapters/aws/request-meter.ts";
import { type AwsStore, openAws } from "../core/entries/aws.ts";
import { openAwsAccess } from "../core/entries/aws-access.ts";
import { PayloadStoreError } from "../core/errors.ts";

/** The store of a function, and its keys: there is none without. */
export interface LambdaStore {
  readonly store: AwsStore;
  readonly access: Access;
}

export interface LambdaBackend {
  /** Counts what is asked of AWS, from before the store is open. */
  readonly meter: RequestMeter;
  /** @throws {PayloadStoreError} `INVALID` for a variable that is missing; as `openAws` does */
  readonly open: () => Promise<LambdaStore>;
}

/**
 * What a function's environment names: PAYLODE_BUCKET and PAYLODE_TABLE; with commas between, the attributes in
 * PAYLODE_INDEXED_ATTRIBUTES that a new table is to index; and region and credentials as Lambda sets them.
 *
 * @param remainingMs  what is left to the invocation under way
 */
export function lambdaBackend(
  environment: Readonly<Record<string, string | undefined>>,
  remainingMs: () => number,
): LambdaBackend {
  const meter = new RequestMeter();
  const dynamo = dynamoClient();
  meter.watch(dynamo);
  return {
    meter,
    open: async () => {
      const [bucket, table] = [named("PAYLODE_BUCKET"), named("PAYLODE_TABLE")];
      const access = openAwsAccess({ table, client: dynamo, remainingMs });
      const indexedAttributes = list("PAYLODE_INDEXED_ATTRIBUTES");
      return {
        access,
        store: await openAws({
          bucket,
          table,
          clients: { dynamo },
          onS3Client: (client) => meter.watch(client),
          bucketCheck: "later",
          remainingMs,
          indexedAttributes,
        }),
      };
    },
  };

  function list(variable: string): readonly string[] | undefined {
    const value = environment[variable] ?? "";
    return value === "" ? undefined : value.split(",").map((name) => name.trim());
  }

  function named(variable: string): string {
    const value = environment[variable];
    if (value !== undefined && value !== "") return value;
    throw new PayloadStoreError("INVALID", `the variable ${variable} is not set`, { details: { field: variable } });
  }
}
