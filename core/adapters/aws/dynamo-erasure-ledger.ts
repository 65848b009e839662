import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  paginateQuery,
  paginateScan,
  PutItemCommand,
} from "@aws-sdk/client-dynamodb";
import { utf8 } from "../../bytes.ts";
import type { ErasureRecord } from "../../erasure/erasure.ts";
import { decodeErasure, encodeErasure, inOrder } from "../../erasure/erasure-record.ts";
import type { ErasureLedger } from "../../ports/erasure-ledger.ts";
import { awsError } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";
import { keyItem, keyPartition } from "./key-item.ts";

export interface DynamoErasureLedgerOptions {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly deadline: Deadline;
}

const recordIsNew = "attribute_not_exists(pk)";
const recordIsTheVersionBefore = "v = :before";

type Item = Record<string, AttributeValue>;

/**
 * Erasures as rows of a DynamoDB table: partition key `~erasures/<tenant>`, sort key the id as a number, the record as JSON
 * in `r`, its version in `v`. docs/aws.md.
 */
export class DynamoErasureLedger implements ErasureLedger {
  readonly #options: DynamoErasureLedgerOptions;

  constructor(options: DynamoErasureLedgerOptions) {
    this.#options = options;
  }

  /** Cost: a write unit for each KB. */
  async put(record: ErasureRecord): Promise<boolean> {
    const { client, table, deadline } = this.#options;
    const { version } = record;
    const encoded = utf8(encodeErasure(record));
    const command = new PutItemCommand({
      TableName: table,
      Item: { ...keyItem("erasures", record), r: { B: encoded }, v: { N: String(version) } },
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      ...(version === 1
        ? { ConditionExpression: recordIsNew }
        : {
            ConditionExpression: recordIsTheVersionBefore,
            ExpressionAttributeValues: { ":before": { N: String(version - 1) } },
          }),
    });
    try {
      await client.send(command, deadline.options());
      return true;
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) {
        throw awsError(error, `putting an erasure into table ${table} failed, the outcome is unknown`);
      }
      // This very record: the answer to an earlier try was lost.
      const there = error.Item ?? (await this.#item(record.tenant, record.id));
      return there !== undefined && encodeErasure(recordIn(there)) === encodeErasure(record);
    }
  }

  /** Cost: one consistent read, a unit for each 4 KB. */
  async get(tenant: string, id: string): Promise<ErasureRecord | undefined> {
    const item = await this.#item(tenant, id);
    return item && recordIn(item);
  }

  /** Cost: one consistent query of a tenant's; of all tenants a scan of the whole table. */
  async list(tenant?: string): Promise<readonly ErasureRecord[]> {
    const { client, table, deadline } = this.#options;
    const read = { TableName: table, ConsistentRead: true } as const;
    const partition = { ":pk": { S: keyPartition("erasures", tenant ?? "") } };
    const pages =
      tenant === undefined
        ? paginateScan(
            { client },
            { ...read, FilterExpression: "begins_with(pk, :pk)", ExpressionAttributeValues: partition },
            deadline.options(),
          )
        : paginateQuery(
            { client },
            { ...read, KeyConditionExpression: "pk = :pk", ExpressionAttributeValues: partition },
            deadline.options(),
          );
    const items: Item[] = [];
    try {
      for await (const page of pages) items.push(...(page.Items ?? []));
    } catch (error) {
      throw awsError(error, `reading the erasures in table ${table} failed`);
    }
    return inOrder(items.map(recordIn));
  }

  async #item(tenant: string, id: string): Promise<Item | undefined> {
    const { client, table, deadline } = this.#options;
    const command = new GetItemCommand({
      TableName: table,
      Key: keyItem("erasures", { tenant, id }),
      ConsistentRead: true,
    });
    try {
      return (await client.send(command, deadline.options())).Item;
    } catch (error) {
      throw awsError(error, `reading an erasure in table ${table} failed`);
    }
  }
}

function recordIn({ pk, sk, r }: Item): ErasureRecord {
  return decodeErasure(r?.B ?? new Uint8Array(), `row ${sk?.N} of ${JSON.stringify(pk?.S)}`);
}
