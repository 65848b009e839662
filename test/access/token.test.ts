import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { namesInToken, newKeyId, newToken, sameHash, tokenHash } from "../../core/access/token.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { holds } from "../support/property.ts";

const tenants = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/);
const ids = fc.stringMatching(/^[0-9a-f]{12}$/);
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe("a token", () => {
  test("spells its secret in base64url, all 256 bits of it", async () => {
    await holds(
      import.meta.filename,
      fc.property(tenants, ids, bytes32, (tenant, id, secret) => {
        const token = newToken({ tenant, id }, { bytes: (length) => secret.slice(0, length) });

        expect(token).toBe(`pl_${tenant}_${id}_${Buffer.from(secret).toString("base64url")}`);
      }),
      { runs: 300 },
    );
  });

  test("tells tenant and key, whatever the secret holds", async () => {
    await holds(
      import.meta.filename,
      fc.property(tenants, ids, bytes32, (tenant, id, secret) => {
        const token = newToken({ tenant, id }, { bytes: () => secret });

        expect(namesInToken(token)).toEqual({ tenant, id });
      }),
      { runs: 300 },
    );
  });

  const secret = "A".repeat(43);
  test.each([
    "",
    "acme",
    `acme_0123456789ab_${secret}`,
    `pl_acme_0123456789ab_${secret}A`,
    `pl_acme_0123456789ab_${secret.slice(1)}`,
    `pl_acme_0123456789AB_${secret}`,
    `pl_acme_0123456789a_${secret}`,
    `pl_Acme_0123456789ab_${secret}`,
    `pl_-acme_0123456789ab_${secret}`,
    `pl__0123456789ab_${secret}`,
    `pl_${"a".repeat(64)}_0123456789ab_${secret}`,
    `pl_acme_0123456789ab_${secret.slice(1)}=`,
    `pl_acme_0123456789ab_${secret}\n`,
    ` pl_acme_0123456789ab_${secret}`,
  ])("is not %j", (text) => {
    expect(namesInToken(text)).toBeUndefined();
  });

  test("has an id below 2^48 and is never made twice", () => {
    const random = new SystemRandom();
    const made = Array.from({ length: 1_000 }, () => newKeyId(random));

    for (const id of made) expect(Number.parseInt(id, 16)).toBeLessThan(2 ** 48);
    expect(new Set(made).size).toBe(1_000);
    expect(made.every((id) => /^[0-9a-f]{12}$/.test(id))).toBe(true);
  });

  test("has another hash for another tenant, another key and another secret", () => {
    const tokens = ["a", "b"].flatMap((tenant) =>
      ["0", "1"].flatMap((digit) =>
        ["A", "B"].map((letter) => `pl_${tenant}_${digit.repeat(12)}_${letter.repeat(43)}`),
      ),
    );

    const hashes = tokens.map((token) => tokenHash(token, nodeDigest));

    expect(new Set(hashes).size).toBe(8);
    for (const hash of hashes) expect(hash).toMatch(/^[0-9a-f]{64}$/);
  });
});

test("two hashes are the same only if each digit is, and all are looked at", () => {
  const hash = tokenHash("x", nodeDigest);
  for (let at = 0; at < 64; at++) {
    const other = hash.slice(0, at) + (hash[at] === "0" ? "1" : "0") + hash.slice(at + 1);
    expect(sameHash(hash, other)).toBe(false);
    expect(sameHash(hash, hash.slice(0, at))).toBe(false);
    expect(sameHash(hash.slice(0, at), hash)).toBe(false);
  }
  expect(sameHash(hash, `${hash}`)).toBe(true);
  expect(sameHash("", hash)).toBe(false);

  const looked: number[] = [];
  const watched = { length: 64, charCodeAt: (at: number) => looked.push(at) } as unknown as string;
  sameHash(watched, hash);
  expect(looked).toEqual(Array.from({ length: 64 }, (_, at) => at));
});
