import {
  type AttributeValue,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  paginateQuery,
  paginateScan,
  PutItemCommand,
} from "@aws-sdk/client-dynamodb";
import { utf8 } from "../../bytes.ts";
import { PayloadStoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { ErasureRecord } from "../../erasure/erasure.ts";
import { decodeErasure, encodeErasure, inOrder, isOpen } from "../../erasure/erasure-record.ts";
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

/** Partition of the ids of erasures that are not gone, each with its tenant: a scan of the table would find them as well. */
const openPartition = "~erasures";

/**
 * Erasures as rows of a DynamoDB table: partition key `~erasures/<tenant>`, sort key the id as a number, the record as JSON
 * in `r`, its version in `v`. One that is not gone has a row in `~erasures` too, which is put before each of its versions and
 * removed after the last, so that whoever compacts finds it without a scan. docs/aws.md.
 */
export class DynamoErasureLedger implements ErasureLedger {
  readonly #options: DynamoErasureLedgerOptions;

  constructor(options: DynamoErasureLedgerOptions) {
    this.#options = options;
  }

  /** Cost: a write unit for each KB, and one more. */
  async put(record: ErasureRecord): Promise<boolean> {
    const encoded = encodedRow(record);
    if (isOpen(record)) await this.#noteOpen(record);
    const isKept = await this.#put(record, encoded);
    if (isKept && !isOpen(record)) await this.#noteGone(record);
    return isKept;
  }

  async #put(record: ErasureRecord, encoded: Uint8Array): Promise<boolean> {
    const { client, table, deadline } = this.#options;
    const { version } = record;
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

  /** Cost: one consistent query, and a read for each that is open. */
  async open(tenant?: string): Promise<readonly ErasureRecord[]> {
    const { client, table, deadline } = this.#options;
    const ofAll = { KeyConditionExpression: "pk = :pk", ExpressionAttributeValues: { ":pk": { S: openPartition } } };
    const open: ErasureRecord[] = [];
    try {
      const pages = paginateQuery({ client }, { TableName: table, ConsistentRead: true, ...ofAll }, deadline.options());
      for await (const { Items = [] } of pages) {
        for (const { sk, t } of Items) {
          const owner = t?.S ?? "";
          if (tenant !== undefined && owner !== tenant) continue;
          const record = await this.get(owner, Number(sk?.N).toString(16).padStart(idDigits, "0"));
          // One whose record is not there was never answered, and may still come.
          if (record && isOpen(record)) open.push(record);
          else if (record) await this.#noteGone(record);
        }
      }
    } catch (error) {
      throw awsError(error, `reading the erasures in table ${table} failed`);
    }
    return inOrder(open);
  }

  async #noteOpen({ tenant, id }: ErasureRecord): Promise<void> {
    const { client, table, deadline } = this.#options;
    const command = new PutItemCommand({ TableName: table, Item: { ...openKey(id), t: { S: tenant } } });
    try {
      await client.send(command, deadline.options());
    } catch (error) {
      throw awsError(error, `putting an erasure into table ${table} failed, nothing was changed`);
    }
  }

  async #noteGone({ id }: ErasureRecord): Promise<void> {
    const { client, table, deadline } = this.#options;
    try {
      await client.send(new DeleteItemCommand({ TableName: table, Key: openKey(id) }), deadline.options());
    } catch (error) {
      throw awsError(error, `putting an erasure into table ${table} failed, the outcome is unknown`);
    }
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

const idDigits = 12;

/** @throws {PayloadStoreError} `TOO_LARGE` for one that would outgrow its row */
function encodedRow(record: ErasureRecord): Uint8Array {
  const encoded = utf8(encodeErasure(record));
  if (record.version > 1 || encoded.length <= limits.erasureRowBytesMax) return encoded;
  const message = `the erasure has ${encoded.length} bytes; at most ${limits.erasureRowBytesMax}: name fewer ids at once`;
  throw new PayloadStoreError("TOO_LARGE", message);
}

function openKey(id: string): Item {
  return { pk: { S: openPartition }, sk: { N: String(Number.parseInt(id, 16)) } };
}

function recordIn({ pk, sk, r }: Item): ErasureRecord {
  return decodeErasure(r?.B ?? new Uint8Array(), `row ${sk?.N} of ${JSON.stringify(pk?.S)}`);
}
