import { describe, expect, test } from "vitest";
import type { AccessKey } from "../../core/access/access-key.ts";
import type { KeyStore } from "../../core/ports/key-store.ts";

/** A key store that a test has for itself. */
export interface KeyStoreUnderTest {
  readonly keys: KeyStore;
  /** The same keys as another process sees them; undefined where no other can. */
  readonly other?: KeyStore;
  readonly end: () => Promise<void>;
}

export function sampleKey(number: number, more: Partial<AccessKey> = {}): AccessKey {
  return {
    tenant: "acme",
    id: number.toString(16).padStart(12, "0"),
    name: `key ${number}, "quoted" é`,
    scopes: ["read", "write"],
    hash: number.toString(16).padStart(64, "0"),
    createdMs: 1_750_000_000_000 + number,
    expiresMs: undefined,
    quota: { requestsPerMinute: undefined, bytesPerDay: undefined },
    ...more,
  };
}

/** What every place for keys promises. */
export function keyStoreSuite(name: string, open: () => Promise<KeyStoreUnderTest>): void {
  const on = (body: (keys: KeyStore, other: KeyStore) => Promise<void>) => async (): Promise<void> => {
    const opened = await open();
    try {
      await body(opened.keys, opened.other ?? opened.keys);
    } finally {
      await opened.end();
    }
  };

  describe(`${name} as a key store`, () => {
    test(
      "is empty at first",
      on(async (keys) => {
        expect(await keys.list("acme")).toEqual({ keys: [], unreadable: [] });
      }),
    );

    test(
      "gives back keys with all they have, oldest first",
      on(async (keys, other) => {
        const full = sampleKey(0xffff_ffff_ffff, {
          createdMs: 1,
          scopes: ["admin"],
          expiresMs: 2,
          quota: { requestsPerMinute: 3, bytesPerDay: 4 },
          previous: { hash: "a".repeat(64), expiresMs: 5 },
        });
        for (const key of [sampleKey(2), sampleKey(1), full]) expect(await keys.add(key)).toBe(true);

        const { keys: listed } = await other.list("acme");

        expect(listed).toEqual([full, sampleKey(1), sampleKey(2)]);
      }),
    );

    test(
      "keeps tenants apart, whose names begin alike and whose ids are the same",
      on(async (keys) => {
        const tenants = ["acme", "acme-2", "a"];
        for (const tenant of tenants) await keys.add(sampleKey(1, { tenant }));

        for (const tenant of tenants) {
          expect((await keys.list(tenant)).keys).toEqual([sampleKey(1, { tenant })]);
        }
        expect((await keys.list("acm")).keys).toEqual([]);
      }),
    );

    test(
      "adds no second key with an id",
      on(async (keys) => {
        await keys.add(sampleKey(1));

        expect(await keys.add(sampleKey(1, { name: "another" }))).toBe(false);

        expect((await keys.list("acme")).keys).toEqual([sampleKey(1)]);
      }),
    );

    test(
      "replaces and removes a key only while it is as it was read",
      on(async (keys, other) => {
        const [first, second] = [sampleKey(1), sampleKey(1, { expiresMs: 9 })];
        await keys.add(first);

        expect(await keys.replace(first, second)).toBe(true);
        expect(await other.replace(first, sampleKey(1, { name: "lost" }))).toBe(false);
        expect(await other.remove(first)).toBe(false);
        expect((await keys.list("acme")).keys).toEqual([second]);
        expect(await other.remove(second)).toBe(true);
        expect(await keys.replace(second, first)).toBe(false);
        expect((await keys.list("acme")).keys).toEqual([]);
      }),
    );

    test(
      "loses no change of many that are made at once",
      on(async (keys, other) => {
        const numbers = Array.from({ length: 12 }, (_, i) => i);

        const added = await Promise.all(numbers.map((i) => (i % 2 ? keys : other).add(sampleKey(i))));
        const changed = await Promise.all(
          numbers.map((i) => (i % 2 ? other : keys).replace(sampleKey(i), sampleKey(i, { expiresMs: i }))),
        );
        const again = await Promise.all([keys, other].map((store, i) => store.add(sampleKey(99, { expiresMs: i }))));

        expect([...added, ...changed]).toEqual(Array.from({ length: 24 }, () => true));
        expect(again.filter((isAdded) => isAdded)).toHaveLength(1);
        const { keys: listed } = await keys.list("acme");
        const last = sampleKey(99, { expiresMs: again.indexOf(true) });
        expect(listed).toEqual([...numbers.map((i) => sampleKey(i, { expiresMs: i })), last]);
      }),
    );
  });
}
