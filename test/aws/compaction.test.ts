import { createHash } from "node:crypto";
import { DeleteItemCommand, GetItemCommand, PutItemCommand, ScanCommand } from "@aws-sdk/client-dynamodb";
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import type { CompactionReport, CompactOptions } from "../../core/compaction/compaction.ts";
import { listPrices } from "../../core/placement.ts";
import { collect, sameBytes } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import type { AwsPlace } from "../support/aws/aws-under-test.ts";
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
  const { Items = [] } = await clients.dynamo.send(new ScanCommand({ TableName: place.table }));
  return Items.map(({ pk, sk }) => `${pk?.S}#${sk?.N}`)
    .filter((key) => !key.startsWith("~"))
    .toSorted();
}

async function segmentsOf({ clients, place }: Pick<Opened, "clients" | "place">): Promise<string[]> {
  return [...(await bytesOf({ clients, place })).keys()];
}

/** Objects of a bucket, by their keys, with the bytes that each has. */
async function bytesOf({ clients, place }: Pick<Opened, "clients" | "place">): Promise<ReadonlyMap<string, number>> {
  const { Contents = [] } = await clients.s3.send(new ListObjectsV2Command({ Bucket: place.bucket }));
  return new Map(Contents.map(({ Key = "", Size = 0 }) => [Key, Size]));
}

/** Appends what is large enough for a segment, with a commit that is refused. */
async function orphan(place: AwsPlace, name: string, bytes: Uint8Array): Promise<void> {
  servers.dynamo.fault({ kind: "throughput-exceeded", operation: "PutItem", resource: place.table });
  const { store } = await openHandler(servers, place, { dynamoConfig: { maxAttempts: 1 } });
  await expect(store.append({ tenant, group: name, id: "a" }, bytes)).rejects.toMatchObject({ code: "UNAVAILABLE" });
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

describe("a sweep that is interrupted", () => {
  test.each([1, 2, 3])(
    "at its removal %d, leaves the row that tells who knows nothing which number is the next",
    async (nth) => {
      const handler = await opened();
      const { place, another } = handler;
      // The first row is too long to be joined with the others, so it does not tell how far these go.
      const ids = ["long", "a", "b", "c", "d"];
      for (const [i, id] of ids.entries())
        await handler.store.append({ ...group, id }, i === 0 ? noise(100_000, 1) : prose(300, i));
      pass(hour);
      await handler.store.compact();
      pass(2 * hour);
      const fault = servers.dynamo.fault({
        kind: "reset",
        when: "before",
        operation: "DeleteItem",
        nth,
        resource: place.table,
      });
      const { store: interrupted } = await openHandler(servers, place, { dynamoConfig: { maxAttempts: 1 } });
      await expect(interrupted.compact()).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(fault.hits).toBe(1);

      await (await another()).store.append({ ...group, id: "new" }, prose(300, 9));

      for (let runs = 0; runs < 3; runs++) {
        const { store } = await another();
        sameBytes(await store.get({ ...group, id: "new" }), prose(300, 9));
        expect((await collect(store.list(group))).map(({ id }) => id)).toEqual([...ids, "new"]);
        pass(3 * hour);
        await store.compact();
      }
    },
  );
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
    // A row that stays closed may be removed while what comes behind it is on its way.
    const puts = servers.dynamo.log.entries({ operation: "PutItem", resource: handler.place.table });
    expect(puts.slice(-2).map(({ key, status }) => [key, status])).toEqual([
      ["acme/g#1", 200],
      ["acme/g#3", 200],
    ]);
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
    await orphan(handler.place, "g", noise(40_000, 99));
    const handler2 = await handler.another();
    const before = await segmentsOf(handler);
    expect(before).toHaveLength(3);

    pass(23 * hour);
    expect((await handler2.store.compact()).freed).toEqual([]);
    await handler2.store.appendMany({ tenant, group: "young" }, many(150));
    pass(2 * hour);
    const report = await handler2.store.compact();

    expect(report.freed).toHaveLength(1);
    const unnamed = before.find((key) => !named.includes(key));
    expect(`segments/acme/${report.freed[0]!.segment}.seg`).toBe(unnamed);
    expect(await segmentsOf(handler)).toHaveLength(3);
    for (const [i, { id, bytes }] of many(1).entries()) {
      expect(id).toBe(`${i}`);
      sameBytes(await handler2.store.get({ ...group, id }), bytes);
    }
  });

  test("that rows were taken out of stay for the grace, however old they are, for who holds a location", async () => {
    const handler = await opened();
    const { store } = handler;
    const first = await store.append({ ...group, id: "a" }, noise(20_000, 1));
    await store.append({ ...group, id: "b" }, noise(20_000, 2));
    pass(50 * hour);
    expect((await store.compact()).rows).toMatchObject({ rowsWritten: 1 });
    expect(await store.verify()).toMatchObject({ faults: [], superseded: { segments: 2, bytes: expect.any(Number) } });

    for (const [later, freed] of [
      [minute, []],
      [80 * minute, []],
      [10 * minute, [first.segment]],
    ] as const) {
      const read = (await handler.another()).store.getAt({ tenant }, first);
      sameBytes(await read, noise(20_000, 1));
      pass(later);
      const report = await store.compact();
      expect(report.freed.map(({ segment }) => segment).filter((name) => name === first.segment)).toEqual(freed);
    }
    await expect((await handler.another()).store.getAt({ tenant }, first)).rejects.toMatchObject({
      code: "GONE",
    });
    sameBytes(await (await handler.another()).store.get({ ...group, id: "a" }), noise(20_000, 1));
    expect(await store.verify()).toMatchObject({ faults: [], superseded: { segments: 0 } });
  });

  test("and uploads that nothing names go alone, and their bytes are what is freed", async () => {
    const handler = await opened();
    const { store, place } = handler;
    const upload = async (id: string, body: Uint8Array) => {
      const shape = { bytes: body.length, sha256: createHash("sha256").update(body).digest("hex") };
      const begun = await store.beginUpload({ ...group, id }, shape);
      const { method, headers } = begun;
      expect((await fetch(begun.url, { method, headers, body: Uint8Array.from(body) })).status).toBe(200);
      return { ...shape, upload: begun.upload };
    };
    const large = (n: number) => noise(300_000 + n, n);
    await store.append({ ...group, id: "named" }, noise(20_000, 1));
    await store.commitUpload({ ...group, id: "upload" }, await upload("upload", large(2)));
    const named = await bytesOf(handler);
    for (const n of [3, 4, 5]) await orphan(place, `orphan ${n}`, noise(10_000 * n, n));
    for (const n of [6, 7]) await upload(`never committed ${n}`, large(n));
    const all = await bytesOf(handler);
    const orphans = [...all].filter(([key]) => !named.has(key));
    expect(orphans).toHaveLength(5);
    pass(23 * hour);
    await orphan(place, "young", noise(30_000, 8));
    await upload("young", large(9));
    expect(await store.compact()).toMatchObject({ freed: [], freedBytes: 0, rows: { uploadsFreed: 0 } });
    const spared = [...(await bytesOf(handler)).keys()].filter((key) => named.has(key) || !all.has(key));
    pass(2 * hour);

    const report = await store.compact();

    const segments = orphans.filter(([key]) => key.startsWith("segments/"));
    const freed = report.freed.map(({ segment, bytes }) => [`segments/acme/${segment}.seg`, bytes]);
    expect(Object.fromEntries(freed)).toEqual(Object.fromEntries(segments));
    expect(freed).toHaveLength(3);
    expect(report.rows?.uploadsFreed).toBe(2);
    expect(report.freedBytes).toBe(orphans.reduce((sum, [, bytes]) => sum + bytes, 0));
    expect(report.freedBytes).toBeGreaterThan(600_000 + 120_000);
    expect([...(await bytesOf(handler)).keys()].toSorted()).toEqual(spared.toSorted());
    sameBytes(await store.get({ ...group, id: "named" }), noise(20_000, 1));
    sameBytes(await store.get({ ...group, id: "upload" }), large(2));
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
    await store.append({ tenant, group: "g", id: "stays" }, noise(6000, 9));
    await store.append({ tenant, group: "g", id: "own" }, noise(700, 9), { expiresAt: Date.now() + 2 * day });
    // What it was kept by is told also of what was merged before it expires.
    pass(hour);
    expect(await store.compact()).toMatchObject({ pages: 1, expired: { payloads: 0, byRetention: {} } });
    pass(8 * day);
    const { expired } = await store.compact();

    const byRetention = { debug: { payloads: 20, bytes: 40_000 }, _own: { payloads: 1, bytes: 700 } };
    expect(expired).toEqual({ payloads: 21, bytes: 40_700, byRetention });
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

describe("fifty groups of four rows", () => {
  async function rowsOfFifty() {
    const handler = await opened();
    const groups = Array.from({ length: 50 }, (_, g) => ({ tenant, group: `g${g}` }));
    for (const id of ["0", "1", "2", "3"])
      await Promise.all(groups.map((each, g) => handler.store.append({ ...each, id }, prose(300, g + Number(id)))));
    pass(hour);
    // Also those that a condition refused: they cost as much.
    const written = (operation: "PutItem" | "DeleteItem") =>
      servers.dynamo.log.count({ operation, resource: handler.place.table, key: /^acme\// });
    return { ...handler, written };
  }

  test("are joined by a write of the index each, and each covered row is one delete more", async () => {
    const { store, written } = await rowsOfFifty();
    servers.dynamo.log.clear();

    const joined = await store.compact();
    const [putsOfJoin, deletesOfJoin] = [written("PutItem"), written("DeleteItem")];
    pass(2 * hour);
    const swept = await store.compact();
    pass(2 * hour);
    await store.compact();

    expect(joined.rows).toMatchObject({ groupsChanged: 50, rowsWritten: 50, rowsWaiting: 150, racesLost: 0 });
    expect(putsOfJoin).toBe(50);
    expect(deletesOfJoin).toBe(0);
    expect(swept.rows).toMatchObject({ groupsChanged: 50, rowsWritten: 0, rowsRemoved: 150 });
    // N03, of all runs that deal with them.
    expect(written("PutItem")).toBeLessThanOrEqual(2 * 50);
    expect(written("DeleteItem")).toBe(150);
  });
});

describe("a row that is missing", () => {
  test("keeps what it may name, is told by verify and by compaction, and serves again when it is restored", async () => {
    const handler = await opened();
    const { store, clients, place } = handler;
    for (const i of [1, 2, 3]) await store.append({ ...group, id: `${i}` }, noise(9000, i));
    await store.append({ tenant, group: "other", id: "a" }, noise(9000, 4));
    const Key = { pk: { S: "acme/g" }, sk: { N: "2" } };
    const { Item } = await clients.dynamo.send(new GetItemCommand({ TableName: place.table, Key }));
    await clients.dynamo.send(new DeleteItemCommand({ TableName: place.table, Key }));
    await store.deleteGroup({ tenant, group: "other" });

    const skipped = [
      { tenant, group: "g", segment: "", reason: expect.stringMatching(/^row 2 is missing of group "g": /) },
    ];
    for (let day = 0; day < 3; day++) {
      pass(26 * hour);
      expect(await store.compact()).toMatchObject({ skipped, complete: true });
    }
    expect((await store.verify()).faults).toContainEqual(
      expect.objectContaining({ kind: "damaged", reason: "row 2 is missing" }),
    );
    // What it cannot name goes as always.
    expect(await segmentsOf(handler)).toHaveLength(3);

    await clients.dynamo.send(new PutItemCommand({ TableName: place.table, Item }));
    const { store: other } = await handler.another();
    for (const i of [1, 2, 3]) sameBytes(await other.get({ ...group, id: `${i}` }), noise(9000, i));
    expect((await store.compact()).skipped).toEqual([]);
  });
});

describe("a pass whose budget ends", () => {
  const count = 12;

  /** Groups of two rows each, half of them in segments that are old enough to go if no row named them, and an orphan. */
  async function many() {
    const handler = await opened();
    const bodyOf = (g: number, i: number) => (g % 2 === 0 ? prose(300, 10 * g + i) : noise(9000, 10 * g + i));
    for (let g = 0; g < count; g++)
      for (const i of [0, 1]) await handler.store.append({ tenant, group: `g${g}`, id: `${i}` }, bodyOf(g, i));
    await orphan(handler.place, "orphan", noise(20_000, 1));
    pass(26 * hour);
    const expectWhole = async () => {
      const { store } = await handler.another();
      for (let g = 0; g < count; g++)
        for (const i of [0, 1]) sameBytes(await store.get({ tenant, group: `g${g}`, id: `${i}` }), bodyOf(g, i));
    };
    return { ...handler, expectWhole };
  }

  /** On a machine of whose time each look at the clock takes a millisecond. */
  function slowMachine() {
    let looks = 0;
    return { clock: { nowMs: () => Date.now() + looks++ } };
  }

  test.each<[string, CompactOptions]>([
    ["dollarsMax", { dollarsMax: 2.5 * listPrices.readUnit }],
    ["timeMsMax", { timeMsMax: 12 }],
  ])("by %s goes on behind it in the next run: each group is looked at once in all", async (_what, budget) => {
    const { place, expectWhole, clients } = await many();
    const reports: CompactionReport[] = [];
    do {
      // Each run is a process of its own: what goes on is in the table.
      const { store } = await openHandler(servers, place, { machine: slowMachine() });
      reports.push(await store.compact(budget));
      await expectWhole();
      pass(minute);
    } while (!reports.at(-1)!.complete && reports.length <= count);

    const sum = (of: (report: CompactionReport) => number) => reports.reduce((total, each) => total + of(each), 0);
    expect(reports.length).toBeGreaterThanOrEqual(3);
    expect(reports.map(({ complete }) => complete)).toEqual(reports.map((_, i) => i === reports.length - 1));
    expect(sum(({ rows }) => rows!.groups)).toBe(count);
    expect(sum(({ rows }) => rows!.rowsWritten)).toBe(count);
    // The pass as a whole judges what no row names: no segment of a group that an earlier run saw.
    expect(reports.map(({ freed }) => freed.length)).toEqual(reports.map(({ complete }) => (complete ? 1 : 0)));
    const { Items = [] } = await clients.dynamo.send(new ScanCommand({ TableName: place.table }));
    const lease = Items.filter(({ pk }) => pk?.S === "~compact");
    expect(lease.map(({ sk }) => sk?.N)).toEqual(["0"]);
  });
});

describe("a pass whose budget ends while segments are emptied", () => {
  /** Four segments, each with a group that stays and one that is deleted. */
  async function halfDead() {
    const handler = await opened();
    const bodyOf = (i: number) => noise(9000, i);
    for (const i of [0, 1, 2, 3]) {
      const put = (name: string) => handler.store.append({ tenant, group: `${name}-${i}`, id: "a" }, bodyOf(i));
      await Promise.all([put("stays"), put("goes")]);
    }
    expect(await segmentsOf(handler)).toHaveLength(4);
    for (const i of [0, 1, 2, 3]) await handler.store.deleteGroup({ tenant, group: `goes-${i}` });
    pass(26 * hour);
    const expectWhole = async () => {
      const { store } = await handler.another();
      for (const i of [0, 1, 2, 3]) sameBytes(await store.get({ tenant, group: `stays-${i}`, id: "a" }), bodyOf(i));
      expect((await store.verify()).faults).toEqual([]);
    };
    return { ...handler, expectWhole };
  }

  let late = 0;
  /** Time flies while a segment is emptied. */
  const machine = { clock: { nowMs: () => Date.now() + late } };
  const onProgress: CompactOptions["onProgress"] = ({ segments }) => {
    if (segments > 0) late += 10_000;
  };

  test.each<[string, CompactOptions]>([
    ["bytesMax", { bytesMax: 1 }],
    ["timeMsMax", { timeMsMax: 5000, onProgress }],
  ])("by %s goes on with the segments in the next run, and looks at no group again", async (_what, budget) => {
    const handler = await halfDead();
    const reports: CompactionReport[] = [];
    for (let run = 0; run < 5; run++) {
      const { store } = await openHandler(servers, handler.place, { machine });
      reports.push(await store.compact(budget));
      await handler.expectWhole();
      pass(minute);
    }

    // The fifth is another pass.
    expect(reports.map(({ rows }) => rows!.groups)).toEqual([8, 0, 0, 0, 8]);
    expect(reports.map(({ segments }) => segments.length)).toEqual([1, 1, 1, 1, 0]);
    expect(new Set(reports.flatMap(({ segments }) => segments.map(({ segment }) => segment))).size).toBe(4);
    for (let day = 0; day < 2; day++) {
      pass(26 * hour);
      await handler.store.compact();
      await handler.expectWhole();
    }
    expect(await segmentsOf(handler)).toHaveLength(4);
    expect(await keysOf(handler)).toEqual([0, 1, 2, 3].map((i) => `acme/stays-${i}#1`));
  });

  test("by requestsMax makes few more in each run, and ends all the same", async () => {
    const handler = await halfDead();
    const reports: CompactionReport[] = [];
    do {
      const { store } = await openHandler(servers, handler.place);
      servers.s3.log.clear();
      servers.dynamo.log.clear();
      reports.push(await store.compact({ requestsMax: 8 }));
      // The first deals with the groups that were deleted, which share segments.
      const most = reports.length === 1 ? 32 : 22;
      expect(servers.s3.log.count() + servers.dynamo.log.count()).toBeLessThan(most);
      await handler.expectWhole();
      pass(minute);
    } while (!reports.at(-1)!.complete && reports.length < 10);

    expect(reports.length).toBeGreaterThan(2);
    expect(reports.flatMap(({ segments }) => segments)).toHaveLength(4);
  });

  test("costs about what a dry run says, and what is counted is about what is asked for", async () => {
    const { store } = await halfDead();
    const told = (await store.compact({ dryRun: true })).rows!;
    servers.s3.log.clear();
    servers.dynamo.log.clear();

    const done = (await store.compact()).rows!;

    const asked = servers.s3.log.count() + servers.dynamo.log.count();
    expect(told.requests / done.requests).toBeGreaterThan(0.67);
    expect(told.requests / done.requests).toBeLessThan(1.5);
    expect(told.dollars / done.dollars).toBeGreaterThan(0.67);
    expect(told.dollars / done.dollars).toBeLessThan(1.5);
    expect(done.requests / asked).toBeGreaterThan(0.67);
    expect(done.requests / asked).toBeLessThan(1.5);
  });

  test("is begun anew once it went on for hours, and where it gets no further", async () => {
    const handler = await halfDead();
    const groups = async (options: CompactOptions) => (await handler.store.compact(options)).rows!.groups;
    expect(await groups({ bytesMax: 1 })).toBe(8);
    expect(await groups({ timeMsMax: 0 })).toBe(0);
    expect(await groups({ bytesMax: 1 })).toBe(8);
    pass(7 * hour);
    // It goes on once more, and is not gone on with after that.
    expect(await groups({ bytesMax: 1 })).toBe(0);
    expect(await groups({ bytesMax: 1 })).toBeGreaterThan(3);
    await handler.expectWhole();
  });
});

test("a pass that finds the place of its notes taken is begun anew, and removes nothing that it did not see named", async () => {
  const handler = await opened();
  const { store, clients, place } = handler;
  const groups = [0, 1, 2, 3, 4, 5].map((g) => ({ tenant, group: `g${g}` }));
  for (const [g, each] of groups.entries()) await store.append({ ...each, id: "a" }, noise(9000, g));
  pass(26 * hour);
  // What another pass left where the first token of this one writes: its lease was lost since.
  const notes = {
    pk: { S: "~compact" },
    sk: { N: "10001" },
    r: { B: new TextEncoder().encode("segments/acme/other 1") },
  };
  await clients.dynamo.send(new PutItemCommand({ TableName: place.table, Item: notes }));

  expect(await store.compact({ dollarsMax: 2.5 * listPrices.readUnit })).toMatchObject({ complete: false });
  pass(minute);
  const whole = await store.compact();

  expect(whole).toMatchObject({ complete: true, freed: [], rows: { groups: 6 } });
  for (const [g, each] of groups.entries()) sameBytes(await store.get({ ...each, id: "a" }), noise(9000, g));
});

test("a dry run tells what a run does, and neither puts nor removes anything", async () => {
  const handler = await opened();
  const { store, place } = handler;
  for (const id of ["a", "b", "c"]) await store.append({ ...group, id }, prose(300, 1));
  await store.append({ tenant, group: "segment", id: "a" }, noise(20_000, 1));
  await orphan(place, "orphan", noise(20_000, 2));
  pass(26 * hour);
  await store.erase({ ...group, ids: ["b"] });
  servers.s3.log.clear();
  servers.dynamo.log.clear();

  const told = await store.compact({ dryRun: true });

  const asked = [...servers.s3.log.entries(), ...servers.dynamo.log.entries()].map(({ operation }) => operation);
  const reads = ["ListObjectsV2", "GetObject", "HeadObject", "Scan", "Query", "GetItem", "BatchGetItem"];
  expect(asked.filter((operation) => !reads.includes(operation))).toEqual([]);
  expect(asked).toContain("Scan");
  expect(told.rows!.rowsWritten).toBeGreaterThan(0);
  expect(told.freed).toHaveLength(1);
  const done = await store.compact();
  expect(done.freed).toEqual(told.freed);
  expect(done.rows).toMatchObject({ rowsWritten: told.rows!.rowsWritten, groupsChanged: told.rows!.groupsChanged });
});

describe("a grace that is shorter than processes may be held up", () => {
  test.each([0, 35 * minute - 1, -1, Number.NaN])("is refused, and the least is named: %d ms", async (graceMs) => {
    const { store } = await opened();
    servers.dynamo.log.clear();

    await expect(store.compact({ graceMs })).rejects.toMatchObject({
      code: "INVALID",
      message: expect.stringContaining("2100 s at least"),
      details: { field: "graceMs", graceMs },
    });

    expect(servers.dynamo.log.count()).toBe(0);
    expect(await store.compact({ graceMs: 35 * minute })).toMatchObject({ complete: true });
  });
});
