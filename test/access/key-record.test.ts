import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AccessKey } from "../../core/access/access-key.ts";
import { decodeKey, encodeKey } from "../../core/access/key-record.ts";
import { scopes } from "../../core/access/scope.ts";
import { sampleKey } from "../support/key-store-suite.ts";
import { holds } from "../support/property.ts";

const times = fc.maxSafeNat();
const hashes = fc.stringMatching(/^[0-9a-f]{64}$/);
const perhaps = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(values, { nil: undefined });
const keys: fc.Arbitrary<AccessKey> = fc.record({
  tenant: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/),
  id: fc.stringMatching(/^[0-9a-f]{12}$/),
  name: fc.string({ unit: "grapheme" }),
  scopes: fc.subarray([...scopes], { minLength: 1 }),
  hash: hashes,
  createdMs: times,
  expiresMs: perhaps(times),
  quota: fc.record({ requestsPerMinute: perhaps(times), bytesPerDay: perhaps(times) }),
  previous: perhaps(fc.record({ hash: hashes, expiresMs: times })),
});

describe("a key's record", () => {
  test("gives back the key", async () => {
    await holds(
      import.meta.filename,
      fc.property(keys, (key) => {
        expect(decodeKey(JSON.parse(encodeKey(key)))).toEqual(key);
      }),
      { runs: 500 },
    );
  });

  const whole = JSON.parse(
    encodeKey(sampleKey(1, { expiresMs: 1, previous: { hash: "b".repeat(64), expiresMs: 2 } })),
  ) as Record<string, unknown>;

  test.each([
    ["an unknown member, which may narrow the key", { networks: ["10.0.0.0/8"] }],
    ["an unknown quota", { quota: { bytesPerMonth: 1 } }],
    ["an unknown scope", { scopes: ["read", "compact"] }],
    ["a scope that is no text", { scopes: [["read"]] }],
    ["no scopes", { scopes: undefined }],
    ["no quota", { quota: undefined }],
    ["a hash that is none", { hash: "x".repeat(64) }],
    ["an expiry that is text", { expiresMs: "2030" }],
    ["an expiry that is null", { expiresMs: null }],
    ["a quota below zero", { quota: { bytesPerDay: -1 } }],
    ["a token before without its end", { previous: { hash: "b".repeat(64) } }],
    ["a token before that is null", { previous: null }],
    ["an id that is none", { id: "1" }],
    ["a tenant that is none", { tenant: 1 }],
  ])("that has %s is no key", (_what, change) => {
    expect(decodeKey(whole)).toBeDefined();

    expect(decodeKey({ ...whole, ...change })).toBeUndefined();
  });

  test.each([null, undefined, "key", 1, [], [whole]])("is not %j", (json) => {
    expect(decodeKey(json)).toBeUndefined();
  });
});
