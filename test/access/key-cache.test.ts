import { beforeEach, describe, expect, test } from "vitest";
import type { AccessKey } from "../../core/access/access-key.ts";
import { KeyCache } from "../../core/access/key-cache.ts";
import { MemoryKeyStore } from "../../core/adapters/memory/memory-key-store.ts";
import { PayloadStoreError } from "../../core/errors.ts";
import { limits } from "../../core/limits.ts";
import type { KeyList } from "../../core/ports/key-store.ts";
import { sampleKey } from "../support/key-store-suite.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** Counts look-ups, and lets a test decide what they take and answer. */
class CountedStore extends MemoryKeyStore {
  lookups = 0;
  before: (() => Promise<void>) | undefined;

  override async list(tenant: string): Promise<KeyList> {
    this.lookups += 1;
    const answer = await super.list(tenant);
    await this.before?.();
    return answer;
  }
}

describe("the key cache", () => {
  let clock: ManualClock;
  let keys: CountedStore;
  let cache: KeyCache;
  beforeEach(() => {
    clock = new ManualClock();
    keys = new CountedStore();
    cache = new KeyCache({ keys, clock });
  });
  const find = (number: number, tenant = "acme"): Promise<AccessKey | undefined> =>
    cache.find(tenant, sampleKey(number).id);

  test("knows a key for 30 seconds, and of its end no later than that", async () => {
    await keys.add(sampleKey(1));
    expect(await find(1)).toEqual(sampleKey(1));
    const ended = sampleKey(1, { expiresMs: clock.ms });
    await keys.replace(sampleKey(1), ended);

    clock.ms += 29_999;
    expect(await find(1)).toEqual(sampleKey(1));
    expect(keys.lookups).toBe(1);
    clock.ms += 1;
    expect(await find(1)).toEqual(ended);
    expect(keys.lookups).toBe(2);
  });

  test("counts the 30 seconds from the beginning of a look-up, however long that takes", async () => {
    await keys.add(sampleKey(1));
    keys.before = async () => {
      keys.before = undefined;
      // The key ends right after it was read, and the answer comes late.
      await keys.remove(sampleKey(1));
      clock.ms += 29_000;
    };
    expect(await find(1)).toBeDefined();

    clock.ms += 1_000;

    expect(await find(1)).toBeUndefined();
  });

  test("takes a new key of a known tenant after a second, and of an unknown one at once", async () => {
    await keys.add(sampleKey(1));
    await find(1);
    await keys.add(sampleKey(2));
    expect(await find(2)).toBeUndefined();

    clock.ms += limits.keyRecheckMs;
    expect(await find(2)).toEqual(sampleKey(2));

    await keys.add(sampleKey(1, { tenant: "new" }));
    expect(await find(1, "new")).toBeDefined();
  });

  test("looks up once for all who wait", async () => {
    await keys.add(sampleKey(1));

    const found = await Promise.all(Array.from({ length: 100 }, (_, i) => find(i % 2)));

    expect(keys.lookups).toBe(1);
    expect(found.filter((key) => key !== undefined)).toHaveLength(50);
  });

  test("pays one look-up a second for a flood of wrong ids of a tenant", async () => {
    await keys.add(sampleKey(1));

    for (let i = 0; i < 10_000; i++) {
      clock.ms += 1;
      expect(await find(i + 2)).toBeUndefined();
    }

    expect(keys.lookups).toBeLessThanOrEqual(11);
  });

  test("keeps the keys it knows through a flood of made-up tenants, in bounded memory", async () => {
    await keys.add(sampleKey(1));
    await find(1);
    for (let i = 0; i < 3 * limits.keylessTenantsCachedMax; i++) await find(1, `made-up-${i}`);
    const { lookups } = keys;

    expect(await find(1)).toEqual(sampleKey(1));
    // The newest are remembered, the oldest are not.
    await find(1, `made-up-${2 * limits.keylessTenantsCachedMax}`);
    expect(keys.lookups).toBe(lookups);
    await find(1, `made-up-${2 * limits.keylessTenantsCachedMax - 1}`);
    expect(keys.lookups).toBe(lookups + 1);
  });

  test("forgets the tenants asked for longest ago when it holds too many keys", async () => {
    const perTenant = 1_000;
    let lookups = 0;
    const many = {
      list: async (tenant: string) => {
        lookups += 1;
        return { keys: keysOf(tenant, perTenant), unreadable: [] };
      },
    };
    cache = new KeyCache({ keys: many, clock });
    const tenants = limits.keysCachedMax / perTenant;
    for (let i = 0; i < tenants; i++) await find(1, `t-${i}`);
    for (let i = 0; i < tenants; i++) await find(1, `t-${i}`);
    expect(lookups).toBe(tenants);

    await find(1, "one-more");
    await find(1, "t-1");
    expect(lookups).toBe(tenants + 1);
    await find(1, "t-0");
    expect(lookups).toBe(tenants + 2);
  });

  test("believes nothing that it read before its clock was set back", async () => {
    await keys.add(sampleKey(1));
    await find(1);
    await keys.remove(sampleKey(1));

    clock.ms -= 3_600_000;

    expect(await find(1)).toBeUndefined();
  });

  test("lets nobody in on an old answer when the store fails, and asks again", async () => {
    await keys.add(sampleKey(1));
    await find(1);
    clock.ms += limits.keyCacheMsMax;
    keys.before = async () => {
      throw new PayloadStoreError("UNAVAILABLE", "down");
    };
    await expect(find(1)).rejects.toMatchObject({ code: "UNAVAILABLE" });

    keys.before = undefined;

    expect(await find(1)).toEqual(sampleKey(1));
  });
});

function keysOf(tenant: string, count: number): readonly AccessKey[] {
  return Array.from({ length: count }, (_, i) => sampleKey(i, { tenant }));
}
