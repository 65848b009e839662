import { DescribeTableCommand, type DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { utf8Length } from "../../bytes.ts";
import { PayloadStoreError } from "../../errors.ts";
import { isWellFormed } from "../../key.ts";
import { limits } from "../../limits.ts";
import type { Random } from "../../ports/random.ts";
import { awsError, errorName } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";

/** The version of keys and rows that this release writes, and the only one it reads. */
const layoutVersion = 0;
const secretBytes = 16;

/** Where the table says what it is: no tenant's key begins like this. */
const storeKey = { pk: { S: "~store" }, sk: { N: "0" } };

/** What the table's own row says. */
export interface StoreRow {
  /** Hashes ids, and seals rows. */
  readonly secret: Uint8Array;
  /**
   * The attributes that payloads are found by, sorted. All processes that ever write the table keep rows for the same ones:
   * one that did not would make answers that lack what it wrote.
   */
  readonly indexed: readonly string[];
}

export interface StoreParts {
  readonly dynamo: DynamoDBClient;
  readonly table: string;
  readonly random: Random;
  readonly deadline: Deadline;
  /** What a new table is to index; of one that is there, what it has to. */
  readonly indexedAttributes?: readonly string[] | undefined;
}

/**
 * The table's own row, made when the store is new. Says at once what is missing, of another version, or forbidden.
 *
 * @throws {PayloadStoreError} `UNAVAILABLE` naming the table; `UNSUPPORTED_VERSION`; `INVALID` where the table indexes
 *   other attributes than it was asked for
 * Cost: one read of the table.
 */
export async function openStoreRow(parts: StoreParts): Promise<StoreRow> {
  const wanted = parts.indexedAttributes && checkedNames(parts.indexedAttributes);
  const row = await readOrMake(parts, wanted ?? []);
  if (!wanted || JSON.stringify(wanted) === JSON.stringify(row.indexed)) return row;
  const [found, asked] = [JSON.stringify(row.indexed), JSON.stringify(wanted)];
  const message = `table ${parts.table} indexes the attributes ${found}, not ${asked}, since it was new: leave indexedAttributes out, or use another table`;
  throw new PayloadStoreError("INVALID", message, { details: { field: "indexedAttributes", table: parts.table } });
}

/** Sorted, each once. */
function checkedNames(names: readonly string[]): readonly string[] {
  const wanted = [...new Set(names)].toSorted();
  const isName = (name: unknown) =>
    typeof name === "string" && name !== "" && isWellFormed(name) && utf8Length(name) <= limits.attributesBytesMax;
  if (wanted.length <= limits.attributesCountMax && wanted.every(isName)) return wanted;
  const message = `indexedAttributes must be at most ${limits.attributesCountMax} names of attributes; got ${JSON.stringify(names)}`;
  throw new PayloadStoreError("INVALID", message, { details: { field: "indexedAttributes" } });
}

async function readOrMake(parts: StoreParts, indexed: readonly string[]): Promise<StoreRow> {
  const { dynamo, table, random, deadline } = parts;
  try {
    const read = new GetItemCommand({ TableName: table, Key: storeKey, ConsistentRead: true });
    const found = (await dynamo.send(read, deadline.options())).Item;
    if (found) return rowOf(found, table);
    const names = indexed.length === 0 ? {} : { a: { L: indexed.map((name) => ({ S: name })) } };
    const fresh = { ...storeKey, v: { N: String(layoutVersion) }, s: { B: random.bytes(secretBytes) }, ...names };
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
    if (made) return rowOf(made, table);
    throw new PayloadStoreError("UNAVAILABLE", `table ${table} lost the row that was just put`);
  } catch (error) {
    throw await tableError(error, { dynamo, table, deadline });
  }
}

interface StoreItem {
  readonly v?: { N?: string };
  readonly s?: { B?: Uint8Array };
  readonly a?: { L?: readonly { S?: string }[] };
}

function rowOf(item: StoreItem, table: string): StoreRow {
  const found = Number(item.v?.N);
  if (found !== layoutVersion) {
    const message = `table ${table} has layout version ${found}; this release reads version ${layoutVersion}`;
    throw new PayloadStoreError("UNSUPPORTED_VERSION", message, { details: { found, expected: layoutVersion } });
  }
  const indexed = (item.a?.L ?? []).map(({ S: name = "" }) => name);
  if (item.s?.B?.length === secretBytes) return { secret: item.s.B, indexed };
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
