import { afterAll, describe, expect, test } from "vitest";
import { collect, sameBytes } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import { freshPlaceOf, openHandler } from "../support/aws/handlers.ts";
import { hour, minute, startWithMovedClock } from "../support/aws/moved-clock.ts";

const { servers, pass, close } = await startWithMovedClock();
afterAll(close);

const tenant = "acme";
const group = { tenant, group: "g" };

async function opened() {
  const place = await freshPlaceOf(servers);
  const handler = await openHandler(servers, place);
  const rows = () => servers.dynamo.log.count({ operation: "PutItem", resource: place.table, key: /^acme\// });
  return { ...handler, place, rows, another: () => openHandler(servers, place) };
}

type Opened = Awaited<ReturnType<typeof opened>>;

/** Rows of a table, by their keys. */
async function keysOf({ clients, place }: Pick<Opened, "clients" | "place">): Promise<string[]> {
  const { ScanCommand } = await import("@aws-sdk/client-dynamodb");
  const { Items = [] } = await clients.dynamo.send(new ScanCommand({ TableName: place.table }));
  return Items.map(({ pk, sk }) => `${pk?.S}#${sk?.N}`)
    .filter((key) => !key.startsWith("~"))
    .toSorted();
}

async function segmentsOf({ clients, place }: Pick<Opened, "clients" | "place">): Promise<string[]> {
  const { ListObjectsV2Command } = await import("@aws-sdk/client-s3");
  const { Contents = [] } = await clients.s3.send(new ListObjectsV2Command({ Bucket: place.bucket }));
  return Contents.map(({ Key = "" }) => Key);
}

describe("a group of many commits", () => {
  test("is read by one query and few GETs once it is compacted", async () => {
    const handler = await opened();
    for (let batch = 0; batch < 100; batch++) {
      const items = Array.from({ length: 10 }, (_, i) => ({
        id: `${batch * 10 + i}`,
        bytes: prose(900, batch * 10 + i),
      }));
      await handler.store.appendMany(group, items);
    }
    pass(hour);
    const report = await handler.store.compact();

    expect(report.rows).toMatchObject({ groups: 1, groupsChanged: 1, rowsWritten: 1, racesLost: 0 });
    expect(report).toMatchObject({ pages: 1, payloads: 1000, complete: true, skipped: [] });
    const reader = await handler.another();
    reader.meter.reset();
    const contents = await collect(reader.store.contents(group));
    expect(contents.map(({ id }) => id)).toEqual(Array.from({ length: 1000 }, (_, i) => `${i}`));
    for (const [i, { body }] of contents.entries()) sameBytes(body, prose(900, i));
    const { Query = 0, GetObject = 0 } = reader.meter.counts().requests;
    expect(Query).toBe(1);
    expect(GetObject).toBeLessThanOrEqual(4);
    expect(GetObject).toBeGreaterThan(0);

    // What it stands for is kept for a grace, and counted by each row for itself.
    expect(await keysOf(handler)).toHaveLength(100);
    pass(30 * minute);
    expect((await handler.store.compact()).rows).toMatchObject({ rowsRemoved: 0, rowsWritten: 0 });
    pass(hour);
    expect((await handler.store.compact()).rows).toMatchObject({ rowsRemoved: 99, rowsWritten: 0 });
    expect(await keysOf(handler)).toEqual(["acme/g#1"]);

    await (await handler.another()).store.append({ ...group, id: "new" }, prose(100, 1));
    expect(await keysOf(handler)).toEqual(["acme/g#1", "acme/g#101"]);
    expect((await collect(handler.store.list(group))).map(({ id }) => id).slice(-2)).toEqual(["999", "new"]);
  });

  test("keeps its order, what was overwritten, and what was deleted", async () => {
    const handler = await opened();
    const { store } = handler;
    for (const id of ["a", "b", "c", "d"]) await store.append({ ...group, id }, prose(300, 1));
    pass(hour);
    await store.append({ ...group, id: "a" }, prose(300, 2));
    await store.compact();
    await store.delete({ ...group, id: "b" });
    expect((await collect(store.list(group))).map(({ id }) => id)).toEqual(["a", "c", "d"]);
    pass(2 * hour);
    await store.compact();
    pass(2 * hour);
    await store.compact();
    expect(await keysOf(handler)).toEqual(["acme/g#1"]);
    const { store: other } = await handler.another();
    expect((await collect(other.list(group))).map(({ id }) => id)).toEqual(["a", "c", "d"]);
    sameBytes(await other.get({ ...group, id: "a" }), prose(300, 2));
    expect(await other.get({ ...group, id: "b" })).toBeUndefined();
    expect(await other.has({ ...group, id: "b" })).toBe(false);
  });

  test("remembers for a day which requests it answered", async () => {
    const handler = await opened();
    const { store } = handler;
    const send = (to: typeof store, n: number) =>
      to.append({ ...group, id: "a" }, prose(300, n), { idempotencyKey: `k${n}` });
    const locations = [await send(store, 1), await send(store, 2), await send(store, 3)];
    pass(hour);
    await store.compact();
    pass(2 * hour);
    await store.compact();
    const { store: other } = await handler.another();

    expect(await send(other, 1)).toEqual(locations[0]);
    expect(await send(other, 2)).toEqual(locations[1]);
    sameBytes(await other.get({ ...group, id: "a" }), prose(300, 3));
    await expect(other.append({ ...group, id: "a" }, prose(9, 9), { idempotencyKey: "k1" })).rejects.toMatchObject({
      code: "KEY_REUSED",
    });
  });
});

describe("a group without payloads", () => {
  async function emptied() {
    const handler = await opened();
    await handler.store.append({ ...group, id: "a" }, prose(300, 1));
    await handler.store.deleteGroup(group);
    pass(hour);
    await handler.store.compact();
    return handler;
  }

  test("is gone from the table after two runs, and begins anew", async () => {
    const handler = await emptied();
    pass(2 * hour);
    expect((await handler.store.compact()).rows).toMatchObject({ rowsRemoved: 1, groupsRemoved: 0 });
    expect((await handler.store.compact()).rows).toMatchObject({ rowsRemoved: 0, groupsRemoved: 1 });
    expect(await keysOf(handler)).toEqual([]);
    await handler.store.append({ ...group, id: "b" }, prose(300, 2));
    expect(await keysOf(handler)).toEqual(["acme/g#1"]);
  });

  test.each([
    ["a process that knows nothing of it", false],
    ["one that looked at it", true],
  ])("is opened again by %s", async (_who, looks) => {
    const handler = await emptied();
    const { store } = await handler.another();
    if (looks) expect(await store.get({ ...group, id: "a" })).toBeUndefined();

    await store.append({ ...group, id: "b" }, prose(300, 2));

    expect(await keysOf(handler)).toEqual(["acme/g#1", "acme/g#2", "acme/g#3"]);
    pass(2 * hour);
    await handler.store.compact();
    pass(2 * hour);
    await handler.store.compact();
    expect((await collect(store.list(group))).map(({ id }) => id)).toEqual(["b"]);
    sameBytes(await store.get({ ...group, id: "b" }), prose(300, 2));
  });
});

describe("segments", () => {
  test("that no row refers to go after a day, and no others", async () => {
    const handler = await opened();
    const { store } = handler;
    const many = (seed: number) => Array.from({ length: 20 }, (_, i) => ({ id: `${i}`, bytes: noise(2000, seed + i) }));
    await store.appendMany(group, many(1));
    await store.appendMany({ tenant, group: "lone" }, many(50));
    const named = await segmentsOf(handler);
    // A commit that is refused leaves its segment.
    servers.dynamo.fault({ kind: "throughput-exceeded", operation: "PutItem", resource: handler.place.table });
    const failing = await openHandler(servers, handler.place, { dynamoConfig: { maxAttempts: 1 } });
    await expect(failing.store.appendMany(group, many(99))).rejects.toMatchObject({ code: "UNAVAILABLE" });
    servers.dynamo.log.clear();
    const handler2 = await handler.another();
    const before = await segmentsOf(handler);
    expect(before).toHaveLength(3);

    pass(23 * hour);
    expect((await handler2.store.compact()).freed).toEqual([]);
    await handler2.store.appendMany({ tenant, group: "young" }, many(150));
    pass(2 * hour);
    const report = await handler2.store.compact();

    expect(report.freed).toHaveLength(1);
    const orphan = before.find((key) => !named.includes(key));
    expect(`segments/acme/${report.freed[0]!.segment}.seg`).toBe(orphan);
    expect(await segmentsOf(handler)).toHaveLength(3);
    for (const [i, { id, bytes }] of many(1).entries()) {
      expect(id).toBe(`${i}`);
      sameBytes(await handler2.store.get({ ...group, id }), bytes);
    }
  });

  test("whose payloads are mostly dead are emptied, and go", async () => {
    const handler = await opened();
    const { store } = handler;
    const groups = Array.from({ length: 10 }, (_, g) => ({ tenant, group: `g${g}` }));
    await Promise.all(groups.map((each, g) => store.appendMany(each, [{ id: "a", bytes: noise(20_000, g) }])));
    expect(await segmentsOf(handler)).toHaveLength(1);
    for (const each of groups.slice(0, 6)) await store.deleteGroup(each);
    for (let i = 0; i < 3; i++) {
      pass(25 * hour);
      await store.compact();
    }
    pass(25 * hour);
    const last = await store.compact();

    expect(last.rows).toMatchObject({ rowsWritten: 0, rowsRemoved: 0, groupsRemoved: 0 });
    const left = await segmentsOf(handler);
    expect(left).toHaveLength(1);
    expect(await keysOf(handler)).toHaveLength(4);
    for (const [g, each] of groups.entries()) {
      const found = await store.get({ ...each, id: "a" });
      if (g < 6) expect(found).toBeUndefined();
      else sameBytes(found, noise(20_000, g));
    }
  });
});

describe("what has expired", () => {
  const day = 24 * hour;
  const retentionMs = { classesMs: { debug: 7 * day, month: 30 * day } };

  async function aged() {
    const place = await freshPlaceOf(servers);
    const handler = { ...(await openHandler(servers, place, { retentionMs })), place };
    const many = (seed: number, retention?: string) =>
      Array.from({ length: 20 }, (_, i) => ({ id: `${i}`, bytes: noise(2000, seed + i), retention }));
    const put = (name: string, seed: number, retention?: string) =>
      handler.store.appendMany({ tenant, group: name }, many(seed, retention));
    return { handler, put };
  }

  test("goes with its segment, and not a byte is written again", async () => {
    const { handler, put } = await aged();
    const { store } = handler;
    await Promise.all([put("a", 1, "debug"), put("b", 50, "debug")]);
    pass(hour);
    await put("stays", 100);
    expect(await segmentsOf(handler)).toHaveLength(2);
    let bytesOut = 0;
    pass(7 * day);
    expect(await store.get({ tenant, group: "a", id: "1" })).toBeUndefined();
    for (let i = 0; i < 4; i++) {
      bytesOut += (await store.compact()).bytesOut;
      pass(3 * hour);
    }

    expect(bytesOut).toBe(0);
    expect(await segmentsOf(handler)).toHaveLength(1);
    expect(await keysOf(handler)).toEqual(["acme/stays#1"]);
    sameBytes(await store.get({ tenant, group: "stays", id: "3" }), noise(2000, 103));
  });

  test("is counted, and leaves a group whose others stay", async () => {
    const { handler, put } = await aged();
    const { store } = handler;
    await put("g", 1, "debug");
    await store.append({ tenant, group: "g", id: "stays" }, noise(9000, 9));
    pass(8 * day);
    const { expired } = await store.compact();

    expect(expired).toEqual({ payloads: 20, bytes: 40_000 });
    pass(3 * hour);
    await store.compact();
    expect((await collect(store.list({ tenant, group: "g" }))).map(({ id }) => id)).toEqual(["stays"]);
    expect((await store.verify()).faults).toEqual([]);
  });

  test("lies together with its like once it is written again", async () => {
    const { store } = (await aged()).handler;
    const names = ["debug 1", "month 1", "stays 1", "debug 2", "month 2", "stays 2"];
    for (const [seed, name] of names.entries()) {
      const retention = name.startsWith("stays") ? undefined : name.split(" ")[0];
      for (const i of [0, 1, 2])
        await store.append({ tenant, group: name, id: `${i}` }, noise(9000, 10 * seed + i), { retention });
    }
    pass(hour);
    await store.compact();

    const segments: string[] = [];
    for (const name of names) {
      const listed = await collect(store.list({ tenant, group: name }));
      const [segment, ...others] = new Set(listed.map(({ location }) => location.segment));
      expect(others).toEqual([]);
      segments.push(segment!);
    }
    expect(new Set(segments).size).toBe(3);
    expect(segments.slice(0, 3)).toEqual(segments.slice(3));
  });
});
