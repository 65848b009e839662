import { DeleteItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import { afterAll, describe, expect, test } from "vitest";
import { openClient } from "../../core/entries/client.ts";
import type { ErasureSelector } from "../../core/erasure/erasure.ts";
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
import { freshPlaceOf, type HandlerOptions, openHandler } from "../support/aws/handlers.ts";
import { hour, startWithMovedClock } from "../support/aws/moved-clock.ts";

const clock = await startWithMovedClock();
afterAll(clock.close);
const { servers, pass } = clock;

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

  test("is not gone while a row that may hold it cannot be read, and says why", async () => {
    const of = await filled(clock);
    const { store } = of.handler;
    await store.append({ tenant, group: "damaged", id: "a" }, withSecret(1));
    await of.handler.clients.dynamo.send(
      new PutItemCommand({
        TableName: of.place.table,
        Item: { pk: { S: `${tenant}/damaged` }, sk: { N: "1" }, r: { B: withSecret(2) } },
      }),
    );

    const { id } = await store.erase({ tenant, group: "victim", ids: ["a", "b", "c"] });
    for (let day = 0; day < 4; day++) {
      pass(26 * hour);
      await store.compact();
    }

    const erasure = await store.erasure({ tenant, erasure: id });
    expect(erasure).toMatchObject({ state: "compacting", reason: "some rows cannot be read: verify names them" });
    // What an operator does where there is no copy of it.
    await of.handler.clients.dynamo.send(
      new DeleteItemCommand({ TableName: of.place.table, Key: { pk: { S: `${tenant}/damaged` }, sk: { N: "1" } } }),
    );
    await untilGone(clock, store);
    expect(await traces(of.handler, of.place)).toEqual([]);
  });
});
