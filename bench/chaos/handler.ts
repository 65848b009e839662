import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { openAws } from "../../core/entries/aws.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { type Operation, type OperationAnswer, runOperation } from "../../test/support/aws/operations.ts";

/** What a handler is told when it starts, as its first argument. */
export interface HandlerTask {
  readonly bucket: string;
  readonly table: string;
  readonly s3: Endpoint;
  readonly dynamo: Endpoint;
  readonly maxAttempts: number;
}

interface Endpoint {
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** What it says: that it waits for an operation, what became of one, or that it cannot go on. */
export type HandlerMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "answered"; readonly answer: OperationAnswer }
  | { readonly kind: "failed"; readonly code: string }
  | { readonly kind: "broken"; readonly what: string };

const task = JSON.parse(process.argv[2] ?? "") as HandlerTask;
const { bucket, table, maxAttempts } = task;
const config = { region: "us-east-1", maxAttempts };
const clients = {
  s3: new S3Client({ ...config, ...task.s3, forcePathStyle: true }),
  dynamo: new DynamoDBClient({ ...config, ...task.dynamo }),
};
const tell = (message: HandlerMessage) => process.send!(message);
// Whoever it works for has ended.
process.on("disconnect", () => process.exit());

try {
  const store = await openAws({ bucket, table, clients });
  process.on("message", (operation: Operation) => void run(operation));
  tell({ kind: "ready" });

  async function run(operation: Operation): Promise<void> {
    try {
      tell({ kind: "answered", answer: await runOperation(store, operation) });
    } catch (error) {
      if (isPayloadStoreError(error)) tell({ kind: "failed", code: error.code });
      else tell({ kind: "broken", what: String(error) });
    }
  }
} catch (error) {
  // Opening failed as often as it was tried: another handler takes its place.
  if (!isPayloadStoreError(error, "UNAVAILABLE")) tell({ kind: "broken", what: String(error) });
  process.exit(0);
}
