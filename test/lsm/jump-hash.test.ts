import { describe, expect, test } from "vitest";
import { jumpHash } from "../../core/lsm/jump-hash.ts";
import { KeyHasher } from "../../core/index/key-hasher.ts";
import { key1Mask } from "../../core/lsm/index-key.ts";
import { seededRandom } from "../support/seeded-random.ts";

describe("jump consistent hash", () => {
  // From the tests of the implementations that are in common use, in C++ and Go.
  test.each([
    [1n, 1, 0],
    [42n, 57, 43],
    [0xdead_10ccn, 1, 0],
    [0xdead_10ccn, 666, 361],
    [256n, 1024, 520],
  ])("sends %i among %i buckets to %i", (key, buckets, expected) => {
    expect(jumpHash(Number(key & 0xffff_ffffn), Number(key >> 32n), buckets)).toBe(expected);
  });

  test("computes what the paper's program does with 64-bit integers", () => {
    const random = seededRandom(1);
    for (let i = 0; i < 20_000; i++) {
      const key = word(random) * 2n ** 32n + word(random);
      const buckets = 1 + Math.floor(random() * 2000);
      expect(jumpHash(Number(key & 0xffff_ffffn), Number(key >> 32n), buckets)).toBe(paper(key, buckets));
    }
  });

  test("carries where adding 1 leaves the lower half 0", () => {
    const random = seededRandom(2);
    for (let i = 0; i < 200; i++) {
      const key = word(random) * 2n ** 32n + 0x666313abn;
      expect(jumpHash(0x666313ab, Number(key >> 32n), 2000)).toBe(paper(key, 2000));
    }
  });

  /**
   * 10,000 keys are 156 a lane with a standard deviation of 12.4, 8 %: by chance one lane in 640 is beyond a quarter, so in one
   * index in ten there is one. 100,000 keys are within a quarter in every one.
   */
  test("sends ids to 64 lanes as evenly as chance does, under any secret", () => {
    const [group, hash] = [new Int32Array(4), new Int32Array(4)];
    const beyond = { a10000: [0, 0], a100000: [0, 0] };
    for (let secret = 0; secret < 20; secret++) {
      const hasher = new KeyHasher(new Uint8Array(16).fill(secret));
      hasher.group("t", "g", group);
      const lanes = Array.from({ length: 64 }, () => 0);
      const farOff = (share: number) => lanes.filter((keys) => Math.abs(keys / mean - 1) > share).length;
      let mean = 0;
      for (let i = 0; i < 100_000; i++) {
        hasher.id(group, `id-${i}`, hash);
        lanes[jumpHash(hash[0]!, hash[1]! & key1Mask, 64)]! += 1;
        mean = (i + 1) / 64;
        if (i + 1 !== 10_000) continue;
        beyond.a10000[0]! += farOff(0.25);
        beyond.a10000[1]! += farOff(0.4);
      }
      beyond.a100000[0]! += farOff(0.125);
      beyond.a100000[1]! += farOff(0.25);
    }

    // Of 1,280 lanes.
    expect(beyond.a10000[0]).toBeLessThan(10);
    expect([beyond.a10000[1], ...beyond.a100000]).toEqual([0, 0, 0]);
  });

  test.each([
    [1, 2],
    [7, 8],
    [64, 65],
    [64, 128],
  ])("moves no more than its share of the keys from %i to %i buckets, and none between old ones", (from, to) => {
    const random = seededRandom(from);
    const keys = 50_000;
    let moved = 0;
    for (let i = 0; i < keys; i++) {
      const low = Number(word(random));
      const high = Number(word(random));
      const before = jumpHash(low, high, from);
      const after = jumpHash(low, high, to);
      if (before === after) continue;
      moved += 1;
      expect(after).toBeGreaterThanOrEqual(from);
    }
    expect(moved / keys).toBeLessThan(1 - from / to + 0.01);
    expect(moved / keys).toBeGreaterThan(1 - from / to - 0.01);
  });
});

function word(random: () => number): bigint {
  return BigInt(Math.floor(random() * 2 ** 32));
}

function paper(start: bigint, buckets: number): number {
  let key = start;
  let bucket = -1n;
  let next = 0n;
  while (next < BigInt(buckets)) {
    bucket = next;
    key = BigInt.asUintN(64, key * 2862933555777941757n + 1n);
    next = BigInt(Math.floor(Number(bucket + 1n) * (2 ** 31 / Number((key >> 33n) + 1n))));
  }
  return Number(bucket);
}
