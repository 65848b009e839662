import assert from "node:assert/strict";
import {
  type AttributeValue,
  BatchWriteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
} from "@aws-sdk/client-dynamodb";
import { GetObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { RequestCounts } from "../../core/adapters/aws/request-meter.ts";
import { openAws } from "../../core/entries/aws.ts";

export interface CostPlace {
  readonly s3: S3Client;
  readonly dynamo: DynamoDBClient;
  readonly bucket: string;
  readonly table: string;
}

export interface CostItem {
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** One process's view of a store: what it is opened with is not counted. */
export interface CostSession {
  write(group: string, items: readonly CostItem[]): Promise<void>;
  /** Reads back what was written together: one by one where it is one, else all of it at once. */
  read(group: string, items: readonly CostItem[]): Promise<readonly Uint8Array[]>;
  /** Does what a background job does about what was written, as if every grace were over. @returns how often it ran */
  compact?(): Promise<number>;
}

/** A way to keep payloads on S3 and DynamoDB. */
export interface CostStore {
  readonly name: string;
  /** What a million payloads may cost, in dollars, by the size of batches. */
  readonly goals?: Readonly<Record<number, number>>;
  /** Commits that are made at the same time share requests: they are made one after the other, as handlers make them. */
  readonly shares?: true;
  open(place: CostPlace): Promise<CostSession>;
}

export interface CostCell {
  readonly batch: number;
  readonly payloads: number;
  readonly written: RequestCounts;
  readonly read: RequestCounts;
  /** What the background job asked for in so many runs, the last of which had nothing to do. */
  readonly compacted?: { readonly counts: RequestCounts; readonly runs: number } | undefined;
}

export interface CostRow {
  readonly store: CostStore;
  readonly cells: readonly CostCell[];
}

const tenant = "acme";

/** Nothing has to rest, and no grace has to be over: the bench does in a minute what takes a day. */
const atOnce = { restMs: 0, graceMs: 0, graceMsMin: 0, arrivalMs: 0, movedAfterMs: 0 } as const;

/** Runs of compaction, at most: each goes on with what the one before made ready. */
const runsMax = 10;

const paylode: CostStore = {
  name: "paylode",
  shares: true,
  goals: { 1: 1.4, 100: 0.1, 1000: 0.03 },
  async open({ s3, dynamo, bucket, table }) {
    const machine = { compaction: { times: atOnce } };
    const store = await openAws({ bucket, table, clients: { s3, dynamo } }, machine);
    return {
      async write(group, items) {
        if (items.length === 1) await store.append({ tenant, group, id: items[0]!.id }, items[0]!.bytes);
        else await store.appendMany({ tenant, group }, items);
      },
      async read(group, items) {
        const bodies: Uint8Array[] = [];
        if (items.length === 1) bodies.push((await store.get({ tenant, group, id: items[0]!.id }))!);
        else for await (const { body } of store.contents({ tenant, group })) bodies.push(body);
        return bodies;
      },
      async compact() {
        for (let runs = 1; ; runs++) {
          const { rows, segments } = await store.compact();
          assert.ok(rows && runs <= runsMax, "compaction comes to an end");
          if (rows.rowsWritten + rows.rowsRemoved + rows.groupsRemoved + segments.length === 0) return runs;
        }
      },
    };
  },
};

/** Langfuse's and many others' way: each payload an object, and a row that says where. */
const objectEach: CostStore = {
  name: "an object each + a pointer row each",
  open: async (place) => ({
    async write(group, items) {
      await each(items, async ({ id, bytes }) => {
        await putObject(place, `${group}/${id}`, bytes);
        await putRow(place, group, id, { key: { S: `${group}/${id}` } });
      });
    },
    async read(group, items) {
      const rows = await rowsOf(place, group, items);
      return each(rows, async ({ key }) => getObject(place, key!.S!));
    },
  }),
};

/** Batches share an object, and each payload has a row that says where in it. */
const sharedObjects: CostStore = {
  name: "shared objects + an offset row each",
  open: async (place) => ({
    async write(group, items) {
      const blobs = items.map(({ bytes }) => zstdCompressSync(bytes));
      await putObject(place, group, Buffer.concat(blobs));
      let at = 0;
      const placed = items.map(({ id }, i) => {
        const row = { id, attributes: { key: { S: group }, at: { N: `${at}` }, bytes: { N: `${blobs[i]!.length}` } } };
        at += blobs[i]!.length;
        return row;
      });
      await putRows(place, group, placed);
    },
    async read(group, items) {
      const rows = await rowsOf(place, group, items);
      const places = rows.map(({ at, bytes }) => ({ at: Number(at!.N), end: Number(at!.N) + Number(bytes!.N) }));
      const from = Math.min(...places.map(({ at }) => at));
      const end = Math.max(...places.map((one) => one.end));
      const whole = await getObject(place, group, `bytes=${from}-${end - 1}`);
      return places.map((one) => zstdDecompressSync(whole.subarray(one.at - from, one.end - from)));
    },
  }),
};

function inRows(
  name: string,
  encode: (bytes: Uint8Array) => Uint8Array,
  decode: (bytes: Uint8Array) => Uint8Array,
): CostStore {
  return {
    name,
    open: async (place) => ({
      async write(group, items) {
        await putRows(
          place,
          group,
          items.map(({ id, bytes }) => ({ id, attributes: { body: { B: encode(bytes) } } })),
        );
      },
      async read(group, items) {
        return (await rowsOf(place, group, items)).map(({ body }) => decode(body!.B!));
      },
    }),
  };
}

export const costStores: readonly CostStore[] = [
  paylode,
  objectEach,
  sharedObjects,
  inRows(
    "DynamoDB only",
    (bytes) => bytes,
    (bytes) => bytes,
  ),
  inRows("DynamoDB only, each with zstd", zstdCompressSync, zstdDecompressSync),
];

/** Rows of the others are keyed by group and number, as short as ours. */
function keyOf(group: string, id: string): Record<string, AttributeValue> {
  return { pk: { S: `${tenant}/${group}` }, sk: { N: String(Number.parseInt(id, 16)) } };
}

async function putRow(
  { dynamo, table }: CostPlace,
  group: string,
  id: string,
  attributes: Record<string, AttributeValue>,
) {
  await dynamo.send(new PutItemCommand({ TableName: table, Item: { ...keyOf(group, id), ...attributes } }));
}

/** 25 rows a request, which is billed as 25 writes. */
async function putRows(
  place: CostPlace,
  group: string,
  rows: readonly { readonly id: string; readonly attributes: Record<string, AttributeValue> }[],
): Promise<void> {
  for (let from = 0; from < rows.length; from += 25) {
    const some = rows.slice(from, from + 25);
    const requests = some.map(({ id, attributes }) => ({
      PutRequest: { Item: { ...keyOf(group, id), ...attributes } },
    }));
    const { UnprocessedItems: left } = await place.dynamo.send(
      new BatchWriteItemCommand({ RequestItems: { [place.table]: requests } }),
    );
    assert.deepEqual(left ?? {}, {});
  }
}

/** Eventually consistent, at half the price: these patterns promise no more. */
async function rowsOf({ dynamo, table }: CostPlace, group: string, items: readonly CostItem[]) {
  if (items.length === 1) {
    const { Item: item } = await dynamo.send(new GetItemCommand({ TableName: table, Key: keyOf(group, items[0]!.id) }));
    return [item!];
  }
  const rows: Record<string, AttributeValue>[] = [];
  let from: Record<string, AttributeValue> | undefined;
  do {
    const answer = await dynamo.send(
      new QueryCommand({
        TableName: table,
        KeyConditionExpression: "pk = :pk",
        ExpressionAttributeValues: { ":pk": { S: `${tenant}/${group}` } },
        ExclusiveStartKey: from,
      }),
    );
    rows.push(...(answer.Items ?? []));
    from = answer.LastEvaluatedKey;
  } while (from);
  return rows;
}

async function putObject({ s3, bucket }: CostPlace, key: string, body: Uint8Array): Promise<void> {
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
}

async function getObject({ s3, bucket }: CostPlace, key: string, range?: string): Promise<Uint8Array> {
  const command = new GetObjectCommand({ Bucket: bucket, Key: key, ...(range === undefined ? {} : { Range: range }) });
  return (await s3.send(command)).Body!.transformToByteArray();
}

/** Twenty at a time. */
async function each<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += 20) {
    results.push(...(await Promise.all(items.slice(from, from + 20).map(run))));
  }
  return results;
}
