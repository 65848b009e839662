import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { AccessKey } from "../../core/access/access-key.ts";
import { QuotaMeter } from "../../core/access/quota-meter.ts";
import { Deadline } from "../../core/adapters/aws/deadline.ts";
import { DynamoUsageLedger } from "../../core/adapters/aws/dynamo-usage-ledger.ts";
import { MemoryUsageLedger } from "../../core/adapters/memory/memory-usage-ledger.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { startDynalite, type DynamoServer } from "../support/aws/dynamo-server.ts";
import { sampleKey } from "../support/key-store-suite.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { usageLedgerSuite } from "../support/usage-ledger-suite.ts";

/** The server's clock stands until it is moved, near enough to the real one for signatures to hold. */
const firstMs = Math.floor(Date.now() / 60_000) * 60_000;
const time = new ManualClock();
let dynamo: DynamoServer;
beforeAll(async () => {
  dynamo = await startDynalite({ nowMs: () => time.ms });
});
beforeEach(() => {
  time.ms = firstMs;
});
afterAll(() => dynamo.close());

/** A handler's own ledger, with a client of its own. */
const ledgerOn = (table: string): DynamoUsageLedger =>
  new DynamoUsageLedger({ client: dynamo.client(), table, deadline: new Deadline(20_000) });

usageLedgerSuite("memory", firstMs, async () => ({ ledger: new MemoryUsageLedger(), end: async () => {} }));
usageLedgerSuite("DynamoDB", firstMs, async () => {
  const ledger = ledgerOn(await dynamo.freshTable());
  return { ledger, setTime: (nowMs) => (time.ms = nowMs), end: async () => {} };
});

describe("quotas on one table", () => {
  const key = sampleKey(1, { quota: { requestsPerMinute: 1_000 } });
  let table: string;
  beforeEach(async () => {
    table = await dynamo.freshTable();
    dynamo.log.clear();
  });
  const handler = (skewMs = 0): QuotaMeter =>
    new QuotaMeter({ ledger: ledgerOn(table), clock: { nowMs: () => time.ms + skewMs } });
  const answered = async (meter: QuotaMeter, asker: AccessKey = key): Promise<boolean> => {
    try {
      await meter.spend(asker, "requestsPerMinute", 1);
      return true;
    } catch (error) {
      if (isPayloadStoreError(error, "QUOTA_EXCEEDED")) return false;
      throw error;
    }
  };
  const count = (outcomes: readonly boolean[]): number => outcomes.filter((isAnswered) => isAnswered).length;

  test("are never exceeded by 8 handlers at once, and are used to the last request", async () => {
    const handlers = Array.from({ length: 8 }, () => handler());
    for (let minute = 0; minute < 2; minute++) {
      const outcomes = await Promise.all(
        Array.from({ length: 2_000 }, (_, i) => answered(handlers[(i * i) % 8] ?? handler())),
      );
      expect(count(outcomes)).toBe(1_000);
      time.ms += 60_000;
    }
  });

  test("are the same minute for 8 handlers whose clocks are 10 minutes apart", async () => {
    const handlers = Array.from({ length: 8 }, (_, i) => handler((i - 4) * 75_000));
    for (let minute = 0; minute < 2; minute++) {
      const outcomes = await Promise.all(
        Array.from({ length: 2_400 }, (_, i) => answered(handlers[i % 8] ?? handler())),
      );
      expect(count(outcomes)).toBe(1_000);
      time.ms += 60_000;
    }
  });

  test("cost 13 writes for 1,000 requests a minute: 1/77 of a write each", async () => {
    const meter = handler();
    // The minute before, as in a handler that goes on.
    await answered(meter);
    time.ms += 60_000;
    dynamo.log.clear();

    let spent = 0;
    for (let i = 0; i < 1_100; i++) spent += (await answered(meter)) ? 1 : 0;

    expect(spent).toBe(1_000);
    const writes = dynamo.log.entries();
    expect(writes.every(({ operation, key: item }) => operation === "UpdateItem" && item === "~usage/acme#1")).toBe(
      true,
    );
    expect(writes).toHaveLength(13);
    for (const { capacityUnits } of writes) expect(capacityUnits ?? 1).toBe(1);
  });

  test("cost 8 handlers that share 1,000 requests a minute evenly 1/20 of a write each", async () => {
    const handlers = Array.from({ length: 8 }, () => handler());

    for (let i = 0; i < 1_000; i++) await answered(handlers[i % 8] ?? handler());

    expect(dynamo.log.count()).toBeLessThanOrEqual(50);
  });

  test("are not begun anew by a handler that is late, whose minute is over", async () => {
    const claim = { tenant: "acme", id: key.id, measure: "requestsPerMinute", limit: 100, units: 100 } as const;
    const [late, other] = [ledgerOn(table), ledgerOn(table)];
    // Of the two updates that begin a minute, the second.
    const held = dynamo.fault({ kind: "hold", operation: "UpdateItem", nth: 2 });
    const answer = late.take({ ...claim, nowMs: time.ms });
    await held.struck;
    time.ms += 60_000;
    expect((await other.take({ ...claim, nowMs: time.ms })).units).toBe(100);

    held.release();

    expect((await answer).units).toBe(0);
    expect((await other.take({ ...claim, nowMs: time.ms })).units).toBe(0);
  });

  test("are counted twice and not too little when the answer of an update is lost", async () => {
    const small = sampleKey(2, { quota: { requestsPerMinute: 64 } });
    const lost = [
      dynamo.fault({ kind: "reset", when: "after", operation: "UpdateItem", nth: 2 }),
      dynamo.fault({ kind: "reset", when: "after", operation: "UpdateItem", nth: 5 }),
    ];
    const meter = handler();

    let spent = 0;
    for (let i = 0; i < 100; i++) spent += (await answered(meter, small)) ? 1 : 0;

    expect(lost.map(({ hits }) => hits)).toEqual([1, 1]);
    expect(spent).toBeLessThan(64);
    expect(spent).toBeGreaterThan(50);
  });

  test.each(["throughput-exceeded", "internal-error", "timeout"] as const)(
    "are kept through a table that answers %s",
    async (kind) => {
      dynamo.fault({ kind, operation: "UpdateItem", times: 2 });
      const requestHandler = { requestTimeout: 100, throwOnRequestTimeout: true };
      const client = dynamo.client({ maxAttempts: 5, requestHandler });
      const ledger = new DynamoUsageLedger({ client, table, deadline: new Deadline(20_000) });
      const meter = new QuotaMeter({ ledger, clock: time });

      const outcomes = await Promise.all(Array.from({ length: 1_100 }, () => answered(meter)));

      expect(count(outcomes)).toBeGreaterThan(0);
      expect(count(outcomes)).toBeLessThanOrEqual(1_000);
    },
  );

  test("let nothing through when the table does not count", async () => {
    dynamo.fault({ kind: "access-denied", operation: "UpdateItem" });

    await expect(handler().spend(key, "requestsPerMinute", 1)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
});
