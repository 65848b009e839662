import { createHash } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { DeleteItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test, vi } from "vitest";
import { openClient } from "../../core/entries/client.ts";
import type { ErasureSelector } from "../../core/erasure/erasure.ts";
import { listPrices } from "../../core/placement.ts";
import { createApp } from "../../functions/app.ts";
import { noise, text } from "../conformance/sample-bytes.ts";
import {
  expectKept,
  filled,
  secret,
  tenant,
  traces,
  untilGone,
  victims,
  withSecret,
} from "../support/aws/erased-store.ts";
import { type AwsPlace, portsAt } from "../support/aws/aws-under-test.ts";
import { freshPlaceOf, type Handler, type HandlerOptions, openHandler } from "../support/aws/handlers.ts";
import { hour, startWithMovedClock } from "../support/aws/moved-clock.ts";

const clock = await startWithMovedClock();
afterAll(clock.close);
const { servers, pass } = clock;

/** On a machine that is busy with other things. */
const patience = { timeout: 10_000 } as const;

const oneTry: HandlerOptions = { s3Config: { maxAttempts: 1 }, dynamoConfig: { maxAttempts: 1 } };

const selectors: readonly (readonly [
  how: string,
  selectorOf: (of: { fromMs: number; toMs: number }) => ErasureSelector,
])[] = [
  ["by id", () => ({ group: "victim", ids: ["a", "b", "c"] })],
  ["by group and attribute", () => ({ group: "victim", where: { subject: "u-1" } })],
  ["by attribute", () => ({ where: { subject: "u-1" } })],
];

describe("an erasure on S3 and DynamoDB", () => {
  test.each(selectors)("%s leaves no trace, and all others as they were", async (_how, selectorOf) => {
    const of = await filled(clock);
    const { store } = of.handler;
    expect((await traces(of.handler, of.place)).length).toBeGreaterThan(2);

    const asked = await store.erase({ tenant, ...selectorOf(of) });

    expect(asked).toMatchObject({ state: "hidden", payloads: 3 });
    for (const { id } of victims) expect(await store.has({ tenant, group: "victim", id })).toBe(false);
    const states = new Set<string>();
    const hours = await untilGone(clock, store, async () => {
      const erasure = await store.erasure({ tenant, erasure: asked.id });
      states.add(erasure!.state);
      if (erasure!.state === "gone") expect(await traces(of.handler, of.place)).toEqual([]);
    });
    expect([...states]).toEqual(["compacting", "waiting", "gone"]);
    // Orphans of a failed append could have held it: they go when they are a day old.
    expect(hours).toBeLessThanOrEqual(30);
    const { segments, successors, goneMs } = (await store.erasure({ tenant, erasure: asked.id }))!;
    expect(goneMs).toBeGreaterThan(asked.requestedMs);
    expect(segments.length).toBeGreaterThan(0);
    for (const { sha256, state } of segments) {
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(state).toBe("gone");
    }
    for (const { sha256 } of successors) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    await expectKept((await openHandler(servers, of.place)).store, of.kept);
    expect((await store.verify()).faults).toEqual([]);
  });

  test("of a group, of a time, and of everything leaves no trace either", async () => {
    const of = await filled(clock);
    const { store } = of.handler;
    await store.append({ tenant: "other", group: "g", id: "a" }, text("stays"));
    await store.erase({ tenant, fromMs: of.fromMs, toMs: of.toMs });
    // What is younger than the time is not meant, what was before it neither.
    const left = (await store.getMany({ tenant, group: "victim" }, ["a", "b", "c"])).map(
      (bytes) => bytes !== undefined,
    );
    expect(left).toEqual([false, false, true]);
    await store.erase({ tenant, group: "victim" });
    await untilGone(clock, store);
    expect(await traces(of.handler, of.place)).toEqual([]);
    const stays = new Map([...of.kept].filter(([name]) => !name.startsWith("victim")));
    await expectKept(store, stays);

    const { payloads } = await store.erase({ tenant, everything: true });
    await untilGone(clock, store);

    expect(payloads).toBe(stays.size);
    const { Contents = [] } = await of.handler.clients.s3.send(
      new ListObjectsV2Command({ Bucket: of.place.bucket, Prefix: `segments/${tenant}/` }),
    );
    expect(Contents).toEqual([]);
    expect(await store.has({ tenant: "other", group: "g", id: "a" })).toBe(true);
  });

  test("is told over HTTP and by the client as in a folder", async () => {
    const of = await filled(clock);
    const app = createApp(of.handler.store);
    const client = openClient({
      url: "http://paylode.test",
      tenant,
      fetch: (url, init) => app.request(url, init),
    });
    const body = JSON.stringify({ group: "victim", ids: ["a", "b", "c", "never"] });

    const asked = await app.request(`/v1/${tenant}/erasures`, { method: "POST", body });
    const { erasure, ...hidden } = (await asked.json()) as { erasure: string };
    await untilGone(clock, of.handler.store);
    const gone = await app.request(asked.headers.get("location")!);

    expect(asked.status).toBe(202);
    expect(hidden).toMatchObject({ state: "hidden", payloads: 3, unknown: ["never"], segments: [], successors: [] });
    const segments = expect.arrayContaining([expect.objectContaining({ state: "gone" })]);
    expect(await gone.json()).toMatchObject({ erasure, state: "gone", gone: expect.any(String), segments });
    expect(await client.erasure(erasure)).toMatchObject({ id: erasure, state: "gone", payloads: 3 });
  });

  test("waits for what an append left that failed after its segment was stored", async () => {
    const of = await filled(clock);
    servers.dynamo.fault({ kind: "throughput-exceeded", operation: "PutItem", resource: of.place.table });
    const failing = await openHandler(servers, of.place, oneTry);
    const batch = [0, 1, 2, 3].map((i) => ({
      id: `${i}`,
      bytes: text(`${secret} ${Buffer.from(noise(2000, i)).toString("hex")}`),
    }));
    const appending = failing.store.appendMany({ tenant, group: "victim" }, batch);
    await expect(appending).rejects.toMatchObject({ code: "UNAVAILABLE" });

    await of.handler.store.erase({ tenant, group: "victim", ids: ["a", "b", "c"] });
    const hours = await untilGone(clock, of.handler.store);

    expect(await traces(of.handler, of.place)).toEqual([]);
    expect(hours).toBeGreaterThanOrEqual(24);
  });

  test("of what lies in rows alone is not gone while a row has it that another stands for", async () => {
    const place = await freshPlaceOf(servers);
    const handler = await openHandler(servers, place);
    const { store } = handler;
    // The rows of both are joined, so that the first is another's at once, and the second is only passed over.
    for (const [i, id] of ["a", "b"].entries()) await store.append({ tenant, group: "victim", id }, withSecret(i));
    await store.append({ tenant, group: "victim", id: "stays" }, text("stays"));
    pass(hour);
    expect((await traces(handler, place)).toSorted()).toEqual([`${tenant}/victim#1`, `${tenant}/victim#2`]);

    await store.erase({ tenant, group: "victim", ids: ["a", "b"] });
    const states: string[] = [];
    await untilGone(
      clock,
      store,
      async () => {
        const [erasure] = await store.erasures({ tenant });
        states.push(erasure!.state);
        if (erasure!.state === "gone") expect(await traces(handler, place)).toEqual([]);
      },
      1 / 3,
    );

    expect([...new Set(states)]).toEqual(["compacting", "waiting", "gone"]);
    expect(await store.get({ tenant, group: "victim", id: "stays" })).toEqual(text("stays"));
  });

  test("of ids that were deleted before takes what is left of them, and tells that they are unknown", async () => {
    const of = await filled(clock);
    const { store } = of.handler;
    for (const { id } of victims) await store.delete({ tenant, group: "victim", id });
    for (let i = 0; i < 3; i++) {
      pass(3 * hour);
      await store.compact();
    }
    expect(await traces(of.handler, of.place)).not.toEqual([]);

    const asked = await store.erase({ tenant, group: "victim", ids: ["a", "b", "c"] });
    await untilGone(clock, store);

    expect(asked).toMatchObject({ payloads: 0, unknown: ["a", "b", "c"] });
    expect(await traces(of.handler, of.place)).toEqual([]);
    await expectKept(store, of.kept);
  });

  test("takes what was overwritten in rows that nothing else would write again", async () => {
    const place = await freshPlaceOf(servers);
    const handler = await openHandler(servers, place);
    const { store } = handler;
    const items = Array.from({ length: 20 }, (_, i) => ({ id: `${i}`, bytes: noise(3000, i) }));
    await store.appendMany({ tenant, group: "g" }, [...items, { id: "a", bytes: withSecret(1) }]);
    await store.append({ tenant, group: "g", id: "a" }, text("another version"));
    for (let day = 0; day < 3; day++) {
      pass(26 * hour);
      await store.compact();
    }
    expect(await traces(handler, place)).not.toEqual([]);

    await store.erase({ tenant, where: { subject: "nobody" } });
    await untilGone(clock, store);

    expect(await traces(handler, place)).toEqual([]);
    await expectKept(
      store,
      new Map([...items, { id: "a", bytes: text("another version") }].map(({ id, bytes }) => [`g ${id}`, bytes])),
    );
  });

  test("is gone without a trace also where each run has room for one segment, and goes on with the pass before", async () => {
    const of = await filled(clock);
    const { store } = of.handler;
    // Segments that are mostly alive, so that nothing but the erasure empties them.
    const attributes = { subject: "u-1" };
    for (let i = 0; i < 4; i++) {
      const payload = Buffer.concat([withSecret(50 + i), noise(4000, i)]);
      await Promise.all([
        store.append({ tenant, group: `small-${i}`, id: "a" }, payload, { attributes }),
        store.append({ tenant, group: `large-${i}`, id: "a" }, noise(40_000, 50 + i)),
      ]);
    }
    const kept = new Map(of.kept);
    for (let i = 0; i < 4; i++) kept.set(`large-${i} a`, noise(40_000, 50 + i));
    const asked = await store.erase({ tenant, where: { subject: "u-1" } });
    let wentOn = 0;
    let state: string | undefined;
    for (let hours = 0; state !== "gone"; hours++) {
      expect(hours).toBeLessThan(80);
      pass(hour);
      const { rows, segments } = await store.compact({ bytesMax: 50_000 });
      if (rows!.groups === 0 && segments.length > 0) wentOn += 1;
      ({ state } = (await store.erasure({ tenant, erasure: asked.id }))!);
    }

    expect(wentOn).toBeGreaterThan(0);
    expect(await traces(of.handler, of.place)).toEqual([]);
    await expectKept((await openHandler(servers, of.place)).store, kept);
  });

  /** Changes a row in the table, as damage does. */
  async function damageRow({ clients: { dynamo } }: Handler, { table }: AwsPlace, group: string): Promise<void> {
    const Item = { pk: { S: `${tenant}/${group}` }, sk: { N: "1" }, r: { B: text("not what was stored") } };
    await dynamo.send(new PutItemCommand({ TableName: table, Item }));
  }

  /** What an operator does where there is no copy of it. */
  async function removeRow({ clients: { dynamo } }: Handler, { table }: AwsPlace, group: string): Promise<void> {
    const Key = { pk: { S: `${tenant}/${group}` }, sk: { N: "1" } };
    await dynamo.send(new DeleteItemCommand({ TableName: table, Key }));
  }

  const damaged = /^row 1 cannot be read \(.+\) of group "damaged": restore it .* remove the rows of its group by hand/;

  test("is not gone while a row that may hold it cannot be read, and says which and what to do", async () => {
    const of = await filled(clock);
    const { store } = of.handler;
    await store.append({ tenant, group: "damaged", id: "a" }, text("nobody's"));
    const { id } = await store.erase({ tenant, where: { subject: "u-1" } });
    const inGroup = await store.erase({ tenant, group: "victim", ids: ["a", "b", "c"] });
    await damageRow(of.handler, of.place, "damaged");
    for (let day = 0; day < 3; day++) {
      pass(26 * hour);
      await store.compact();
    }
    pass(26 * hour);
    const report = await store.compact();

    expect(report.skipped).toEqual([{ tenant, group: "damaged", segment: "", reason: expect.stringMatching(damaged) }]);
    expect(await store.erasure({ tenant, erasure: id })).toMatchObject({
      state: "compacting",
      reason: expect.stringMatching(damaged),
    });
    // No row of another group has any of it, and no segment with its frames has one of the group that is damaged.
    expect(await store.erasure({ tenant, erasure: inGroup.id })).toMatchObject({ state: "gone" });
    expect(await traces(of.handler, of.place)).toEqual([]);
    await removeRow(of.handler, of.place, "damaged");
    await untilGone(clock, store);
  });

  test("of another group is gone as well where each pass takes several runs", async () => {
    const of = await filled(clock);
    const { store } = of.handler;
    // Wherever a run ends: some are before and some behind it.
    const groups = Array.from({ length: 8 }, (_, i) => `damaged-${i}`);
    for (const group of groups) await store.append({ tenant, group, id: "a" }, text("nobody's"));
    const inGroup = await store.erase({ tenant, group: "victim", ids: ["a", "b", "c"] });
    const byTime = await store.erase({ tenant, toMs: 1 });
    for (const group of groups) await damageRow(of.handler, of.place, group);
    let found: readonly { readonly group?: string | undefined }[] = [];
    for (let day = 0; day < 5; day++) {
      pass(26 * hour);
      const first = await store.compact({ dollarsMax: 7.5 * listPrices.readUnit });
      const second = await (await openHandler(servers, of.place)).store.compact();
      expect([first, second]).toMatchObject([{ complete: false }, { complete: true }]);
      found = second.skipped;
      expect(second.rows!.groups).toBeLessThan(groups.length + 3);
    }

    expect(new Set(found.map(({ group }) => group))).toEqual(new Set(groups));
    expect(await store.erasure({ tenant, erasure: inGroup.id })).toMatchObject({ state: "gone" });
    expect(await traces(of.handler, of.place)).toEqual([]);
    // A row that cannot be read may be of any time.
    expect(await store.erasure({ tenant, erasure: byTime.id })).toMatchObject({
      state: "compacting",
      reason: expect.stringMatching(/^row 1 cannot be read .+ of group "damaged-\d", and rows of 7 groups more/),
    });
    for (const group of groups) await removeRow(of.handler, of.place, group);
    await untilGone(clock, store);
  });

  test("of all groups hides what it can where one cannot be read, says so in its receipt, and is gone on with", async () => {
    const of = await filled(clock);
    const { store } = of.handler;
    await store.append({ tenant, group: "damaged", id: "a" }, text("nobody's"));
    await damageRow(of.handler, of.place, "damaged");

    await expect(store.erase({ tenant, where: { subject: "u-1" } })).rejects.toMatchObject({ code: "CORRUPT" });

    const [asked] = await store.erasures({ tenant });
    expect(asked).toMatchObject({ state: "hiding", payloads: 3, reason: expect.stringContaining("damaged") });
    expect(asked!.reason).toContain("run `paylode verify`");
    for (const { id } of victims) expect(await store.has({ tenant, group: "victim", id })).toBe(false);
    await removeRow(of.handler, of.place, "damaged");
    await untilGone(clock, store);
    expect((await store.erasure({ tenant, erasure: asked!.id }))!.reason).toBeUndefined();
    expect(await traces(of.handler, of.place)).toEqual([]);
  });

  test("waits for segments that a row which cannot be read may name, for these alone, and says why", async () => {
    const place = await freshPlaceOf(servers);
    const handler = await openHandler(servers, place);
    const { store } = handler;
    const long = (i: number) => Buffer.concat([withSecret(i), noise(9000, i)]);
    // One segment for both, and one for the victim alone.
    await Promise.all([
      store.append({ tenant, group: "damaged", id: "a" }, noise(9000, 1)),
      store.append({ tenant, group: "victim", id: "a" }, long(2)),
    ]);
    await store.append({ tenant, group: "victim", id: "b" }, long(3));
    await damageRow(handler, place, "damaged");

    const { id } = await store.erase({ tenant, group: "victim" });
    for (let day = 0; day < 4; day++) {
      pass(26 * hour);
      await store.compact();
    }

    const erasure = (await store.erasure({ tenant, erasure: id }))!;
    expect(erasure).toMatchObject({ state: "waiting", reason: expect.stringMatching(damaged) });
    expect(await traces(handler, place)).toHaveLength(1);
    await removeRow(handler, place, "damaged");
    await untilGone(clock, store);
    expect(await traces(handler, place)).toEqual([]);
    expect((await store.erasure({ tenant, erasure: id }))!.reason).toBeUndefined();
  });
});

describe("a segment that holds the page of an upload", () => {
  test("is emptied like others: the page moves, the upload stays, and the erasure is gone", async () => {
    const place = await freshPlaceOf(servers);
    const handler = await openHandler(servers, place);
    const { store, clients } = handler;
    const artifact = { tenant, group: "run", id: "artifact" };
    const body = noise(5_000_000, 1);
    const shape = { bytes: body.length, sha256: createHash("sha256").update(body).digest("hex") };
    const { upload, url, method, headers } = await store.beginUpload(artifact, shape);
    await fetch(url, { method, headers, body: body as Uint8Array<ArrayBuffer> });
    await store.append({ tenant, group: "run", id: "before" }, noise(3000, 7));
    // While two segments are being put, what comes shares the next one.
    const puts = () => servers.s3.log.count({ operation: "PutObject", key: /^segments/, resource: place.bucket });
    const busy = servers.s3.fault({ kind: "hold", operation: "PutObject", key: /^segments/, times: 2 });
    const count = puts();
    const others: Promise<unknown>[] = [];
    for (const i of [1, 2]) {
      others.push(store.append({ tenant, group: `other-${i}`, id: "a" }, noise(9000, i)));
      await vi.waitFor(() => expect(puts()).toBe(count + i), patience);
    }
    const payload = Buffer.concat([withSecret(1), noise(9000, 3)]);
    others.push(store.append({ tenant, group: "victim", id: "a" }, payload));
    const committing = store.commitUpload(artifact, { upload, ...shape });
    await vi.waitFor(
      () => expect(servers.s3.log.count({ key: `uploads/${tenant}/${upload}` })).toBeGreaterThan(2),
      patience,
    );
    // It is compared with its SHA-256, and then waits with the others.
    await setTimeout(500);
    busy.release();
    await Promise.all(others);
    const location = await committing;
    const [held] = await segmentsWith(handler, place, "victim");
    expect(await segmentsWith(handler, place, "run")).toContain(held);

    const { id } = await store.erase({ tenant, group: "victim" });
    await untilGone(clock, store);

    expect(await store.erasure({ tenant, erasure: id })).toMatchObject({ state: "gone", payloads: 1 });
    expect(await segmentsWith(handler, place, "run")).not.toContain(held);
    expect(await traces(handler, place)).toEqual([]);
    const other = (await openHandler(servers, place)).store;
    expect(Buffer.from((await other.get(artifact))!).equals(body)).toBe(true);
    expect(Buffer.from(await other.getAt(artifact, location)).equals(body)).toBe(true);
    expect((await other.verify()).faults).toEqual([]);
    // Its page, which has moved, goes as any other, and the upload with it.
    await other.delete(artifact);
    await other.erase({ tenant, group: "run", ids: ["artifact"] });
    await untilGone(clock, other);
    const { Contents = [] } = await clients.s3.send(
      new ListObjectsV2Command({ Bucket: place.bucket, Prefix: "uploads/" }),
    );
    expect(Contents).toEqual([]);
  });

  async function segmentsWith({ clients }: Handler, { bucket, table }: AwsPlace, group: string): Promise<string[]> {
    const { segments } = portsAt({ s3: servers.s3, dynamo: servers.dynamo, clients }, { bucket, table });
    const found: string[] = [];
    for (const { segment } of await segments.segments()) {
      const { frames } = await segments.scan(tenant, segment);
      if (frames.some((frame) => frame.group === group && frame.kind === "payloads")) found.push(segment);
    }
    return found;
  }
});
