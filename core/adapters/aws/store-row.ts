import { DescribeTableCommand, type DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { HeadBucketCommand, type S3Client } from "@aws-sdk/client-s3";
import { PayloadStoreError } from "../../errors.ts";
import type { Random } from "../../ports/random.ts";
import { awsError, errorName } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";

/** The version of keys and rows that this release writes, and the only one it reads. */
const layoutVersion = 0;
const secretBytes = 16;

/** Where the table says what it is: no tenant's key begins like this. */
const storeKey = { pk: { S: "~store" }, sk: { N: "0" } };

export interface StoreParts {
  readonly s3: S3Client;
  readonly dynamo: DynamoDBClient;
  readonly bucket: string;
  readonly table: string;
  readonly random: Random;
  readonly deadline: Deadline;
}

/**
 * The table's own row, made when the store is new. Says at once what is missing, of another version, or forbidden.
 *
 * @returns the secret that ids are hashed with
 * @throws {PayloadStoreError} `UNAVAILABLE` naming bucket or table; `UNSUPPORTED_VERSION`
 * Cost: one read of the table and one HEAD of the bucket, at the same time.
 */
export async function openStoreRow(parts: StoreParts): Promise<Uint8Array> {
  const [secret] = await Promise.all([readOrMake(parts), headBucket(parts)]);
  return secret;
}

async function readOrMake({ dynamo, table, random, deadline }: StoreParts): Promise<Uint8Array> {
  try {
    const read = new GetItemCommand({ TableName: table, Key: storeKey, ConsistentRead: true });
    const found = (await dynamo.send(read, deadline.options())).Item;
    if (found) return secretOf(found, table);
    const fresh = { ...storeKey, v: { N: String(layoutVersion) }, s: { B: random.bytes(secretBytes) } };
    const make = new PutItemCommand({
      TableName: table,
      Item: fresh,
      ConditionExpression: "attribute_not_exists(pk)",
    });
    await dynamo.send(make, deadline.options()).catch((error: unknown) => {
      // Another handler made it first, or this one did and never heard of it.
      if (errorName(error) !== "ConditionalCheckFailedException") throw error;
    });
    const made = (await dynamo.send(read, deadline.options())).Item;
    if (made) return secretOf(made, table);
    throw new PayloadStoreError("UNAVAILABLE", `table ${table} lost the row that was just put`);
  } catch (error) {
    throw await tableError(error, { dynamo, table, deadline });
  }
}

function secretOf(item: { readonly v?: { N?: string }; readonly s?: { B?: Uint8Array } }, table: string): Uint8Array {
  const found = Number(item.v?.N);
  if (found !== layoutVersion) {
    const message = `table ${table} has layout version ${found}; this release reads version ${layoutVersion}`;
    throw new PayloadStoreError("UNSUPPORTED_VERSION", message, { details: { found, expected: layoutVersion } });
  }
  if (item.s?.B?.length === secretBytes) return item.s.B;
  throw new PayloadStoreError("CORRUPT", `the row "~store" of table ${table} has no secret: restore the table`);
}

/** A table whose keys are others answers with a validation error that does not say so. */
async function tableError(
  error: unknown,
  { dynamo, table, deadline }: Pick<StoreParts, "dynamo" | "table" | "deadline">,
): Promise<PayloadStoreError> {
  if (errorName(error) !== "ValidationException") return awsError(error, `opening table ${table} failed`);
  const described = await dynamo
    .send(new DescribeTableCommand({ TableName: table }), deadline.options())
    .catch(() => undefined);
  const keys = described?.Table?.KeySchema?.map(({ AttributeName, KeyType }) => `${AttributeName} ${KeyType}`);
  const found = keys ? ` (its keys: ${keys.join(", ")})` : "";
  const message = `table ${table} is not laid out for Paylode${found}: partition key pk, a string, and sort key sk, a number`;
  return new PayloadStoreError("UNSUPPORTED_VERSION", message, { cause: error, details: { table } });
}

async function headBucket({ s3, bucket, deadline }: StoreParts): Promise<void> {
  try {
    await s3.send(new HeadBucketCommand({ Bucket: bucket }), deadline.options());
  } catch (error) {
    throw awsError(error, `opening bucket ${bucket} failed`);
  }
}
