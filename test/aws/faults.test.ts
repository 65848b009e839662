import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import { isPayloadStoreError } from "../../core/errors.ts";
import type { AwsPlace } from "../support/aws/aws-under-test.ts";
import type { DynamoFaultPlan } from "../support/aws/dynamo-server.ts";
import {
  doStep,
  expectPossible,
  newPossible,
  stateOf,
  textOf,
  workGroups,
  workload,
} from "../support/aws/fault-workload.ts";
import type { Fault } from "../support/aws/faults.ts";
import {
  freshPlaceOf,
  type HandlerOptions,
  impatient,
  openHandler,
  startFaultyServers,
} from "../support/aws/handlers.ts";
import type { S3FaultPlan } from "../support/aws/s3-double.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";

const servers = await startFaultyServers();
afterAll(servers.close);

/** What happens to one request, on either server. */
interface Mishap {
  readonly s3?: Omit<S3FaultPlan, "nth" | "resource">;
  readonly dynamo?: Omit<DynamoFaultPlan, "nth" | "resource">;
}

const alike = (plan: { kind: "reset" | "timeout" | "hold"; when: "before" | "after" }): Mishap => ({
  s3: plan,
  dynamo: plan,
});

const mishaps: Readonly<Record<string, Mishap>> = {
  "is reset before it takes effect": alike({ kind: "reset", when: "before" }),
  "is reset after it took effect": alike({ kind: "reset", when: "after" }),
  "is never answered, and takes no effect": alike({ kind: "timeout", when: "before" }),
  "is never answered, and took effect": alike({ kind: "timeout", when: "after" }),
  "fails with 500 before it takes effect": {
    s3: { kind: "internal-error", when: "before" },
    dynamo: { kind: "internal-error", when: "before" },
  },
  "fails with 500 after it took effect": {
    s3: { kind: "internal-error", when: "after" },
    dynamo: { kind: "internal-error", when: "after" },
  },
  "is throttled": { s3: { kind: "slow-down" }, dynamo: { kind: "throughput-exceeded" } },
  "is cut in its body": { s3: { kind: "cut-upload", operation: "PutObject" } },
  "has its answer cut": { s3: { kind: "cut-download", operation: "GetObject" } },
  "has its answer come slowly": { s3: { kind: "slow-download", operation: "GetObject", delayMs: 5 } },
};

/** Without the SDK's second tries every mishap is seen. */
const oneTry: HandlerOptions = {
  s3Config: { ...impatient.s3Config, maxAttempts: 1 },
  dynamoConfig: { ...impatient.dynamoConfig, maxAttempts: 1 },
};

/** What the workload asks for when nothing happens: as many cases as there are requests. */
const asked = await requestsOfWorkload();

async function requestsOfWorkload() {
  const place = await freshPlaceOf(servers);
  const { store } = await openHandler(servers, place);
  servers.s3.log.clear();
  servers.dynamo.log.clear();
  const possible = newPossible();
  for (const step of workload) expect(await doStep(step, store, possible)).toBeUndefined();
  return {
    s3: servers.s3.log.entries({ resource: place.bucket }).map(({ operation }) => operation),
    dynamo: servers.dynamo.log.entries({ resource: place.table }).map(({ operation }) => operation),
  };
}

/** Each request of the workload, as somewhere for a mishap to strike. */
function* strikes({ s3, dynamo }: Mishap) {
  const matching = (operations: readonly string[], wanted: string | undefined) =>
    wanted === undefined ? operations.length : operations.filter((operation) => operation === wanted).length;
  for (let nth = 1; s3 && nth <= matching(asked.s3, s3.operation); nth++) {
    yield ({ bucket }: AwsPlace) => servers.s3.fault({ ...s3, nth, resource: bucket });
  }
  for (let nth = 1; dynamo && nth <= matching(asked.dynamo, dynamo.operation); nth++) {
    yield ({ table }: AwsPlace) => servers.dynamo.fault({ ...dynamo, nth, resource: table });
  }
}

/** Runs a case for each; some at a time, since they mostly wait. */
async function forEach<T>(items: Iterable<T>, run: (item: T) => Promise<void>): Promise<number> {
  let count = 0;
  const waiting = [...items].values();
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      for (const item of waiting) {
        await run(item);
        count += 1;
      }
    }),
  );
  return count;
}

async function opened(options: HandlerOptions) {
  const place = await freshPlaceOf(servers);
  const { store } = await openHandler(servers, place, options);
  return { place, store, possible: newPossible() };
}

test("the workload asks for every kind of request that reads and writes do", () => {
  expect([...new Set(asked.s3)].toSorted()).toEqual(["GetObject", "PutObject"]);
  expect([...new Set(asked.dynamo)].toSorted()).toEqual(["PutItem", "Query"]);
});

describe.each(Object.entries(mishaps))("when any one request %s", (_what, mishap) => {
  test("no call notices: the request is tried again", async () => {
    const cases = await forEach(strikes(mishap), async (strike) => {
      const { place, store, possible } = await opened(impatient);
      const fault = strike(place);
      for (const step of workload) expect(await doStep(step, store, possible)).toBeUndefined();
      expect(fault.hits).toBe(1);
      await expectPossible((await openHandler(servers, place)).store, possible);
    });

    expect(cases).toBeGreaterThan(0);
  });

  test("and is not tried again, the call says UNAVAILABLE and did all or nothing; all others hold", async () => {
    await forEach(strikes(mishap), async (strike) => {
      const { place, store, possible } = await opened(oneTry);
      const fault = strike(place);
      const errors = [];
      for (const step of workload) errors.push(await doStep(step, store, possible));
      expect(fault.hits).toBe(1);
      const failed = errors.filter((error) => error !== undefined);
      expect(failed.length, String(failed.map((e) => (e as Error).message + (e as {cause?: unknown}).cause))).toBeLessThanOrEqual(1);
      for (const error of failed) expect(error).toMatchObject({ code: "UNAVAILABLE" });
      await expectPossible((await openHandler(servers, place)).store, possible);
    });
  });
});

describe("a request that arrives late", () => {
  const lateWrites: Mishap = {
    s3: { kind: "hold", when: "before", operation: "PutObject" },
    dynamo: { kind: "hold", when: "before", operation: "PutItem" },
  };

  test("after its caller gave up and went on, undoes nothing that was acknowledged since", async () => {
    await forEach(strikes(lateWrites), async (strike) => {
      const { place, store, possible } = await opened(oneTry);
      const late = strike(place);
      for (const step of workload) await doStep(step, store, possible);
      expect(late.hits).toBe(1);

      late.release();
      await sleep(50);

      await expectPossible((await openHandler(servers, place)).store, possible);
    });
  });

  test("after a second try of it was answered, changes nothing", async () => {
    await forEach(strikes(lateWrites), async (strike) => {
      const { place, store, possible } = await opened(impatient);
      const late = strike(place);
      for (const step of workload) expect(await doStep(step, store, possible)).toBeUndefined();
      late.release();
      await sleep(50);

      await expectPossible((await openHandler(servers, place)).store, possible);
    });
  });
});

describe("a handler that ends", () => {
  const ends: readonly (readonly [string, Mishap])[] = [
    ["before a request takes effect", alike({ kind: "hold", when: "before" })],
    ["after a request took effect", alike({ kind: "hold", when: "after" })],
  ];

  test.each(ends)(
    "%s leaves all or nothing of its call, and what arrives of it later hides nothing",
    async (_when, end) => {
      await forEach(strikes(end), async (strike) => {
        const { place, store, possible } = await opened({});
        const last = strike(place);
        // It is never heard of again: what it still does, the test does not wait for.
        const life = (async () => {
          for (const step of workload) {
            await Promise.race([doStep(step, store, possible).catch(() => {}), last.struck.then(() => sleep(5))]);
            if (last.hits === 0) continue;
            if (step.commit) possible.get(step.group.group)!.unknown(step.commit);
            return;
          }
        })();
        await last.struck;
        await life;

        const next = await openHandler(servers, place);
        await expectPossible(next.store, possible);
        const newest = prose(200, 77);
        for (const group of workGroups) {
          await next.store.append({ ...group, id: "e" }, newest);
          possible.get(group.group)!.acknowledged((state) => new Map([...state, ["e", textOf(newest)]]));
        }

        last.release();
        await sleep(50);
        await expectPossible((await openHandler(servers, place)).store, possible);
      });
    },
  );
});

describe("an answer that was lost", () => {
  const key = { tenant: "acme", group: "g", id: "a" };

  test.each([
    ["that tells the row which is there", true],
    ["that does not, so that it is asked for", false],
  ])("is recognised by a server %s", async (_which, tells) => {
    const place = await freshPlaceOf(servers);
    const { store, clients, meter } = await openHandler(servers, place, impatient);
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
    const [one, two] = [await openHandler(servers, place, impatient), await openHandler(servers, place)];
    if (!tells) dropTheRow(one.clients.dynamo);
    await one.store.append(key, prose(500, 1));
    await two.store.append({ ...key, id: "b" }, prose(500, 2));

    await one.store.append({ ...key, id: "c" }, prose(500, 3));

    const state = await stateOf(two.store, { tenant: "acme", group: "g" } as never);
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
