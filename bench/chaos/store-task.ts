import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";

/** Where a process of its own finds the store, as plain data. */
export interface StoreTask {
  readonly bucket: string;
  readonly table: string;
  readonly s3: Endpoint;
  /** What clients of this server are told besides. */
  readonly s3Config: Pick<S3ClientConfig, "requestChecksumCalculation" | "responseChecksumValidation">;
  readonly dynamo: Endpoint;
  readonly maxAttempts: number;
}

interface Endpoint {
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

export function clientsOf({ s3, s3Config, dynamo, maxAttempts }: StoreTask): { s3: S3Client; dynamo: DynamoDBClient } {
  const config = { region: "us-east-1", maxAttempts };
  return {
    s3: new S3Client({ ...config, ...s3, ...s3Config, forcePathStyle: true }),
    dynamo: new DynamoDBClient({ ...config, ...dynamo }),
  };
}
