import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import type { Attributes, Location } from "../../core/payload.ts";
import { collect, sameBytes } from "../conformance/expectations.ts";
import { noise, prose, text } from "../conformance/sample-bytes.ts";
import { freshPlaceOf, type Handler, openHandler, startFaultyServers } from "../support/aws/handlers.ts";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { openDisk } from "../../core/entries/disk.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { alike, restingBlocksOf, smallBases } from "../support/resting-blocks.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { type AwsOptions, listPrices } from "../../core/entries/aws.ts";
import type { AwsPlace } from "../support/aws/aws-under-test.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());

const tenant = "acme";
const group = "run-1";
const inGroup = { tenant, group };
const keyOf = (id: string) => ({ tenant, group, id });

/** What one call may ask for. What is not named is not asked. */
interface Asked {
  readonly requests: Readonly<Record<string, number>>;
  readonly readUnits?: number;
  readonly writeUnits?: number;
}

/** One write, or one query, of up to a unit. */
const write = { PutItem: 1 };
const query = { Query: 1 };

interface Opened extends Handler {
  readonly place: AwsPlace;
  /** Another process on the same place, that knows nothing yet. */
  readonly other: (options?: Partial<AwsOptions>) => Promise<Handler>;
}

async function opened(options: Partial<AwsOptions> = {}): Promise<Opened> {
  const place = await freshPlaceOf(servers);
  const handler = await openHandler(servers, place, options);
  return { ...handler, place, other: (more = {}) => openHandler(servers, place, { ...options, ...more }) };
}

/** Does it, and asserts what the servers were asked meanwhile, and that the handler's own meter says the same. */
async function costs<T>({ meter }: Handler, asked: Asked, work: () => Promise<T>): Promise<T> {
  servers.s3.log.clear();
  servers.dynamo.log.clear();
  meter.reset();

  const answer = await work();

  const dynamo = servers.dynamo.log.entries();
  const s3 = servers.s3.log.entries();
  const requests: Record<string, number> = {};
  for (const { operation } of [...s3, ...dynamo]) requests[operation] = (requests[operation] ?? 0) + 1;
  const units = (isWrite: boolean) =>
    dynamo
      .filter(({ operation }) => (operation === "PutItem") === isWrite)
      // DynamoDB bills a refused write like one that was not, and does not say so. All of them are short here.
      .reduce((sum, { capacityUnits, errorCode }) => sum + (capacityUnits ?? (errorCode ? 1 : 0)), 0);
  const seen = { requests, readUnits: units(false), writeUnits: units(true) };
  expect(seen.requests).toEqual(asked.requests);
  if (asked.readUnits !== undefined) expect(seen.readUnits).toBe(asked.readUnits);
  if (asked.writeUnits !== undefined) expect(seen.writeUnits).toBe(asked.writeUnits);
  const bytes = (operation: string, direction: "requestBytes" | "responseBytes") =>
    s3.filter((entry) => entry.operation === operation).reduce((sum, entry) => sum + entry[direction], 0);
  expect(meter.counts()).toEqual({
    ...seen,
    objectBytesIn: bytes("PutObject", "requestBytes"),
    objectBytesOut: bytes("GetObject", "responseBytes"),
  });
  return answer;
}

const small = prose(900, 1);
const batchOf = (count: number, bytes = 2000) =>
  Array.from({ length: count }, (_, i) => ({ id: `id-${i}`, bytes: prose(bytes, i) }));

describe("a segment that was copied from a folder", () => {
  test("is read with a GET more where a group's blocks rest on a base, once for all of them", async () => {
    const fs = new PowerLossFileSystem({ random: seededRandom(1) });
    const local = await openDisk({ directory: "/store" }, simulatedMachine(fs, 1));
    for (let i = 0; i < 20; i++)
      await local.appendMany(
        { tenant, group: `g${i}` },
        [0, 1, 2].map((n) => ({ id: `${n}`, bytes: alike(3 * i + n) })),
      );
    await local.compact({ graceMs: 0, mustGo: () => true, rules: smallBases });
    await local.close();
    const resting = await restingBlocksOf(fs, "/store");
    const at = resting.at(-1)!;
    const { place, store, clients, other } = await opened();
    const Key = `segments/${tenant}/${at.segment}.seg`;
    const Body = fs.readFile(`/store/${Key}`);
    await clients.s3.send(new PutObjectCommand({ Bucket: place.bucket, Key, Body }));
    await store.rebuildIndex();

    let withBase = 0;
    for (let i = 0; i < 20; i++) {
      const handler = await other();
      const group = { tenant, group: `g${i}` };
      const [first] = await collect(handler.store.list(group, { limit: 1 }));
      const rests = resting.some(({ offset }) => offset === first!.location.offset);
      if (rests) withBase += 1;
      const fresh = await other();
      const asked = { requests: { ...query, GetObject: rests ? 2 : 1 } };
      const read = await costs(fresh, asked, () => collect(fresh.store.contents(group)));
      expect(read.map(({ body }) => body)).toEqual([0, 1, 2].map((n) => alike(3 * i + n)));
    }
    expect(withBase).toBeGreaterThan(5);
  });
});

describe("an index that is made anew from a bucket", () => {
  test("takes a GET for each 8 MiB of a segment, however many groups lie in it", async () => {
    const fs = new PowerLossFileSystem({ random: seededRandom(1) });
    const local = await openDisk({ directory: "/store" }, simulatedMachine(fs, 1));
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 40; i++)
        await local.append({ tenant, group: `g${i}`, id: `${round}` }, noise(250_000, i), { codec: "none" });
    }
    await local.close();
    const { place, store, clients } = await opened();
    const files = fs.files().filter((file) => file.endsWith(".seg"));
    const bodies = files.map((file) => fs.readFile(file));
    for (const [i, file] of files.entries())
      await clients.s3.send(
        new PutObjectCommand({ Bucket: place.bucket, Key: file.replace("/store/", ""), Body: bodies[i]! }),
      );
    servers.s3.log.clear();

    expect(await store.rebuildIndex()).toMatchObject({ pages: 80, groups: 40, damage: [] });

    const chunks = bodies.reduce((sum, { length }) => sum + Math.ceil(length / 8_388_608), 0);
    expect(chunks).toBe(3);
    expect(servers.s3.log.count({ operation: "GetObject" })).toBe(chunks);
    sameBytes(await store.get({ tenant, group: "g39", id: "1" }), noise(250_000, 39));
  });
});

describe("a write asks for", () => {
  test("one write where the payload is small, in a group that is new or remembered", async () => {
    const handler = await opened();

    for (const id of ["first", "second", "third"]) {
      await costs(handler, { requests: write, readUnits: 0, writeUnits: 1 }, () =>
        handler.store.append(keyOf(id), small),
      );
    }
  });

  test("one PUT and one write for a batch of 100, in a group that is new or remembered", async () => {
    const handler = await opened();

    for (let round = 0; round < 3; round++) {
      const asked = { requests: { PutObject: 1, ...write }, readUnits: 0, writeUnits: 1 };
      await costs(handler, asked, () => handler.store.appendMany(inGroup, batchOf(100)));
    }
  });

  test("one PUT and one write of eight units for a batch of 1,000", async () => {
    const handler = await opened();

    const asked = { requests: { PutObject: 1, ...write }, readUnits: 0, writeUnits: 8 };
    await costs(handler, asked, () => handler.store.appendMany(inGroup, batchOf(1000)));
  });

  test("a refused write and a query more where the group exists and nobody here knows it", async () => {
    const first = await opened();
    await first.store.append(keyOf("first"), small);
    await first.store.append(keyOf("second"), small);

    const [one, many] = [await first.other(), await first.other()];
    const single = { requests: { PutItem: 2, Query: 1 }, readUnits: 1, writeUnits: 2 };
    await costs(one, single, () => one.store.append(keyOf("third"), small));
    await costs(one, { requests: write, writeUnits: 1 }, () => one.store.append(keyOf("fourth"), small));
    const batch = { requests: { PutObject: 1, PutItem: 2, Query: 1 }, readUnits: 1, writeUnits: 2 };
    await costs(many, batch, () => many.store.appendMany(inGroup, batchOf(100)));
  });

  test("a refused write more where another process wrote the group since", async () => {
    const first = await opened();
    const second = await first.other();
    await first.store.append(keyOf("a"), small);
    await second.store.has(keyOf("a"));
    await first.store.append(keyOf("b"), small);

    await costs(second, { requests: { PutItem: 2 }, readUnits: 0, writeUnits: 2 }, () =>
      second.store.append(keyOf("c"), small),
    );
  });

  test("nothing more where a read that began earlier ends later", async () => {
    const handler = await opened();
    await handler.store.append(keyOf("a"), small);
    const late = servers.dynamo.fault({
      kind: "hold",
      when: "after",
      operation: "Query",
      resource: handler.place.table,
    });
    const reading = handler.store.get(keyOf("a"));
    await late.struck;
    await handler.store.append(keyOf("b"), small);
    late.release();
    await reading;

    await costs(handler, { requests: write, writeUnits: 1 }, () => handler.store.append(keyOf("c"), small));
  });

  test("a query more where it depends on what is there", async () => {
    const handler = await opened();
    const { store } = handler;
    const asked = { requests: { ...query, ...write }, readUnits: 1, writeUnits: 1 };

    await costs(handler, asked, () => store.append(keyOf("a"), small, { ifAbsent: true }));
    await costs(handler, asked, () => store.append(keyOf("b"), small, { idempotencyKey: "k" }));
    await costs(handler, { requests: query, readUnits: 1 }, () =>
      store.append(keyOf("b"), small, { idempotencyKey: "k" }),
    );
    await costs(handler, { requests: query, readUnits: 1 }, () =>
      expect(store.append(keyOf("a"), small, { ifAbsent: true })).rejects.toMatchObject({ code: "EXISTS" }),
    );
    expect(await costs(handler, asked, () => store.delete(keyOf("a")))).toBe(true);
    expect(await costs(handler, { requests: query, readUnits: 1 }, () => store.delete(keyOf("a")))).toBe(false);
    expect(await costs(handler, asked, () => store.deleteGroup(inGroup))).toBe(1);
    expect(await costs(handler, { requests: query }, () => store.deleteGroup(inGroup))).toBe(0);
    const both = { requests: { Query: 2, ...write }, writeUnits: 1 };
    await costs(handler, both, () => store.append(keyOf("c"), small, { ifAbsent: true, idempotencyKey: "l" }));
  });

  test("a query and no GET where it depends on what lies in segments", async () => {
    const handler = await opened();
    const { store } = handler;
    await store.appendMany(inGroup, batchOf(100), { idempotencyKey: "batch" });
    const asked = { requests: { ...query, ...write }, readUnits: 1, writeUnits: 1 };

    await costs(handler, { requests: query }, () =>
      expect(store.append(keyOf("id-1"), small, { ifAbsent: true })).rejects.toMatchObject({ code: "EXISTS" }),
    );
    await costs(handler, asked, () => store.append(keyOf("new"), small, { ifAbsent: true }));
    expect(await costs(handler, asked, () => store.delete(keyOf("id-1")))).toBe(true);
    expect(await costs(handler, asked, () => store.deleteGroup(inGroup))).toBe(100);
  });

  test("a PUT for all that come while two are under way", async () => {
    const handler = await opened();
    const long = (i: number) => handler.store.append({ tenant, group: `g${i}`, id: "a" }, noise(9000, i));
    const held = servers.s3.fault({
      kind: "hold",
      when: "before",
      operation: "PutObject",
      resource: handler.place.bucket,
      times: 2,
    });
    await costs(handler, { requests: { PutObject: 3, PutItem: 41 } }, async () => {
      const first = [];
      for (let i = 0; i < 40; i++) {
        first.push(long(i));
        await nextTurn();
      }
      // What needs no segment waits for none.
      await handler.store.append(keyOf("short"), small);
      held.release();
      await Promise.all(first);
    });
  });

  test("a write more for each value of an indexed attribute that is new in its group", async () => {
    const handler = await opened({ indexedAttributes: ["user", "model"] });
    const { store } = handler;
    const put = (id: string, attributes: Attributes, at = group) =>
      store.append({ tenant, group: at, id }, small, { attributes });
    const rows = (count: number) => ({ requests: { PutItem: count }, readUnits: 0, writeUnits: count });

    await costs(handler, rows(1), () => store.append(keyOf("none"), small));
    await costs(handler, rows(1), () => put("other", { step: "1" }));
    await costs(handler, rows(3), () => put("a", { user: "u1", model: "m1", step: "1" }));
    await costs(handler, rows(1), () => put("b", { user: "u1", model: "m1", step: "2" }));
    await costs(handler, rows(2), () => put("c", { user: "u1", model: "m2" }));
    await costs(handler, rows(3), () => put("a", { user: "u1", model: "m1" }, "another group"));
    const users = batchOf(100).map((item, i) => ({ ...item, attributes: { user: `u${i % 3}`, step: `${i}` } }));
    const batch = { requests: { PutObject: 1, PutItem: 3 }, readUnits: 0, writeUnits: 3 };
    await costs(handler, batch, () => store.appendMany(inGroup, users));

    const other = await handler.other();
    const again = { requests: { PutItem: 3, Query: 1 }, writeUnits: 3 };
    await costs(other, again, () => other.store.append(keyOf("d"), small, { attributes: { user: "u1" } }));
  });

  test("at most one PUT and a write a group for a batch over 100 groups", async () => {
    const handler = await opened();
    const intoGroups = (bytes: number) => () =>
      Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          handler.store.append({ tenant, group: `g${bytes}-${i}`, id: "a" }, noise(bytes, i)),
        ),
      );

    await costs(handler, { requests: { PutItem: 100 }, writeUnits: 100 }, intoGroups(700));
    await costs(handler, { requests: { PutItem: 100, PutObject: 1 }, writeUnits: 100 }, intoGroups(1200));
  });
});

describe("a read asks for", () => {
  test("one query where the payload is inline, where there is none, and for has", async () => {
    const handler = await opened();
    await handler.store.append(keyOf("a"), small);
    const { store } = handler;
    const one = { requests: query, readUnits: 1, writeUnits: 0 };

    sameBytes(await costs(handler, one, () => store.get(keyOf("a"))), small);
    expect(await costs(handler, one, () => store.get(keyOf("missing")))).toBeUndefined();
    expect(await costs(handler, { requests: query }, () => store.get({ ...inGroup, group: "none", id: "a" }))).toBe(
      undefined,
    );
    expect(await costs(handler, one, () => store.has(keyOf("a")))).toBe(true);
    expect(await costs(handler, one, () => store.has(keyOf("missing")))).toBe(false);
    await costs(handler, one, () => store.head(keyOf("a")));
  });

  test.each([
    ["the row keeps the head", 1],
    ["the row keeps hashes", 100],
  ])("one query and one GET where the payload lies in a segment and %s", async (_what, payloads) => {
    const first = await opened({ placement: "segments" });
    await first.store.appendMany(inGroup, batchOf(payloads));
    const get = { requests: { ...query, GetObject: 1 }, readUnits: 1, writeUnits: 0 };

    const reader = await first.other();
    const last = `id-${payloads - 1}`;
    sameBytes(await costs(reader, get, () => reader.store.get(keyOf(last))), prose(2000, payloads - 1));
    // What was read is kept, and never stale.
    await costs(reader, { requests: query }, () => reader.store.get(keyOf(last)));
    for (const id of [last, "missing"]) {
      const other = await first.other();
      await costs(other, { requests: query, readUnits: 1 }, () => other.store.has(keyOf(id)));
    }
    const other = await first.other();
    await costs(other, { requests: query, readUnits: 1 }, () => other.store.get(keyOf("missing")));
  });

  test("one GET for a long payload, and one more where its batch is long", async () => {
    const first = await opened();
    const long = noise(3 * 1024 * 1024, 1);
    await first.store.append(keyOf("alone"), long);
    await first.store.appendMany(
      { tenant, group: "many" },
      Array.from({ length: 200 }, (_, i) => ({ id: `id-${i}`, bytes: noise(8000, i) })),
    );

    const reader = await first.other();
    const asked = { requests: { ...query, GetObject: 1 }, readUnits: 1 };
    sameBytes(await costs(reader, asked, () => reader.store.get(keyOf("alone"))), long);
    const behind = { requests: { ...query, GetObject: 2 }, readUnits: 1 };
    await costs(reader, behind, () => reader.store.get({ tenant, group: "many", id: "id-199" }));
  });

  test("a query for an attribute, and one for each group that has had it", async () => {
    const first = await opened({ indexedAttributes: ["user", "model"] });
    for (let i = 0; i < 6; i++) {
      const attributes = { user: i < 2 ? "rare" : "common", model: "m1", step: `${i}` };
      await first.store.append({ tenant, group: `g${i}`, id: "a" }, small, { attributes });
    }
    const { store } = first;
    const asked = (queries: number) => ({ requests: { Query: queries }, readUnits: queries, writeUnits: 0 });
    const find = (where: Attributes, limit = Infinity) => collect(store.find({ tenant, where }, { limit }));

    expect(await costs(first, asked(1), () => find({ user: "nobody" }))).toEqual([]);
    expect(await costs(first, asked(3), () => find({ user: "rare" }))).toHaveLength(2);
    expect(await costs(first, asked(3), () => find({ user: "rare", step: "0" }))).toHaveLength(1);
    // Of two that are indexed, the one with fewer groups is walked.
    expect(await costs(first, asked(2 + 2), () => find({ model: "m1", user: "rare" }))).toHaveLength(2);
    expect(await costs(first, asked(2), () => find({ model: "m1" }, 1))).toHaveLength(1);
  });

  test("no query and one GET by location, and one row where that holds the payload", async () => {
    const first = await opened();
    const inline = await first.store.append(keyOf("inline"), small);
    const batch = await first.store.appendMany(inGroup, batchOf(100));

    const reader = await first.other();
    const at = (location: Location | undefined) => reader.store.getAt({ tenant }, location!);
    sameBytes(await costs(reader, { requests: { GetObject: 1 } }, () => at(batch[40])), prose(2000, 40));
    sameBytes(await costs(reader, { requests: { GetItem: 1 }, readUnits: 1 }, () => at(inline)), small);
  });

  test("one query and coalesced GETs for a group of 1,000 that one commit made", async () => {
    const first = await opened();
    const items = batchOf(1000, 500);
    await first.store.appendMany(inGroup, items);
    // 1,000 hashes of 8 bytes are two units of 4 KB.
    const asked = { requests: { ...query, GetObject: 1 }, readUnits: 2 };

    await eachWay(first, items, asked);
  });

  test("one query and a GET a commit for a group of 1,000 that ten commits made", async () => {
    const first = await opened();
    const items = batchOf(1000, 500);
    for (let from = 0; from < 1000; from += 100) await first.store.appendMany(inGroup, items.slice(from, from + 100));

    await eachWay(first, items, { requests: { ...query, GetObject: 10 } });
  });

  test("a query a MB, and no GET, for a group whose rows keep more than that", async () => {
    const first = await opened({ prices: { ...listPrices, objectPut: 1 } });
    const items = Array.from({ length: 12 }, (_, i) => ({ id: `id-${i}`, bytes: noise(100_000, i) }));
    for (const { id, bytes } of items) await first.store.append(keyOf(id), bytes);

    await eachWay(first, items, { requests: { Query: 2 } });
  });

  /** Lists, reads and picks all of a group, as three processes that know nothing. */
  async function eachWay(first: Opened, items: readonly { id: string; bytes: Uint8Array }[], asked: Asked) {
    const [lists, reads, picks] = [await first.other(), await first.other(), await first.other()];

    const listed = await costs(lists, asked, () => collect(lists.store.list(inGroup)));
    const read = await costs(reads, asked, () => collect(reads.store.contents(inGroup)));
    const ids = items.map(({ id }) => id);
    const picked = await costs(picks, asked, () => picks.store.getMany(inGroup, [...ids.toReversed(), "missing"]));

    expect(listed.map(({ id }) => id)).toEqual(ids);
    for (const [i, { bytes }] of items.entries()) {
      sameBytes(read[i]?.body, bytes);
      sameBytes(picked[items.length - 1 - i], bytes);
    }
    expect(picked.at(-1)).toBeUndefined();
  }
});

describe("opening asks for", () => {
  test("one HEAD and one read; a write and a read more where the table is new", async () => {
    const place = await freshPlaceOf(servers);

    for (const requests of [
      { GetItem: 2, PutItem: 1, HeadBucket: 1 },
      { GetItem: 1, HeadBucket: 1 },
    ]) {
      servers.s3.log.clear();
      servers.dynamo.log.clear();
      const { meter } = await openHandler(servers, place);
      expect(meter.counts().requests).toEqual(requests);
      expect(servers.dynamo.log.count() + servers.s3.log.count()).toBe(
        Object.values(requests).reduce((sum, count) => sum + count, 0),
      );
    }
  });
});

describe("a meter", () => {
  test("counts each try, and bills a refused write as the longer of the two rows", async () => {
    const first = await opened();
    await first.store.append(keyOf("long"), noise(3000, 1));
    const second = await first.other();
    servers.dynamo.fault({ kind: "internal-error", operation: "Query", resource: first.place.table });

    second.meter.reset();
    await second.store.append(keyOf("short"), small);

    const { requests, writeUnits, readUnits } = second.meter.counts();
    expect(requests).toEqual({ PutItem: 2, Query: 2 });
    expect({ writeUnits, readUnits }).toEqual({ writeUnits: 4 + 1, readUnits: 1 });
  });
});

test("none of it lists objects, and only looking at the whole store scans the table", async () => {
  const handler = await opened();
  const text900 = text("x".repeat(900));
  await handler.store.append(keyOf("a"), text900);
  handler.meter.reset();
  await handler.store.stats({ tenant });
  await collect(handler.store.groups({ tenant }));

  expect(handler.meter.counts().requests).toEqual({ Scan: 2 });
});
