import { DeleteItemCommand, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import type { AwsStore } from "../../core/entries/aws.ts";
import { rowCrcOf } from "../../core/rows/row.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { view } from "../../core/bytes.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { collect, rejectsWith, sameBytes } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import type { AwsPlace } from "../support/aws/aws-under-test.ts";
import { freshPlaceOf, openHandler, startFaultyServers } from "../support/aws/handlers.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());
const dynamo = servers.dynamo.client();
const s3 = servers.s3.client();

const group = { tenant: "acme", group: "g" };
const keyOf = (id: string) => ({ ...group, id });
const pk = "acme/g";
const small = (seed: number) => prose(300, seed);

async function opened(options = {}): Promise<{ store: AwsStore; place: AwsPlace; fresh: () => Promise<AwsStore> }> {
  const place = await freshPlaceOf(servers);
  const { store } = await openHandler(servers, place, options);
  return { store, place, fresh: async () => (await openHandler(servers, place)).store };
}

async function rowOf({ table }: AwsPlace, sequence: number): Promise<Uint8Array> {
  const Key = { pk: { S: pk }, sk: { N: `${sequence}` } };
  return (await dynamo.send(new GetItemCommand({ TableName: table, Key }))).Item!["r"]!.B!;
}

async function putRow({ table }: AwsPlace, sequence: number, record: Uint8Array | undefined, key = pk): Promise<void> {
  const Item = { pk: { S: key }, sk: { N: `${sequence}` }, ...(record ? { r: { B: record } } : {}) };
  await dynamo.send(new PutItemCommand({ TableName: table, Item }));
}

async function removeRow({ table }: AwsPlace, sequence: number): Promise<void> {
  await dynamo.send(new DeleteItemCommand({ TableName: table, Key: { pk: { S: pk }, sk: { N: `${sequence}` } } }));
}

function flipped(record: Uint8Array): Uint8Array {
  const changed = record.slice();
  changed[40]! ^= 4;
  return changed;
}

/** Every way to ask for a payload that a lost segment held. */
const readings: Readonly<Record<string, (store: AwsStore, id: string) => Promise<unknown>>> = {
  get: (store, id) => store.get(keyOf(id)),
  read: (store, id) => store.read(keyOf(id), { range: { start: 0, end: 1 } }),
  readStored: (store, id) => store.readStored(keyOf(id), [0, 1, 2]),
  stream: (store, id) => store.stream(keyOf(id)),
  getMany: (store, id) => store.getMany(group, [id]),
  contents: (store) => collect(store.contents(group)),
};

describe("a page whose segment is gone", () => {
  test.each([
    ["the row keeps its head", 1],
    ["the row keeps hashes", 100],
  ])("is CORRUPT, with its names, in every answer that takes it, and never absent (%s)", async (_which, payloads) => {
    const { store, place, fresh } = await opened();
    const items = Array.from({ length: payloads }, (_, i) => ({ id: `${i}`, bytes: noise(9000, i) }));
    const [location] = await store.appendMany(group, items);
    const object = `segments/acme/${location!.segment}.seg`;
    await s3.send(new DeleteObjectCommand({ Bucket: place.bucket, Key: object }));

    const other = await fresh();
    for (const [what, reading] of Object.entries(readings)) {
      const error = await rejectsWith("CORRUPT", () => reading(other, "0"));
      expect(error.message, what).toContain('group "g"');
      expect(error.message, what).toContain(`the index names a segment that is gone`);
      expect(error.message, what).toContain(object);
      expect(error.details, what).toMatchObject({ group: "g", key: object });
      if (payloads > 1) expect(error.message, what).toContain("page 1 of");
    }
    expect(await other.has(keyOf("0"))).toBe(true);
    expect(await other.has(keyOf("none"))).toBe(false);
    expect(await other.get(keyOf("none"))).toBeUndefined();
    await rejectsWith("EXISTS", () => other.append(keyOf("0"), small(1), { ifAbsent: true }));
    await rejectsWith("GONE", () => other.getAt(group, location!));
    expect((await other.verify()).faults).toMatchObject([{ kind: "dangling", segment: location!.segment }]);
  });

  test("is CORRUPT for a request that it answered", async () => {
    const { store, place, fresh } = await opened();
    const items = Array.from({ length: 100 }, (_, i) => ({ id: `${i}`, bytes: noise(900, i) }));
    const [location] = await store.appendMany(group, items, { idempotencyKey: "k" });
    await s3.send(new DeleteObjectCommand({ Bucket: place.bucket, Key: `segments/acme/${location!.segment}.seg` }));

    const other = await fresh();
    await rejectsWith("CORRUPT", () => other.appendMany(group, items, { idempotencyKey: "k" }));
  });

  test("is deleted all the same, and what was stored since is served", async () => {
    const { store, place, fresh } = await opened();
    const { segment } = await store.append(keyOf("lost"), noise(9000, 1));
    await store.append(keyOf("there"), small(2));
    await s3.send(new DeleteObjectCommand({ Bucket: place.bucket, Key: `segments/acme/${segment}.seg` }));

    const other = await fresh();
    sameBytes(await other.get(keyOf("there")), small(2));
    expect(await other.delete(keyOf("lost"))).toBe(true);
    expect(await other.get(keyOf("lost"))).toBeUndefined();
    expect((await collect(other.contents(group))).map(({ id }) => id)).toEqual(["there"]);
  });
});

describe("a segment that is damaged", () => {
  test.each([
    ["cut", (bytes: Uint8Array) => bytes.subarray(0, 5000)],
    ["cut before its page", (bytes: Uint8Array) => bytes.subarray(0, 100)],
    ["emptied", () => new Uint8Array(0)],
    ["flipped in its block", (bytes: Uint8Array) => bytes.with(bytes.length - 4000, bytes.at(-4000)! ^ 1)],
  ])("is CORRUPT where it is %s, and never absent", async (_what, change) => {
    for (const payloads of [1, 100]) {
      const { store, place, fresh } = await opened();
      const items = Array.from({ length: payloads }, (_, i) => ({ id: `${i}`, bytes: noise(9000, i) }));
      const [location] = await store.appendMany(group, items);
      const object = { Bucket: place.bucket, Key: `segments/acme/${location!.segment}.seg` };
      const whole = await (await s3.send(new GetObjectCommand(object))).Body!.transformToByteArray();
      await s3.send(new PutObjectCommand({ ...object, Body: change(whole) }));

      const other = await fresh();
      await rejectsWith("CORRUPT", () => other.get(keyOf(`${payloads - 1}`)));
    }
  });
});

describe("a row that is damaged", () => {
  const damages: readonly (readonly [string, (place: AwsPlace) => Promise<void>])[] = [
    ["has a flipped bit", async (place) => putRow(place, 2, flipped(await rowOf(place, 2)))],
    ["has lost its record", (place) => putRow(place, 2, undefined)],
    ["is a copy of another", async (place) => putRow(place, 2, await rowOf(place, 1))],
    ["is gone", (place) => removeRow(place, 2)],
  ];

  test.each(damages)(
    "and %s is CORRUPT for what it could decide; what newer rows decide is served",
    async (_what, damage) => {
      const { store, place, fresh } = await opened();
      await store.append(keyOf("old"), small(1));
      await store.append(keyOf("damaged"), small(2));
      await store.append(keyOf("new"), small(3));
      await damage(place);

      const other = await fresh();
      sameBytes(await other.get(keyOf("new")), small(3));
      expect(await other.has(keyOf("new"))).toBe(true);
      for (const call of [
        () => other.get(keyOf("old")),
        () => other.get(keyOf("damaged")),
        () => other.get(keyOf("none")),
        () => other.has(keyOf("old")),
        () => other.getMany(group, ["new", "old"]),
        () => collect(other.list(group)),
        () => collect(other.contents(group)),
        () => other.append(keyOf("old"), small(4), { ifAbsent: true }),
        () => other.append(keyOf("old"), small(4), { idempotencyKey: "k" }),
      ]) {
        const error = await rejectsWith("CORRUPT", call);
        expect(error.message).toContain('row 2 of "acme/g"');
      }
      expect((await other.stats(group)).exact).toBe(false);
      expect((await other.verify()).faults).toMatchObject([
        { kind: "damaged", tenant: "acme", segment: 'row 2 of "acme/g"' },
      ]);

      await other.append(keyOf("old"), small(5));
      sameBytes(await other.get(keyOf("old")), small(5));
      expect(await other.deleteGroup(group)).toBeGreaterThan(0);
      expect(await collect((await fresh()).list(group))).toEqual([]);
    },
  );

  test("as the last one of its group is not written over", async () => {
    const { store, place, fresh } = await opened();
    await store.append(keyOf("a"), small(1));
    await putRow(place, 1, flipped(await rowOf(place, 1)));

    const other = await fresh();
    await other.append(keyOf("b"), small(2));

    sameBytes(await other.get(keyOf("b")), small(2));
    await rejectsWith("CORRUPT", () => other.get(keyOf("a")));
  });

  test("and was written by a newer release says so, and is not called damaged", async () => {
    const { store, place, fresh } = await opened();
    await store.append(keyOf("a"), small(1));
    const { Item } = await dynamo.send(
      new GetItemCommand({ TableName: place.table, Key: { pk: { S: "~store" }, sk: { N: "0" } } }),
    );
    const record = (await rowOf(place, 1)).slice();
    record[1] = 3;
    const crc = rowCrcOf(Item!["s"]!.B!, nodeDigest)(record.subarray(0, -4), pk, 1);
    view(record).setUint32(record.length - 4, crc, true);
    await putRow(place, 1, record);

    const other = await fresh();
    for (const call of [() => other.get(keyOf("a")), () => other.append(keyOf("a"), small(2), { ifAbsent: true })]) {
      const error = await rejectsWith("UNSUPPORTED_VERSION", call);
      expect(error.message).toContain('row 1 of "acme/g" has version 0, kind 3');
    }
  });

  test("of another group is CORRUPT there", async () => {
    const { store, place, fresh } = await opened();
    await store.append(keyOf("a"), small(1));
    await putRow(place, 1, await rowOf(place, 1), "acme/other");

    await rejectsWith("CORRUPT", async () => (await fresh()).get({ ...group, group: "other", id: "a" }));
  });
});

describe("rows that are swept while a long query goes on", () => {
  test("look like a gap, which is asked about once more", async () => {
    const { store, place, fresh } = await opened();
    for (let i = 0; i < 5; i++) await store.append(keyOf(`${i}`), small(i));
    const other = await fresh();
    const record = await rowOf(place, 2);
    await removeRow(place, 2);
    const asked = servers.dynamo.fault({ kind: "hold", when: "after", operation: "Query", resource: place.table });
    const reading = other.get(keyOf("1")).catch((error: unknown) => error);
    await asked.struck;
    await putRow(place, 2, record);
    asked.release();

    const answer = await reading;
    expect(isPayloadStoreError(answer)).toBe(false);
    sameBytes(answer as Uint8Array, small(1));
  });
});
