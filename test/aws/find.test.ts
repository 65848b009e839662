import { DeleteItemCommand, GetItemCommand, PutItemCommand, ScanCommand } from "@aws-sdk/client-dynamodb";
import { DeleteObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import type { AwsOptions, AwsStore } from "../../core/entries/aws.ts";
import type { Attributes } from "../../core/payload.ts";
import { collect } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import type { AwsPlace } from "../support/aws/aws-under-test.ts";
import { freshPlaceOf, openHandler, startFaultyServers } from "../support/aws/handlers.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());
const dynamo = servers.dynamo.client();

const tenant = "acme";
const indexedAttributes = ["user", "model"];
const user = (value: string): { readonly attributes: Attributes } => ({ attributes: { user: value } });

async function opened(options: Partial<AwsOptions> = { indexedAttributes }) {
  const place = await freshPlaceOf(servers);
  const { store } = await openHandler(servers, place, options);
  return { store, place, other: async (more = {}) => (await openHandler(servers, place, more)).store };
}

async function found(store: AwsStore, where: Attributes): Promise<string[]> {
  return (await collect(store.find({ tenant, where }))).map(({ group, id }) => `${group}/${id}`).toSorted();
}

async function rowsOf({ table }: AwsPlace) {
  const { Items: items = [] } = await dynamo.send(new ScanCommand({ TableName: table }));
  return items.filter(({ pk }) => pk?.S?.startsWith("~find/"));
}

describe("a row that a payload is found by", () => {
  test("is there before the page is committed, and is no harm where that never was", async () => {
    const { store, place, other } = await opened();
    const page = servers.dynamo.fault({ kind: "reset", operation: "PutItem", key: "acme/g#1", times: Infinity });

    await expect(store.append({ tenant, group: "g", id: "a" }, prose(300, 1), user("u1"))).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    page.remove();

    expect(await rowsOf(place)).toHaveLength(1);
    expect(await found(store, { user: "u1" })).toEqual([]);
    await (await other()).append({ tenant, group: "g", id: "a" }, prose(300, 1), user("u1"));
    expect(await found(store, { user: "u1" })).toEqual(["g/a"]);
  });

  test("that cannot be put leaves nothing committed", async () => {
    const { store, place } = await opened();
    servers.dynamo.fault({
      kind: "access-denied",
      operation: "PutItem",
      resource: place.table,
      key: /^~find\//,
    });

    await expect(store.append({ tenant, group: "g", id: "a" }, prose(300, 1), user("u1"))).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: `indexing an attribute in table ${place.table} failed, nothing was committed: permission is denied: check the policy of the role`,
    });

    expect(await store.has({ tenant, group: "g", id: "a" })).toBe(false);
    await store.append({ tenant, group: "g", id: "a" }, prose(300, 1), user("u1"));
    expect(await found(store, { user: "u1" })).toEqual(["g/a"]);
  });

  test("holds for whatever sequence a page gets in the end", async () => {
    const { store, other } = await opened();
    const second = await other();
    await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        (i % 2 === 0 ? store : second).append({ tenant, group: "g", id: `${i}` }, prose(300, i), user(`u${i}`)),
      ),
    );

    for (let i = 0; i < 10; i++) expect(await found(store, { user: `u${i}` })).toEqual([`g/${i}`]);
  });

  test("is one a group, however many there are, and they are walked in parts", async () => {
    const { store, place } = await opened();
    const groups = Array.from({ length: 130 }, (_, i) => `g${i}`);
    for (const id of ["a", "b"]) {
      await Promise.all(groups.map((group) => store.append({ tenant, group, id }, prose(50, 1), user("u1"))));
    }

    expect(await rowsOf(place)).toHaveLength(130);
    const all = groups.flatMap((group) => [`${group}/a`, `${group}/b`]).toSorted();
    expect(await found(store, { user: "u1" })).toEqual(all);
    const seen: string[] = [];
    for (let after: string | undefined; ;) {
      const part = await collect(store.find({ tenant, where: { user: "u1" } }, { after, limit: 33 }));
      if (part.length === 0) break;
      seen.push(...part.map(({ group, id }) => `${group}/${id}`));
      after = part.at(-1)?.cursor;
    }
    expect(seen.toSorted()).toEqual(all);
  });

  test("is made again in a new table by a rebuild", async () => {
    const { store, place } = await opened({ indexedAttributes, placement: "segments" });
    for (let i = 0; i < 5; i++) {
      await store.append({ tenant, group: `g${i}`, id: "a" }, prose(300, i), user(`u${i % 2}`));
    }
    await store.delete({ tenant, group: "g0", id: "a" });
    const anew = { bucket: place.bucket, table: await servers.dynamo.freshTable() };

    const rebuilt = (await openHandler(servers, anew, { indexedAttributes: ["user"] })).store;
    await rebuilt.rebuildIndex();

    expect(await found(rebuilt, { user: "u0" })).toEqual(["g2/a", "g4/a"]);
    expect(await found(rebuilt, { user: "u1" })).toEqual(["g1/a", "g3/a"]);
  });

  test("is one of at most 1,000 in a commit", async () => {
    const { store } = await opened();
    const items = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ id: `${i}`, bytes: prose(5, i), ...user(`u${i}`) }));

    await expect(store.appendMany({ tenant, group: "g" }, items(1001))).rejects.toMatchObject({ code: "TOO_LARGE" });
    await store.appendMany({ tenant, group: "g" }, items(1000));

    expect(await found(store, { user: "u999" })).toEqual(["g/999"]);
  });
});

describe("damage to the rows that payloads are found by", () => {
  test("ends a find with CORRUPT, behind what is found", async () => {
    const { store, place } = await opened();
    for (const group of ["g", "h", "i"]) await store.append({ tenant, group, id: "a" }, prose(300, 1), user("u1"));
    const [row = expect.unreachable()] = await rowsOf(place);
    const record = row["r"]?.B ?? expect.unreachable();
    for (const r of [{ B: record.with(3, record[3]! ^ 1) }, { B: record.subarray(0, 3) }, { S: "text" }]) {
      await dynamo.send(new PutItemCommand({ TableName: place.table, Item: { ...row, r } }));

      const given: string[] = [];
      const walk = async () => {
        for await (const { group } of store.find({ tenant, where: { user: "u1" } })) given.push(group);
      };

      await expect(walk()).rejects.toMatchObject({ code: "CORRUPT", message: expect.stringContaining("~find/acme/") });
      expect(given).toHaveLength(2);
    }
  });

  test("that took the store's own row is CORRUPT, and never absence", async () => {
    const { store, place } = await opened();
    await store.append({ tenant, group: "g", id: "a" }, prose(300, 1), user("u1"));
    await dynamo.send(new DeleteItemCommand({ TableName: place.table, Key: { pk: { S: "~store" }, sk: { N: "0" } } }));

    const other = (await openHandler(servers, place, { indexedAttributes })).store;
    await expect(found(other, { user: "u1" })).rejects.toMatchObject({ code: "CORRUPT" });
    expect(await found(other, { user: "u2" })).toEqual([]);
  });

  test("of a page in a segment that is gone is CORRUPT", async () => {
    const { store, place, other } = await opened();
    const many = Array.from({ length: 100 }, (_, i) => ({ id: `${i}`, bytes: noise(2000, i), ...user("u1") }));
    const [location = expect.unreachable()] = await store.appendMany({ tenant, group: "g" }, many);
    const s3 = servers.s3.client();
    const Key = `segments/${tenant}/${location.segment}.seg`;
    await s3.send(new DeleteObjectCommand({ Bucket: place.bucket, Key }));

    await expect(found(await other(), { user: "u1" })).rejects.toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("the index names a segment that is gone"),
    });
  });
});

describe("what a table indexes", () => {
  test("is said when it is new, and kept for all who open it", async () => {
    const { store, other } = await opened({ indexedAttributes: ["user", "model", "user"] });
    const silent = await other();
    await silent.append({ tenant, group: "g", id: "a" }, prose(300, 1), user("u1"));

    expect(await found(store, { user: "u1" })).toEqual(["g/a"]);
    expect(await found(await other({ indexedAttributes: ["model", "user"] }), { user: "u1" })).toEqual(["g/a"]);
  });

  test("is nothing by default: finding says what to set", async () => {
    const { store, place } = await opened({});
    await store.append({ tenant, group: "g", id: "a" }, prose(300, 1), user("u1"));

    await expect(found(store, { user: "u1" })).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: `table ${place.table} indexes no attributes, so nothing is found by "user" alone: name one with \`indexedAttributes\` when a table is new`,
    });
    expect(await rowsOf(place)).toEqual([]);
  });

  test("is not what others have asked for", async () => {
    const { store, place, other } = await opened();

    await expect(found(store, { step: "1" })).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining('indexes "model", "user", so nothing is found by "step" alone'),
    });
    for (const wrong of [[], ["user"], ["user", "model", "step"], ["User", "model"]]) {
      await expect(other({ indexedAttributes: wrong })).rejects.toMatchObject({
        code: "INVALID",
        message: expect.stringContaining(`table ${place.table} indexes the attributes ["model","user"]`),
      });
    }
  });

  test.each([
    ["an empty name", [""]],
    ["a lone surrogate", ["\ud800"]],
    ["what is no text", [1 as unknown as string]],
    ["too many", Array.from({ length: 33 }, (_, i) => `a${i}`)],
    ["one too long", ["x".repeat(4097)]],
  ])("cannot be %s; the table stays as it was", async (_what, names) => {
    const place = await freshPlaceOf(servers);

    await expect(openHandler(servers, place, { indexedAttributes: names })).rejects.toMatchObject({ code: "INVALID" });

    const read = new GetItemCommand({ TableName: place.table, Key: { pk: { S: "~store" }, sk: { N: "0" } } });
    expect((await dynamo.send(read)).Item).toBeUndefined();
  });

  test("is settled by the first of two who open a new table at once", async () => {
    const place = await freshPlaceOf(servers);

    const outcomes = await Promise.allSettled(
      ["user", "model"].map((name) => openHandler(servers, place, { indexedAttributes: [name] })),
    );

    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  });
});
