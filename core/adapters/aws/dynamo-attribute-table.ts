import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  PutItemCommand,
  QueryCommand,
} from "@aws-sdk/client-dynamodb";
import type { AttributeRowPage, AttributeTable } from "../../ports/attribute-table.ts";
import type { SignedAnswer } from "../../ports/row-table.ts";
import { awsError } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";
import { fence } from "./fence.ts";

export interface DynamoAttributeTableOptions {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly deadline: Deadline;
}

/** Rows as items: partition key `pk`, sort key `sk`, a number of at most 38 digits, the record in `r`, in `t` when it was put. */
export class DynamoAttributeTable implements AttributeTable {
  readonly name: string;
  readonly #options: DynamoAttributeTableOptions;

  constructor(options: DynamoAttributeTableOptions) {
    this.name = options.table;
    this.#options = options;
  }

  async put(partition: string, number: bigint, record: Uint8Array, putMs: number): Promise<SignedAnswer> {
    const { client, table, deadline } = this.#options;
    const command = new PutItemCommand({
      TableName: table,
      Item: { pk: { S: partition }, sk: { N: String(number) }, r: { B: record }, t: { N: String(putMs) } },
    });
    const put = fence(command.middlewareStack, putMs);
    try {
      await client.send(command, deadline.options());
      return { signedMs: put.signedMs };
    } catch (error) {
      throw awsError(error, `indexing an attribute in table ${table} failed, nothing was committed`);
    }
  }

  /** Of one that was put by a release that did not say when, nobody knows who goes by it: it stays. */
  async removePutBefore(partition: string, number: bigint, beforeMs: number): Promise<void> {
    const { client, table, deadline } = this.#options;
    const command = new DeleteItemCommand({
      TableName: table,
      Key: { pk: { S: partition }, sk: { N: String(number) } },
      ConditionExpression: "t < :t",
      ExpressionAttributeValues: { ":t": { N: String(beforeMs) } },
    });
    try {
      await client.send(command, deadline.options());
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return;
      throw awsError(error, `removing an attribute's row from table ${table} failed`);
    }
  }

  async query(partition: string, from: bigint, rowsMax: number): Promise<AttributeRowPage> {
    const { client, table, deadline } = this.#options;
    const command = new QueryCommand({
      TableName: table,
      KeyConditionExpression: "pk = :pk AND sk >= :from",
      ExpressionAttributeValues: { ":pk": { S: partition }, ":from": { N: String(from) } },
      ConsistentRead: true,
      Limit: rowsMax,
    });
    try {
      const { Items: items = [], LastEvaluatedKey: last } = await client.send(command, deadline.options());
      const rows = items.map(({ sk, r }) => ({ number: BigInt(sk?.N ?? 0), record: r?.B }));
      return { rows, next: last && BigInt(last["sk"]?.N ?? 0) + 1n };
    } catch (error) {
      throw awsError(error, `reading from table ${table} failed`);
    }
  }
}
