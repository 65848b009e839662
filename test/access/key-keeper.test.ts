import { beforeEach, describe, expect, test } from "vitest";
import { accessOver, type Access } from "../../core/access/access.ts";
import type { NewKey } from "../../core/access/key-keeper.ts";
import { MemoryKeyStore } from "../../core/adapters/memory/memory-key-store.ts";
import { MemoryUsageLedger } from "../../core/adapters/memory/memory-usage-ledger.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { limits } from "../../core/limits.ts";
import { sampleKey } from "../support/key-store-suite.ts";
import { ManualClock } from "../support/manual-clock.ts";

const hourMs = 3_600_000;

describe("a key's life", () => {
  let clock: ManualClock;
  let keys: MemoryKeyStore;
  let access: Access;
  beforeEach(() => {
    clock = new ManualClock();
    keys = new MemoryKeyStore();
    access = open();
  });
  const open = (): Access => {
    const ports = { clock, random: new SystemRandom(), digest: nodeDigest };
    return accessOver({ ...ports, keys, ledger: new MemoryUsageLedger() });
  };
  const newKey: NewKey = { tenant: "acme", name: "n", scopes: ["read"] };
  /** What becomes of a token in a process that has cached nothing. */
  const outcomeOf = async (token: string, { authenticator } = open()): Promise<string> => {
    try {
      return `key ${(await authenticator.keyOf(token)).id}`;
    } catch (error) {
      if (isPayloadStoreError(error, "UNAUTHENTICATED")) return error.message;
      throw error;
    }
  };
  const unknown = "there is no such key";

  test("begins with a token that opens it, and of which only a hash is kept", async () => {
    const { key, token } = await access.keeper.create({
      ...newKey,
      quota: { bytesPerDay: 5 },
      expiresMs: clock.ms + 1,
    });

    expect(key).toMatchObject({ tenant: "acme", name: "n", scopes: ["read"], quota: { bytesPerDay: 5 } });
    expect(await outcomeOf(token)).toBe(`key ${key.id}`);
    expect(JSON.stringify(await keys.list("acme"))).not.toContain(token.slice(-43));
    expect((await access.keeper.list("acme")).keys).toEqual([key]);
  });

  test("is closed to every token that differs in any one character", async () => {
    const { token } = await access.keeper.create(newKey);

    for (let at = 0; at < token.length; at++) {
      const other = token.slice(0, at) + (token[at] === "b" ? "c" : "b") + token.slice(at + 1);
      expect(await outcomeOf(other), other).not.toMatch(/^key \w+$/);
    }
  });

  test("is closed to the token of another key, with its id put in", async () => {
    const [first, second] = [await access.keeper.create(newKey), await access.keeper.create(newKey)];

    expect(await outcomeOf(first.token.replace(first.key.id, second.key.id))).toBe(unknown);
  });

  test("cannot be moved to another tenant by who can write the records", async () => {
    const { key, token } = await access.keeper.create(newKey);
    await keys.add({ ...key, tenant: "victim" });

    expect(await outcomeOf(token.replace("pl_acme_", "pl_victim_"))).toBe(unknown);
  });

  test("ends at its expiry, to the millisecond, also where it is cached", async () => {
    const { key, token } = await access.keeper.create({ ...newKey, expiresMs: clock.ms + 10 });
    expect(await outcomeOf(token, access)).toBe(`key ${key.id}`);

    clock.ms += 9;
    expect(await outcomeOf(token, access)).toBe(`key ${key.id}`);
    clock.ms += 1;
    expect(await outcomeOf(token, access)).toBe(`key ${key.id} has expired`);
    // Who has not the token learns nothing of it.
    expect(await outcomeOf(token.slice(0, -2) + "AA")).toBe(unknown);
  });

  test("can be ended now, or later, and later changed to another time", async () => {
    const { key, token } = await access.keeper.create(newKey);

    await access.keeper.expire("acme", key.id, clock.ms + 2 * hourMs);
    await access.keeper.expire("acme", key.id, clock.ms + hourMs);
    expect(await outcomeOf(token)).toBe(`key ${key.id}`);
    clock.ms += hourMs;
    expect(await outcomeOf(token)).toBe(`key ${key.id} has expired`);

    const other = await access.keeper.create(newKey);
    await access.keeper.expire("acme", other.key.id);
    expect(await outcomeOf(other.token)).toBe(`key ${other.key.id} has expired`);
    await expect(access.keeper.expire("acme", other.key.id)).rejects.toMatchObject({ code: "INVALID" });
  });

  test("has two tokens for the overlap of a rotation, and one afterwards", async () => {
    const { key, token } = await access.keeper.create(newKey);
    const rotated = await access.keeper.rotate("acme", key.id, 24 * hourMs);

    expect(rotated.key.id).toBe(key.id);
    expect(await outcomeOf(token)).toBe(`key ${key.id}`);
    expect(await outcomeOf(rotated.token)).toBe(`key ${key.id}`);
    clock.ms += 24 * hourMs;
    expect(await outcomeOf(token)).toBe(unknown);
    expect(await outcomeOf(rotated.token)).toBe(`key ${key.id}`);
  });

  test("has two tokens at most: a second rotation ends the first one's overlap", async () => {
    const { key, token } = await access.keeper.create(newKey);
    const second = await access.keeper.rotate("acme", key.id, 24 * hourMs);
    const third = await access.keeper.rotate("acme", key.id, 0);

    expect(await outcomeOf(token)).toBe(unknown);
    expect(await outcomeOf(second.token)).toBe(unknown);
    expect(await outcomeOf(third.token)).toBe(`key ${key.id}`);
  });

  test("ends with both of its tokens", async () => {
    const { key, token } = await access.keeper.create(newKey);
    const rotated = await access.keeper.rotate("acme", key.id, 24 * hourMs);

    await access.keeper.expire("acme", key.id);

    for (const each of [token, rotated.token]) expect(await outcomeOf(each)).toBe(`key ${key.id} has expired`);
    await expect(access.keeper.rotate("acme", key.id, 0)).rejects.toMatchObject({ code: "INVALID" });
  });

  test.each<readonly [string, Partial<NewKey>, string]>([
    ["no scope", { scopes: [] }, "scope"],
    ["an unknown scope", { scopes: ["read", "root" as "read"] }, "scope"],
    ["no name", { name: "" }, "name"],
    ["a name that is too long", { name: "é".repeat(101) }, "name"],
    ["a name that UTF-8 cannot spell", { name: "\ud800" }, "name"],
    ["a tenant that is none", { tenant: "Acme" }, "tenant"],
    ["an expiry in the past", { expiresMs: 1 }, "expires"],
    ["an expiry that is no time", { expiresMs: Number.NaN }, "expires"],
    ["a quota of nothing", { quota: { requestsPerMinute: 0 } }, "requestsPerMinute"],
    ["a quota that is no number of bytes", { quota: { bytesPerDay: 1.5 } }, "bytesPerDay"],
  ])("does not begin with %s", async (_what, change, field) => {
    await expect(access.keeper.create({ ...newKey, ...change })).rejects.toMatchObject({
      code: "INVALID",
      details: { field },
    });
    expect((await keys.list("acme")).keys).toEqual([]);
  });

  test.each([-1, 0.5, Number.NaN, limits.keyOverlapMsMax + 1])("has no overlap of %s ms", async (overlapMs) => {
    const { key } = await access.keeper.create(newKey);

    await expect(access.keeper.rotate("acme", key.id, overlapMs)).rejects.toMatchObject({ code: "INVALID" });
  });

  test("is not found under another tenant", async () => {
    const { key } = await access.keeper.create(newKey);

    await expect(access.keeper.expire("other", key.id)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(access.keeper.rotate("other", key.id, 0)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("is changed by one of two at the same time, and the other is told", async () => {
    const { key } = await access.keeper.create(newKey);

    const outcomes = await Promise.allSettled([
      access.keeper.rotate("acme", key.id, 0),
      access.keeper.rotate("acme", key.id, 0),
    ]);

    const [lost] = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
    expect(lost?.reason).toMatchObject({ code: "CONFLICT" });
  });

  test("leaves room for others once it has been over for 90 days", async () => {
    for (let i = 0; i < limits.keysPerTenantMax; i++) await keys.add(sampleKey(i, { expiresMs: clock.ms }));
    await expect(access.keeper.create(newKey)).rejects.toMatchObject({ code: "INVALID", details: { field: "tenant" } });

    clock.ms += limits.expiredKeyKeptMs - 1;
    await expect(access.keeper.create(newKey)).rejects.toMatchObject({ code: "INVALID" });
    clock.ms += 1;
    const { key } = await access.keeper.create(newKey);

    expect((await keys.list("acme")).keys).toEqual([key]);
  });
});
