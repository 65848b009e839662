import { describe, expect, test } from "vitest";
import { windowAt } from "../../core/access/quota-window.ts";
import type { UsageClaim, UsageLedger } from "../../core/ports/usage-ledger.ts";

export interface UsageLedgerUnderTest {
  readonly ledger: UsageLedger;
  /** Sets the time that the ledger goes by, where that is not the claim's. */
  readonly setTime?: (nowMs: number) => void;
  readonly end: () => Promise<void>;
}

/**
 * What every ledger promises.
 *
 * @param firstMs  the beginning of a minute that the ledger can be set to, and to the next
 */
export function usageLedgerSuite(name: string, firstMs: number, open: () => Promise<UsageLedgerUnderTest>): void {
  const claim = { tenant: "acme", id: "00000000000a", measure: "requestsPerMinute", limit: 100 } as const;
  const [first, second] = [windowAt("requestsPerMinute", firstMs), windowAt("requestsPerMinute", firstMs) + 1];
  type Take = (claim: Omit<UsageClaim, "nowMs">, nowMs?: number) => Promise<readonly [window: number, units: number]>;
  const on = (body: (take: Take) => Promise<void>) => async (): Promise<void> => {
    const { ledger, setTime, end } = await open();
    try {
      await body(async (wanted, nowMs = firstMs) => {
        setTime?.(nowMs);
        const grant = await ledger.take({ ...wanted, nowMs });
        expect(windowAt(wanted.measure, grant.nowMs)).toBe(grant.window);
        return [grant.window, grant.units];
      });
    } finally {
      await end();
    }
  };

  describe(`${name} as a usage ledger`, () => {
    test(
      "grants what is asked for, then what is left, then nothing",
      on(async (take) => {
        const granted: number[] = [];
        for (const units of [60, 30, 30, 1, 100]) granted.push((await take({ ...claim, units }))[1]);

        expect(granted).toEqual([60, 30, 10, 0, 0]);
      }),
    );

    test(
      "begins each window anew",
      on(async (take) => {
        expect(await take({ ...claim, units: 100 })).toEqual([first, 100]);
        expect(await take({ ...claim, units: 40 }, firstMs + 59_999)).toEqual([first, 0]);

        expect(await take({ ...claim, units: 40 }, firstMs + 60_000)).toEqual([second, 40]);
        expect(await take({ ...claim, units: 100 }, firstMs + 60_000)).toEqual([second, 60]);
      }),
    );

    test(
      "never goes back to a window, also when its clock does",
      on(async (take) => {
        await take({ ...claim, units: 70 }, firstMs + 60_000);

        expect(await take({ ...claim, units: 20 })).toEqual([second, 20]);
        expect(await take({ ...claim, units: 20 })).toEqual([second, 10]);
        expect(await take({ ...claim, units: 20 }, firstMs + 60_000)).toEqual([second, 0]);
      }),
    );

    test(
      "counts tenants, keys and measures apart",
      on(async (take) => {
        const claims = [
          { ...claim, units: 100 },
          { ...claim, tenant: "acme-2", units: 100 },
          { ...claim, id: "ffffffffffff", units: 100 },
          { ...claim, measure: "bytesPerDay", units: 100 },
        ] as const;

        const grants = await Promise.all([...claims, ...claims].map((each) => take(each)));

        expect(grants.reduce((sum, [, units]) => sum + units, 0)).toBe(400);
      }),
    );

    test(
      "grants the limit and no more to many who ask at once",
      on(async (take) => {
        const asked = Array.from({ length: 20 }, (_, i) => take({ ...claim, units: 1 + (i % 13) }));

        const grants = await Promise.all(asked);

        expect(grants.reduce((sum, [, units]) => sum + units, 0)).toBe(100);
      }),
    );

    test(
      "counts quotas of a petabyte exactly",
      on(async (take) => {
        const limit = 1_125_899_906_842_624;
        const large = { ...claim, measure: "bytesPerDay", limit } as const;
        await take({ ...large, units: limit - 1 });

        expect((await take({ ...large, units: 2 }))[1]).toBe(1);
      }),
    );
  });
}
