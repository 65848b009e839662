import { randomBytes } from "node:crypto";
import {
  type AttributeDefinition,
  CreateTableCommand,
  PutItemCommand,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { afterAll, describe, expect, test } from "vitest";
import { sameBytes } from "../conformance/expectations.ts";
import { prose } from "../conformance/sample-bytes.ts";
import type { AwsPlace } from "../support/aws/aws-under-test.ts";
import { freshPlaceOf, openHandler, startFaultyServers } from "../support/aws/handlers.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());

const opening = (place: AwsPlace) =>
  openHandler(servers, place, { s3Config: { maxAttempts: 1 }, dynamoConfig: { maxAttempts: 1 } });
const key = { tenant: "acme", group: "g", id: "a" };

/** A table whose keys are these, the first for the partition. */
async function tableWith(...keys: readonly (readonly [string, "S" | "N" | "B"])[]): Promise<string> {
  const TableName = `other-${randomBytes(6).toString("hex")}`;
  const client = servers.dynamo.client();
  await client.send(
    new CreateTableCommand({
      TableName,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: keys.map(([AttributeName, AttributeType]): AttributeDefinition => ({
        AttributeName,
        AttributeType,
      })),
      KeySchema: keys.map(([AttributeName], i) => ({ AttributeName, KeyType: i === 0 ? "HASH" : "RANGE" })),
    }),
  );
  await waitUntilTableExists({ client, maxWaitTime: 10, minDelay: 0.01, maxDelay: 0.1 }, { TableName });
  return TableName;
}

describe("opening says what is wrong, and with what, where", () => {
  test("there is no such table", async () => {
    const place = { ...(await freshPlaceOf(servers)), table: "no-such-table" };

    await expect(opening(place)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: "opening table no-such-table failed: there is no such table: deploy it, or check its name and region",
      details: { awsError: "ResourceNotFoundException" },
    });
  });

  test("there is no such bucket", async () => {
    const place = { ...(await freshPlaceOf(servers)), bucket: "no-such-bucket" };

    await expect(opening(place)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: "opening bucket no-such-bucket failed: there is no such bucket: deploy it, or check its name and region",
    });
  });

  test.each([
    [
      "another partition key",
      [
        ["id", "S"],
        ["sk", "N"],
      ],
      "id HASH, sk RANGE",
    ],
    ["no sort key", [["pk", "S"]], "pk HASH"],
    [
      "another sort key",
      [
        ["pk", "S"],
        ["at", "N"],
      ],
      "pk HASH, at RANGE",
    ],
    [
      "a sort key of another type",
      [
        ["pk", "S"],
        ["sk", "S"],
      ],
      "pk HASH, sk RANGE",
    ],
    [
      "a partition key of another type",
      [
        ["pk", "B"],
        ["sk", "N"],
      ],
      "pk HASH, sk RANGE",
    ],
  ] as const)("the table has %s", async (_what, keys, found) => {
    const table = await tableWith(...keys);

    await expect(opening({ ...(await freshPlaceOf(servers)), table })).rejects.toMatchObject({
      code: "UNSUPPORTED_VERSION",
      message: `table ${table} is not laid out for Paylode (its keys: ${found}): partition key pk, a string, and sort key sk, a number`,
    });
  });

  test("the table has other keys, and may not be described", async () => {
    const table = await tableWith(["id", "S"]);
    servers.dynamo.fault({ kind: "access-denied", operation: "DescribeTable", resource: table });

    await expect(opening({ ...(await freshPlaceOf(servers)), table })).rejects.toMatchObject({
      code: "UNSUPPORTED_VERSION",
      message: `table ${table} is not laid out for Paylode: partition key pk, a string, and sort key sk, a number`,
    });
  });

  test("a newer release laid the table out", async () => {
    const place = await freshPlaceOf(servers);
    await putStoreRow(place, { v: { N: "1" }, s: { B: new Uint8Array(16) } });

    await expect(opening(place)).rejects.toMatchObject({
      code: "UNSUPPORTED_VERSION",
      message: `table ${place.table} has layout version 1; this release reads version 0`,
      details: { found: 1, expected: 0 },
    });
  });

  test.each([
    ["has no secret", { v: { N: "0" } }],
    ["has a secret that is too short", { v: { N: "0" }, s: { B: new Uint8Array(15) } }],
  ])("the table's own row %s", async (_what, attributes) => {
    const place = await freshPlaceOf(servers);
    await putStoreRow(place, attributes);

    await expect(opening(place)).rejects.toMatchObject({
      code: "CORRUPT",
      message: `the row "~store" of table ${place.table} has no secret: restore the table`,
    });
  });

  test.each([["GetItem"], ["PutItem"]] as const)("%s of the table is not allowed", async (operation) => {
    const place = await freshPlaceOf(servers);
    servers.dynamo.fault({ kind: "access-denied", operation, resource: place.table });

    await expect(opening(place)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: `opening table ${place.table} failed: permission is denied: check the policy of the role`,
    });
  });

  test("the bucket is not allowed", async () => {
    const place = await freshPlaceOf(servers);
    servers.s3.fault({ kind: "access-denied", operation: "HeadBucket", resource: place.bucket });

    await expect(opening(place)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: `opening bucket ${place.bucket} failed: permission is denied: check the policy of the role`,
    });
  });

  test("the bucket answers nothing but a number", async () => {
    const place = await freshPlaceOf(servers);
    servers.s3.fault({ kind: "internal-error", operation: "HeadBucket", resource: place.bucket });

    await expect(opening(place)).rejects.toMatchObject({ message: `opening bucket ${place.bucket} failed: HTTP 500` });
  });

  test("the credentials are no one's", async () => {
    const place = await freshPlaceOf(servers);
    const dynamoConfig = { credentials: { accessKeyId: "nobody", secretAccessKey: "no" } };

    await expect(openHandler(servers, place, { dynamoConfig })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: `opening table ${place.table} failed: the credentials are none of this account's: check them`,
    });
  });

  async function putStoreRow({ table }: AwsPlace, attributes: PutItemCommand["input"]["Item"]): Promise<void> {
    const Item = { pk: { S: "~store" }, sk: { N: "0" }, ...attributes };
    await servers.dynamo.client().send(new PutItemCommand({ TableName: table, Item }));
  }
});

describe("a new table", () => {
  test("is made one store's by the first of many who open it at once", async () => {
    const place = await freshPlaceOf(servers);

    const handlers = await Promise.all(Array.from({ length: 8 }, () => openHandler(servers, place)));

    const many = Array.from({ length: 100 }, (_, i) => ({ id: `${i}`, bytes: prose(100, i) }));
    for (const [i, { store }] of handlers.entries()) await store.appendMany({ tenant: "acme", group: `g${i}` }, many);
    for (const { store } of handlers) {
      for (const i of handlers.keys()) expect(await store.has({ tenant: "acme", group: `g${i}`, id: "99" })).toBe(true);
    }
  });

  test.each(["before", "after"] as const)(
    "is opened also when the answer to its first row is lost (%s it took effect)",
    async (when) => {
      const place = await freshPlaceOf(servers);
      servers.dynamo.fault({ kind: "reset", when, operation: "PutItem", resource: place.table });

      const { store } = await openHandler(servers, place);
      await store.append(key, prose(300, 1));

      sameBytes(await (await openHandler(servers, place)).store.get(key), prose(300, 1));
    },
  );
});

describe("a table that lost its own row", () => {
  test("shows what it held as damaged, and never as absent", async () => {
    const place = await freshPlaceOf(servers);
    const { store } = await openHandler(servers, place);
    const many = Array.from({ length: 100 }, (_, i) => ({ id: `${i}`, bytes: prose(100, i) }));
    await store.appendMany({ tenant: "acme", group: "g" }, many);
    const secret = { v: { N: "0" }, s: { B: new Uint8Array(16).fill(1) } };
    const Item = { pk: { S: "~store" }, sk: { N: "0" }, ...secret };
    await servers.dynamo.client().send(new PutItemCommand({ TableName: place.table, Item }));

    const other = (await openHandler(servers, place)).store;
    await expect(other.get({ ...key, id: "1" })).rejects.toMatchObject({ code: "CORRUPT" });
    await expect(other.has({ ...key, id: "none" })).rejects.toMatchObject({ code: "CORRUPT" });
  });
});
