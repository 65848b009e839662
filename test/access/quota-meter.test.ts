import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { AccessKey, Measure, Quota } from "../../core/access/access-key.ts";
import { QuotaMeter } from "../../core/access/quota-meter.ts";
import { MemoryUsageLedger } from "../../core/adapters/memory/memory-usage-ledger.ts";
import { isPayloadStoreError, PayloadStoreError } from "../../core/errors.ts";
import { limits } from "../../core/limits.ts";
import type { UsageClaim, UsageGrant } from "../../core/ports/usage-ledger.ts";
import { sampleKey } from "../support/key-store-suite.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { holds } from "../support/property.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** Tells what was granted to whom, and loses answers when it is told to. */
class WatchedLedger extends MemoryUsageLedger {
  readonly grants: UsageGrant[] = [];
  losesNext = false;

  override async take(claim: UsageClaim): Promise<UsageGrant> {
    const grant = await super.take(claim);
    this.grants.push(grant);
    if (!this.losesNext) return grant;
    this.losesNext = false;
    throw new PayloadStoreError("UNAVAILABLE", "the answer was lost");
  }
}

const keyWith = (quota: Quota, number = 1): AccessKey => sampleKey(number, { quota });

/** Whether the quota had room. */
async function spends(meter: QuotaMeter, key: AccessKey, units = 1, measure: Measure = "requestsPerMinute") {
  try {
    await meter.spend(key, measure, units);
    return true;
  } catch (error) {
    if (isPayloadStoreError(error, "QUOTA_EXCEEDED")) return false;
    throw error;
  }
}

/** Requests one after the other until one is refused. @returns how many were not */
async function spendAll(meter: QuotaMeter, key: AccessKey): Promise<number> {
  for (let count = 0; ; count++) if (!(await spends(meter, key))) return count;
}

describe("a quota in one process", () => {
  let clock: ManualClock;
  let ledger: WatchedLedger;
  let meter: QuotaMeter;
  beforeEach(() => {
    clock = new ManualClock();
    ledger = new WatchedLedger();
    meter = new QuotaMeter({ ledger, clock });
  });

  test.each([1, 2, 63, 64, 65, 1_000, 4_321])("of %i requests a minute is just that, each minute", async (limit) => {
    const key = keyWith({ requestsPerMinute: limit });
    for (let minute = 0; minute < 3; minute++) {
      expect(await spendAll(meter, key)).toBe(limit);
      clock.ms += minuteMs;
    }
  });

  test("of requests that come all at once is just that", async () => {
    const key = keyWith({ requestsPerMinute: 100 });

    const outcomes = await Promise.all(Array.from({ length: 250 }, () => spends(meter, key)));

    expect(outcomes.filter((isSpent) => isSpent)).toHaveLength(100);
  });

  test("says when the next minute begins, and keeps to it", async () => {
    const key = keyWith({ requestsPerMinute: 5 });
    clock.ms += 47_200;
    await spendAll(meter, key);

    const error: unknown = await meter.spend(key, "requestsPerMinute", 1).catch((reason: unknown) => reason);

    expect(error).toMatchObject({
      code: "QUOTA_EXCEEDED",
      retryable: true,
      details: { quota: "requestsPerMinute", limit: 5, retryAfterSeconds: 13 },
    });
    clock.ms += 12_799;
    expect(await spends(meter, key)).toBe(false);
    clock.ms += 1;
    expect(await spends(meter, key)).toBe(true);
  });

  test("says how long the UTC day still is", async () => {
    const key = keyWith({ bytesPerDay: 5 });
    await meter.spend(key, "bytesPerDay", 5);

    const error: unknown = await meter.spend(key, "bytesPerDay", 1).catch((reason: unknown) => reason);

    // The clock stands at noon.
    expect(error).toMatchObject({ details: { quota: "bytesPerDay", limit: 5, retryAfterSeconds: 43_200 } });
    clock.ms += dayMs / 2;
    expect(await spends(meter, key, 5, "bytesPerDay")).toBe(true);
  });

  test("is nobody else's: other keys, other tenants and other measures go on", async () => {
    const key = keyWith({ requestsPerMinute: 1, bytesPerDay: 1 });
    await spendAll(meter, key);

    expect(await spends(meter, keyWith({ requestsPerMinute: 1 }, 2))).toBe(true);
    expect(await spends(meter, { ...key, tenant: "other" })).toBe(true);
    expect(await spends(meter, key, 1, "bytesPerDay")).toBe(true);
    expect(await spends(meter, keyWith({}, 3), 1_000_000)).toBe(true);
  });

  test("that is used up asks the ledger nothing more until its window ends", async () => {
    const key = keyWith({ requestsPerMinute: 100 });
    await spendAll(meter, key);
    const taken = ledger.grants.length;

    for (let i = 0; i < 1_000; i++) expect(await spends(meter, key)).toBe(false);

    expect(ledger.grants).toHaveLength(taken);
  });

  test("of 1,000 requests a minute costs the ledger 11 takes, of a much larger one 8", async () => {
    expect(await spendAll(meter, keyWith({ requestsPerMinute: 1_000 }))).toBe(1_000);
    expect(ledger.grants).toHaveLength(11);

    ledger.grants.length = 0;
    for (let i = 0; i < 1_000; i++) await meter.spend(keyWith({ requestsPerMinute: 1e6 }, 2), "requestsPerMinute", 1);
    expect(ledger.grants).toHaveLength(8);
  });

  test("of bytes takes as many as one request needs, and spends none of what it refuses", async () => {
    const key = keyWith({ bytesPerDay: 100_000_000 });

    expect(await spends(meter, key, 60_000_000, "bytesPerDay")).toBe(true);
    expect(await spends(meter, key, 60_000_000, "bytesPerDay")).toBe(false);
    expect(await spends(meter, key, 100_000_001, "bytesPerDay")).toBe(false);
    expect(await spends(meter, key, 40_000_000, "bytesPerDay")).toBe(true);
    expect(await spends(meter, key, 1, "bytesPerDay")).toBe(false);
  });

  test("gives back what was not used, in the window that it was taken from", async () => {
    const key = keyWith({ bytesPerDay: 10 });
    const giveBack = await meter.spend(key, "bytesPerDay", 10);
    giveBack(4);
    expect(await spends(meter, key, 5, "bytesPerDay")).toBe(false);
    expect(await spends(meter, key, 4, "bytesPerDay")).toBe(true);

    clock.ms += dayMs;
    expect(await spends(meter, key, 10, "bytesPerDay")).toBe(true);
    giveBack(6);
    expect(await spends(meter, key, 1, "bytesPerDay")).toBe(false);
  });

  test("asked for 0 units says whether any are left", async () => {
    const key = keyWith({ bytesPerDay: 10 });

    expect(await spends(meter, key, 0, "bytesPerDay")).toBe(true);
    expect(await spends(meter, key, 10, "bytesPerDay")).toBe(true);
    expect(await spends(meter, key, 0, "bytesPerDay")).toBe(false);
  });

  test("lets nothing through while the ledger does not answer, and goes on afterwards", async () => {
    const key = keyWith({ requestsPerMinute: 100 });
    ledger.losesNext = true;
    await expect(meter.spend(key, "requestsPerMinute", 1)).rejects.toMatchObject({ code: "UNAVAILABLE" });

    const spent = await spendAll(meter, key);

    // What the lost answer granted is gone.
    expect(spent).toBe(100 - (ledger.grants[0]?.units ?? 0));
  });

  test("is not lengthened by a clock that is set back, nor refused for longer than a window", async () => {
    const key = keyWith({ requestsPerMinute: 10 });
    await spendAll(meter, key);

    clock.ms -= 3_600_000;
    expect(await spends(meter, key)).toBe(false);
    clock.ms += minuteMs;
    expect(await spendAll(meter, key)).toBe(10);
  });

  test("is kept for more keys than it remembers, at the price of what it forgets", async () => {
    const key = keyWith({ requestsPerMinute: 100 }, 0);
    await spends(meter, key);
    for (let i = 1; i <= limits.quotaLeasesMax; i++) {
      await meter.spend({ ...key, tenant: `t-${i}` }, "requestsPerMinute", 1);
    }
    ledger.grants.length = 0;

    const spent = await spendAll(meter, key);

    // The first slice of two, a 64th, was forgotten with one request of it spent.
    expect(spent).toBe(98);
    expect(ledger.grants[0]?.units).toBe(2);
  });
});

describe("a quota that many processes share", () => {
  /** One ledger that has a clock of its own, as DynamoDB has, and processes whose clocks differ. */
  class SharedLedger extends WatchedLedger {
    readonly time = new ManualClock();

    override take(claim: UsageClaim): Promise<UsageGrant> {
      // In whole seconds, as the date of an answer.
      return super.take({ ...claim, nowMs: Math.floor(this.time.ms / 1_000) * 1_000 });
    }

    processOf(skewMs: number): QuotaMeter {
      return new QuotaMeter({ ledger: this, clock: { nowMs: () => this.time.ms + skewMs } });
    }

    /** Window → units granted. */
    granted(): ReadonlyMap<number, number> {
      const byWindow = Map.groupBy(this.grants, ({ window }) => window);
      return new Map(
        [...byWindow].map(([window, grants]) => [window, grants.reduce((sum, { units }) => sum + units, 0)]),
      );
    }
  }

  /** The suspected flaw: clocks that differ count one quota in several windows at the same time. */
  test("is never exceeded in any minute, whatever clocks say, answers are lost and processes end", async () => {
    const step = fc.record({
      process: fc.nat({ max: 7 }),
      units: fc.nat({ max: 40 }),
      passesMs: fc.oneof(fc.constant(0), fc.nat({ max: 1_000 }), fc.nat({ max: 90_000 })),
      loses: fc.boolean(),
      ends: fc.nat({ max: 20 }),
    });
    const skews = fc.array(fc.integer({ min: -5 * minuteMs, max: 5 * minuteMs }), { minLength: 8, maxLength: 8 });
    const limit = fc.integer({ min: 1, max: 300 });
    await holds(
      import.meta.filename,
      fc.asyncProperty(skews, limit, fc.array(step, { maxLength: 150 }), async (skew, perMinute, steps) => {
        const key = keyWith({ requestsPerMinute: perMinute });
        const ledger = new SharedLedger();
        const processes = skew.map((skewMs) => ledger.processOf(skewMs));
        let spent = 0;
        for (const { process, units, passesMs, loses, ends } of steps) {
          ledger.time.ms += passesMs;
          if (ends === 0) processes[process] = ledger.processOf(skew[process] ?? 0);
          ledger.losesNext = loses;
          if (await spends(processes[process]!, key, units).catch(() => false)) spent += units;
        }

        const granted = [...ledger.granted()];
        const minutes = Math.floor(ledger.time.ms / minuteMs);
        const first = Math.floor(new ManualClock().ms / minuteMs);
        for (const [window, units] of granted) {
          expect(units).toBeLessThanOrEqual(perMinute);
          expect(window).toBeGreaterThanOrEqual(first);
          expect(window).toBeLessThanOrEqual(minutes);
        }
        expect(spent).toBeLessThanOrEqual(granted.reduce((sum, [, units]) => sum + units, 0));
      }),
      { runs: 300 },
    );
  });

  test("is used to the last request by processes that all go on, whose clocks are 10 minutes apart", async () => {
    const key = keyWith({ requestsPerMinute: 1_000 });
    const ledger = new SharedLedger();
    const meters = Array.from({ length: 8 }, (_, i) => ledger.processOf((i - 4) * 75_000));
    for (let minute = 0; minute < 3; minute++) {
      const outcomes = await Promise.all(Array.from({ length: 2_400 }, (_, i) => spends(meters[i % 8]!, key)));

      expect(outcomes.filter((isSpent) => isSpent)).toHaveLength(1_000);
      ledger.time.ms += minuteMs;
    }
  });

  test.each([-5, 5])("begins its minutes by the ledger's clock, %i minutes from one's own", async (minutes) => {
    const key = keyWith({ requestsPerMinute: 10 });
    const ledger = new SharedLedger();
    const meter = ledger.processOf(minutes * minuteMs + 17_000);
    await spendAll(meter, key);
    ledger.time.ms += 50_000;
    const error: unknown = await meter.spend(key, "requestsPerMinute", 1).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ details: { retryAfterSeconds: 10 } });

    ledger.time.ms += 10_000;

    expect(await spendAll(meter, key)).toBe(10);
  });

  test("loses with a process that ends no more than it had spent, or an eighth, or the first slice", async () => {
    for (const spent of [1, 16, 17, 100, 500, 900]) {
      const key = keyWith({ requestsPerMinute: 1_000 });
      const ledger = new SharedLedger();
      const ended = ledger.processOf(0);
      for (let i = 0; i < spent; i++) await ended.spend(key, "requestsPerMinute", 1);

      const left = await spendAll(ledger.processOf(0), key);

      expect(left + spent).toBeLessThanOrEqual(1_000);
      expect(left + spent).toBeGreaterThanOrEqual(1_000 - Math.max(16, Math.min(spent, 125)));
    }
  });

  test("takes nothing from a minute for what was left of the one before", async () => {
    const key = keyWith({ requestsPerMinute: 100 });
    const ledger = new SharedLedger();
    const [one, two] = [ledger.processOf(0), ledger.processOf(0)];
    await spends(one, key);
    ledger.time.ms += minuteMs;

    const spent = (await spendAll(one, key)) + (await spendAll(two, key));

    expect(spent).toBe(100);
  });

  test("gives up a slice whose answer came after its minute", async () => {
    const key = keyWith({ requestsPerMinute: 100 });
    const ledger = new SharedLedger();
    const meter = ledger.processOf(0);
    const take = ledger.take.bind(ledger);
    ledger.take = async (claim) => {
      const grant = await take(claim);
      ledger.time.ms += ledger.grants.length === 1 ? minuteMs : 0;
      return grant;
    };

    expect(await spends(meter, key)).toBe(true);

    expect(ledger.grants.map(({ window }) => window - (ledger.grants[0]?.window ?? 0))).toEqual([0, 1]);
  });
});
