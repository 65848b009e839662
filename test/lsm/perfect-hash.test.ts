import { describe, expect, test } from "vitest";
import {
  PerfectHashBuilder,
  partShape,
  pilotsBefore,
  remapBefore,
  slotOf,
  type PartShape,
} from "../../core/lsm/perfect-hash.ts";
import { seededRandom } from "../support/seeded-random.ts";

interface Keys {
  readonly key0: Int32Array;
  readonly key1: Int32Array;
}

describe("a minimal perfect hash", () => {
  test("gives every key a slot of its own below their number, for any number of keys", () => {
    for (const count of [1, 2, 3, 4, 5, 7, 10, 20, 50, 95, 96, 97, 200, 500, 1000, 3000, 20_000]) {
      for (let seed = 1; seed <= (count < 1000 ? 20 : 2); seed++) expectPerfect(randomKeys(count, seed));
    }
  });

  test("tells keys apart that differ in one word alone", () => {
    const count = 2000;
    const counting = Int32Array.from({ length: count }, (_, i) => i);
    expectPerfect({ key0: counting, key1: new Int32Array(count) });
    expectPerfect({ key0: new Int32Array(count), key1: counting });
    expectPerfect({ key0: counting.map((i) => i << 16), key1: counting.map((i) => -i) });
  });

  test("takes at most 2.5 bits a key, with seeds and starts, for 100,000 keys in parts of some 2,000", () => {
    const keys = 100_000;
    const parts = 48;
    const bits = 8 * pilotsBefore(keys, parts) + 16 * remapBefore(keys, parts) + parts * (8 + 32);
    expect(bits / keys).toBeLessThan(2.5);
    expectPerfect(randomKeys(2083, 7));
  });

  test("answers some slot of the part for a key that is not of it", () => {
    const keys = randomKeys(1000, 1);
    const { arrays, shape, seed } = build(keys);
    const random = seededRandom(2);
    for (let i = 0; i < 1000; i++) {
      const slot = slotIn(random() * 2 ** 32, random() * 2 ** 32, seed, shape, arrays);
      expect(slot).toBeGreaterThanOrEqual(0);
      expect(slot).toBeLessThan(1000);
    }
  });

  test("is built where other parts lie before and behind it, and leaves them as they are", () => {
    const keys = randomKeys(500, 3);
    const before = 12_345;
    const shape = partShape(9, before, before + 500);
    const arrays = {
      pilots: new Uint8Array(pilotsBefore(before + 5000, 20)).fill(7),
      remap: new Uint16Array(remapBefore(before + 5000, 20)).fill(7),
    };
    built(new PerfectHashBuilder().build(keys.key0, keys.key1, shape, arrays));

    expect(arrays.pilots.subarray(0, shape.pilotsAt).every((pilot) => pilot === 7)).toBe(true);
    expect(arrays.pilots.subarray(shape.pilotsAt + shape.buckets).every((pilot) => pilot === 7)).toBe(true);
    expect(arrays.remap.subarray(shape.remapAt + shape.spare).every((slot) => slot === 7)).toBe(true);
  });
});

function built(steps: Generator<void, number>): number {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

function randomKeys(count: number, seed: number): Keys {
  const random = seededRandom(seed);
  const words = () => Int32Array.from({ length: count }, () => Math.floor(random() * 2 ** 32));
  return { key0: words(), key1: words() };
}

function build({ key0, key1 }: Keys) {
  const shape = partShape(0, 0, key0.length);
  const arrays = {
    pilots: new Uint8Array(pilotsBefore(key0.length, 1)),
    remap: new Uint16Array(remapBefore(key0.length, 1)),
  };
  const seed = built(new PerfectHashBuilder().build(key0, key1, shape, arrays));
  return { shape, arrays, seed };
}

function slotIn(
  key0: number,
  key1: number,
  seed: number,
  { keys, pilotsAt, buckets, remapAt, spare }: PartShape,
  arrays: ReturnType<typeof build>["arrays"],
): number {
  return slotOf(key0 | 0, key1 | 0, seed, keys, pilotsAt, buckets, remapAt, spare, arrays);
}

function expectPerfect(keys: Keys): void {
  const { shape, arrays, seed } = build(keys);
  const taken = new Set<number>();
  for (let i = 0; i < keys.key0.length; i++) {
    taken.add(slotIn(keys.key0[i] ?? 0, keys.key1[i] ?? 0, seed, shape, arrays));
  }
  expect(taken.size).toBe(keys.key0.length);
  expect(Math.max(...taken)).toBe(keys.key0.length - 1);
}
