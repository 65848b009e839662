import { afterAll, describe, expect, test } from "vitest";
import { isPayloadStoreError } from "../../core/errors.ts";
import { awsFaultSuite } from "../support/aws/fault-suite.ts";
import { shortWorkload, stateOf, textOf } from "../support/aws/fault-workload.ts";
import type { Fault } from "../support/aws/faults.ts";
import { freshPlaceOf, type HandlerOptions, openHandler, startFaultyServers } from "../support/aws/handlers.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";

const servers = await startFaultyServers();
afterAll(() => servers.close());

await awsFaultSuite({
  servers,
  workload: shortWorkload,
  only: ["is reset after it took effect", "is cut in its body", "has its answer cut"],
});

const oneTry: HandlerOptions = { s3Config: { maxAttempts: 1 }, dynamoConfig: { maxAttempts: 1 } };

describe("an answer that was lost", () => {
  const key = { tenant: "acme", group: "g", id: "a" };

  test.each([
    ["that tells the row which is there", true],
    ["that does not, so that it is asked for", false],
  ])("is recognised by a server %s", async (_which, tells) => {
    const place = await freshPlaceOf(servers);
    const { store, clients, meter } = await openHandler(servers, place);
    if (!tells) dropTheRow(clients.dynamo);
    for (let i = 0; i < 3; i++) {
      servers.dynamo.fault({ kind: "reset", when: "after", operation: "PutItem", resource: place.table });
      const before = meter.counts().requests;
      await store.append(key, prose(500, i));
      const { PutItem: puts = 0, GetItem: gets = 0 } = meter.counts().requests;
      expect([puts - (before["PutItem"] ?? 0), gets - (before["GetItem"] ?? 0)]).toEqual([2, tells ? 0 : 1]);
    }

    expect(servers.dynamo.log.count({ operation: "PutItem", key: "acme/g#3" })).toBeGreaterThan(0);
    expect(servers.dynamo.log.count({ operation: "PutItem", key: "acme/g#4", resource: place.table })).toBe(0);
  });

  test.each([true, false])("is not taken for one's own where another's row is there (told: %s)", async (tells) => {
    const place = await freshPlaceOf(servers);
    const [one, two] = [await openHandler(servers, place), await openHandler(servers, place)];
    if (!tells) dropTheRow(one.clients.dynamo);
    await one.store.append(key, prose(500, 1));
    await two.store.append({ ...key, id: "b" }, prose(500, 2));

    await one.store.append({ ...key, id: "c" }, prose(500, 3));

    const state = await stateOf(two.store, { tenant: "acme", group: "g" });
    expect([...state.keys()]).toEqual(["a", "b", "c"]);
  });

  /** Makes a client hear no more of a refused condition than dynalite says by itself. */
  function dropTheRow(client: (typeof servers.dynamo)["client"] extends () => infer C ? C : never): void {
    client.middlewareStack.add(
      (next) => async (args) => {
        try {
          return await next(args);
        } catch (error) {
          if (error instanceof Error && "Item" in error) delete error.Item;
          throw error;
        }
      },
      { step: "deserialize", priority: "high", name: "dropTheRow" },
    );
  }
});

describe("an idempotent request whose outcome is unknown", () => {
  const key = { tenant: "acme", group: "g", id: "a" };
  const kinds: readonly (readonly [string, (seed: number) => Uint8Array])[] = [
    ["in a row", (seed) => prose(300, seed)],
    ["in a segment", (seed) => noise(9000, seed)],
  ];

  test.each(kinds)("is safe to send again, elsewhere, at once and much later (%s)", async (_where, bytesOf) => {
    for (const when of ["before", "after"] as const) {
      const place = await freshPlaceOf(servers);
      const [one, two, three] = [
        await openHandler(servers, place, oneTry),
        await openHandler(servers, place),
        await openHandler(servers, place),
      ];
      servers.dynamo.fault({ kind: "reset", when, operation: "PutItem", resource: place.table });
      const send = (store: typeof one.store) => store.append(key, bytesOf(1), { idempotencyKey: "k" });
      await expect(send(one.store)).rejects.toMatchObject({ code: "UNAVAILABLE" });

      const again = await Promise.all([send(one.store), send(two.store), send(three.store)]);
      await two.store.append(key, bytesOf(2));
      const later = await send(three.store);

      for (const location of again) expect(location).toEqual(later);
      expect(textOf((await one.store.get(key))!)).toBe(textOf(bytesOf(2)));
      const rows = servers.dynamo.log
        .entries({ operation: "PutItem", resource: place.table, key: /^acme\/g#/ })
        .filter(({ status, fault }) => status === 200 || fault === "reset");
      expect(rows.length).toBe(when === "before" ? 3 : 2);
    }
  });

  test("and arrives late, after it was sent again, is the same request still", async () => {
    const place = await freshPlaceOf(servers);
    const [one, two] = [await openHandler(servers, place, oneTry), await openHandler(servers, place)];
    const late = servers.dynamo.fault({ kind: "hold", when: "before", operation: "PutItem", resource: place.table });
    const first = one.store.append(key, prose(300, 1), { idempotencyKey: "k" }).catch((error: unknown) => error);
    await late.struck;

    const location = await two.store.append(key, prose(300, 1), { idempotencyKey: "k" });
    late.release();

    const outcome = await first;
    if (isPayloadStoreError(outcome)) expect(outcome.code).toBe("UNAVAILABLE");
    else expect(outcome).toEqual(location);
    expect(await one.store.append(key, prose(300, 1), { idempotencyKey: "k" })).toEqual(location);
  });
});

describe("a server that has gone silent", () => {
  test("is given up when the deadline is over, and not waited for again", async () => {
    const place = await freshPlaceOf(servers);
    const { store } = await openHandler(servers, place, { requestMsMax: 300 });
    const key = { tenant: "acme", group: "g", id: "a" };
    await store.append(key, noise(20_000, 1));

    const faults: Fault[] = [
      servers.dynamo.fault({ kind: "timeout", resource: place.table, times: Infinity }),
      servers.s3.fault({ kind: "timeout", resource: place.bucket, times: Infinity }),
    ];
    const started = performance.now();
    for (const call of [
      () => store.get(key),
      () => store.append(key, prose(100, 1)),
      () => store.append(key, noise(20_000, 1)),
      () => store.delete(key),
      () => store.stats({ tenant: "acme" }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining("deadline") });
    }
    expect(performance.now() - started).toBeLessThan(5 * 300 + 1500);
    for (const fault of faults) fault.remove();
    expect((await store.get(key))?.length).toBe(20_000);
  });

  test("is given up in time for the answer where little is left to the invocation", async () => {
    const place = await freshPlaceOf(servers);
    let remainingMs = 60_000;
    const { store } = await openHandler(servers, place, { remainingMs: () => remainingMs });
    servers.dynamo.fault({ kind: "timeout", resource: place.table });
    remainingMs = 700;

    const started = performance.now();
    const key = { tenant: "acme", group: "g", id: "a" };
    await expect(store.get(key)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(performance.now() - started).toBeLessThan(700);
  });
});
