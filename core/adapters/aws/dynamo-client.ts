import { DynamoDBClient, type DynamoDBClientConfig } from "@aws-sdk/client-dynamodb";

/** Tries of one request, the first included. The SDK waits with jitter between them. */
export const maxAttempts = 5;

/** A connection inside a region is there in milliseconds, or not at all. */
export const connectionTimeout = 2_000;

/**
 * How long nothing may move on a connection. By itself the SDK waits for a server that has gone silent until the deadline of
 * the whole request is over, and nothing was tried twice.
 */
const socketTimeout = 3_000;

export function dynamoClient(config: DynamoDBClientConfig = {}): DynamoDBClient {
  const requestHandler = { connectionTimeout, socketTimeout };
  return new DynamoDBClient({ maxAttempts, requestHandler, ...config });
}
