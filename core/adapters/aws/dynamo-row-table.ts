import {
  type AttributeValue,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  ScanCommand,
} from "@aws-sdk/client-dynamodb";
import type {
  RowCondition,
  RowKey,
  RowOutcome,
  RowPage,
  RowTable,
  ScannedRow,
  SignedAnswer,
  StoredRow,
} from "../../ports/row-table.ts";
import { awsError } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";
import { fence, type Signature, signatureOf } from "./fence.ts";

export interface DynamoRowTableOptions {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly deadline: Deadline;
}

type Item = Record<string, AttributeValue>;

const keyIsFree = { ConditionExpression: "attribute_not_exists(pk)" };
const recordIs = (record: Uint8Array) => ({
  ConditionExpression: "r = :r",
  ExpressionAttributeValues: { ":r": { B: record } },
});

/** Rows as items: partition key `pk`, sort key `sk`, the record in `r`. Conditions are DynamoDB's own. */
export class DynamoRowTable implements RowTable {
  readonly #options: DynamoRowTableOptions;

  constructor(options: DynamoRowTableOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.table;
  }

  async put(key: RowKey, record: Uint8Array, condition: RowCondition, restsOnMs: number): Promise<RowOutcome> {
    const command = new PutItemCommand({
      TableName: this.name,
      Item: { ...itemKey(key), r: { B: record } },
      ...(condition === "free" ? keyIsFree : recordIs(condition.holds)),
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    });
    return this.#write(key, command, restsOnMs, "committing to");
  }

  async remove(key: RowKey, record: Uint8Array, restsOnMs: number): Promise<RowOutcome> {
    const command = new DeleteItemCommand({
      TableName: this.name,
      Key: itemKey(key),
      ...recordIs(record),
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    });
    return this.#write(key, command, restsOnMs, "removing from");
  }

  async get(key: RowKey): Promise<SignedAnswer & { readonly row: StoredRow | undefined }> {
    const command = new GetItemCommand({ TableName: this.name, Key: itemKey(key), ConsistentRead: true });
    const asked = signatureOf(command.middlewareStack);
    try {
      const { Item: item } = await this.#options.client.send(command, this.#options.deadline.options());
      return { row: item && rowOf(item), signedMs: asked.signedMs };
    } catch (error) {
      throw awsError(error, `reading from table ${this.name} failed`);
    }
  }

  async last(partition: string): Promise<SignedAnswer & { readonly row: StoredRow | undefined }> {
    const command = new QueryCommand({
      TableName: this.name,
      ...ofPartition(partition),
      ConsistentRead: true,
      ScanIndexForward: false,
      Limit: 1,
    });
    const { rows, signedMs } = await this.#query(command, this.#options.deadline.options());
    return { row: rows[0], signedMs };
  }

  /** Pages of 1 MB, all within one deadline. */
  async *query(partition: string, from?: number): AsyncGenerator<RowPage> {
    const options = this.#options.deadline.options();
    let start: Item | undefined;
    do {
      const command = new QueryCommand({
        TableName: this.name,
        ...ofPartition(partition, from),
        ConsistentRead: true,
        ExclusiveStartKey: start,
      });
      const { last, ...page } = await this.#query(command, options);
      yield page;
      start = last;
    } while (start);
  }

  async *scan(prefix?: string, after?: RowKey): AsyncGenerator<ScannedRow> {
    const { client, deadline } = this.#options;
    const filter =
      prefix === undefined
        ? {}
        : { FilterExpression: "begins_with(pk, :p)", ExpressionAttributeValues: { ":p": { S: prefix } } };
    let start = after && itemKey(after);
    do {
      const command = new ScanCommand({
        TableName: this.name,
        ...filter,
        ConsistentRead: true,
        ExclusiveStartKey: start,
      });
      // A scan takes as long as the table is large: the deadline is of each of its requests.
      const answer = await client.send(command, deadline.options()).catch((error: unknown) => {
        throw awsError(error, `scanning table ${this.name} failed`);
      });
      for (const item of answer.Items ?? []) yield { partition: item["pk"]?.S ?? "", ...rowOf(item) };
      start = answer.LastEvaluatedKey;
    } while (start);
  }

  async #write(
    key: RowKey,
    command: PutItemCommand | DeleteItemCommand,
    restsOnMs: number,
    action: string,
  ): Promise<RowOutcome> {
    const { client, deadline } = this.#options;
    const written = fence(command.middlewareStack, restsOnMs);
    try {
      if (command instanceof PutItemCommand) await client.send(command, deadline.options());
      else await client.send(command, deadline.options());
      return { kind: "done", signedMs: written.signedMs };
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) {
        throw awsError(error, `${action} table ${this.name} failed, the outcome is unknown`);
      }
      return { kind: "refused", signedMs: written.signedMs, there: await this.#there(key, error.Item) };
    }
  }

  /** The row that a write met. Servers that do not answer it have to be asked for it. */
  async #there(key: RowKey, answered: Item | undefined): Promise<StoredRow | undefined> {
    return answered ? rowOf(answered) : (await this.get(key)).row;
  }

  async #query(
    command: QueryCommand,
    options: ReturnType<Deadline["options"]>,
  ): Promise<RowPage & { readonly last: Item | undefined }> {
    const asked: Signature = signatureOf(command.middlewareStack);
    try {
      const { Items: items = [], LastEvaluatedKey: last } = await this.#options.client.send(command, options);
      return { rows: items.map(rowOf), signedMs: asked.signedMs, last };
    } catch (error) {
      throw awsError(error, `reading from table ${this.name} failed`);
    }
  }
}

function itemKey({ partition, number }: RowKey): Item {
  return { pk: { S: partition }, sk: { N: String(number) } };
}

function rowOf(item: Item): StoredRow {
  return { number: Number(item["sk"]?.N), record: item["r"]?.B };
}

function ofPartition(partition: string, from?: number) {
  const values = { ":pk": { S: partition } };
  if (from === undefined) return { KeyConditionExpression: "pk = :pk", ExpressionAttributeValues: values };
  return {
    KeyConditionExpression: "pk = :pk AND sk >= :from",
    ExpressionAttributeValues: { ...values, ":from": { N: String(from) } },
  };
}
