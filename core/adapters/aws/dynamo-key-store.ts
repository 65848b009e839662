import {
  type AttributeValue,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  paginateQuery,
  PutItemCommand,
} from "@aws-sdk/client-dynamodb";
import { oldestFirst, type AccessKey } from "../../access/access-key.ts";
import { decodeKey, encodeKey } from "../../access/key-record.ts";
import { utf8, utf8Text } from "../../bytes.ts";
import type { KeyList, KeyStore } from "../../ports/key-store.ts";
import { awsError } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";
import { keyItem, keyPartition } from "./key-item.ts";

export interface DynamoKeyStoreOptions {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly deadline: Deadline;
}

const keyIsNew = "attribute_not_exists(pk)";
const keyIsAsRead = "r = :before";

/**
 * Keys as rows of a DynamoDB table: partition key `~keys/<tenant>`, sort key the id as a number, and the record as JSON in
 * `r`. No tenant's payloads have a partition key that begins so. docs/aws.md.
 */
export class DynamoKeyStore implements KeyStore {
  readonly #options: DynamoKeyStoreOptions;

  constructor(options: DynamoKeyStoreOptions) {
    this.#options = options;
  }

  /** Cost: one consistent query; a read unit for each 4 KB, about ten keys. */
  async list(tenant: string): Promise<KeyList> {
    const { client, table, deadline } = this.#options;
    const keys: AccessKey[] = [];
    const unreadable: string[] = [];
    const query = {
      TableName: table,
      KeyConditionExpression: "pk = :pk",
      ExpressionAttributeValues: { ":pk": { S: keyPartition("keys", tenant) } },
      ConsistentRead: true,
      ReturnConsumedCapacity: "TOTAL",
    } as const;
    try {
      for await (const { Items: items = [] } of paginateQuery({ client }, query, deadline.options())) {
        for (const item of items) {
          const id = Number(item["sk"]?.N).toString(16).padStart(12, "0");
          const key = recordIn(item);
          if (key?.tenant === tenant && key.id === id) keys.push(key);
          else unreadable.push(id);
        }
      }
    } catch (error) {
      throw awsError(error, `reading the keys in table ${table} failed`);
    }
    return { keys: oldestFirst(keys), unreadable };
  }

  async add(key: AccessKey): Promise<boolean> {
    return this.#put(key, { ConditionExpression: keyIsNew });
  }

  async replace(before: AccessKey, after: AccessKey): Promise<boolean> {
    return this.#put(after, {
      ConditionExpression: keyIsAsRead,
      ExpressionAttributeValues: { ":before": recordOf(before) },
    });
  }

  async remove(key: AccessKey): Promise<boolean> {
    const { client, table, deadline } = this.#options;
    const command = new DeleteItemCommand({
      TableName: table,
      Key: keyItem("keys", key),
      ConditionExpression: keyIsAsRead,
      ExpressionAttributeValues: { ":before": recordOf(key) },
    });
    try {
      await client.send(command, deadline.options());
      return true;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw awsError(error, `removing a key from table ${table} failed, the outcome is unknown`);
    }
  }

  async #put(
    key: AccessKey,
    condition: { ConditionExpression: string; ExpressionAttributeValues?: Record<string, AttributeValue> },
  ): Promise<boolean> {
    const { client, table, deadline } = this.#options;
    const command = new PutItemCommand({
      TableName: table,
      Item: { ...keyItem("keys", key), r: recordOf(key) },
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      ...condition,
    });
    try {
      await client.send(command, deadline.options());
      return true;
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) {
        throw awsError(error, `putting a key into table ${table} failed, the outcome is unknown`);
      }
      // This very record: the answer to an earlier try was lost.
      const there = error.Item && recordIn(error.Item);
      return there !== undefined && encodeKey(there) === encodeKey(key);
    }
  }
}

function recordOf(key: AccessKey): { B: Uint8Array } {
  return { B: utf8(encodeKey(key)) };
}

function recordIn({ r }: Record<string, AttributeValue>): AccessKey | undefined {
  try {
    return decodeKey(JSON.parse(utf8Text(r?.B ?? new Uint8Array()) ?? ""));
  } catch {
    return undefined;
  }
}
