import { DynamoDBClient, type DynamoDBClientConfig } from "@aws-sdk/client-dynamodb";
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";

/** Tries of one request, the first included. The SDK waits with jitter between them. */
const maxAttempts = 5;

/** A connection inside a region is there in milliseconds, or not at all. */
const connectionTimeout = 2_000;

/**
 * How long nothing may move on a connection. By itself the SDK waits for a server that has gone silent until the deadline of
 * the whole request is over, and nothing was tried twice.
 */
const socketTimeout = { dynamo: 3_000, s3: 5_000 } as const;

export function dynamoClient(config: DynamoDBClientConfig = {}): DynamoDBClient {
  const requestHandler = { connectionTimeout, socketTimeout: socketTimeout.dynamo };
  return new DynamoDBClient({ maxAttempts, requestHandler, ...config });
}

export function s3Client(config: S3ClientConfig = {}): S3Client {
  const requestHandler = { connectionTimeout, socketTimeout: socketTimeout.s3 };
  return new S3Client({ maxAttempts, requestHandler, ...config });
}
