import { describe, expect, test } from "vitest";
import { KeyHasher } from "../../core/index/key-hasher.ts";
import { WordTable } from "../../core/index/word-table.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { ChangeTable } from "../../core/lsm/change-table.ts";
import { key1Mask } from "../../core/lsm/index-key.ts";
import { jumpHash } from "../../core/lsm/jump-hash.ts";
import { LaneMap } from "../../core/lsm/lane-map.ts";
import { overlaySource } from "../../core/lsm/overlay-source.ts";
import { decodeRunFooter, residentArrays, runFooterBytes } from "../../core/lsm/run-format.ts";
import { runBytes } from "../support/runs-in-memory.ts";
import { seededRandom } from "../support/seeded-random.ts";

/**
 * Suspected: whoever chooses ids makes one lane, one part of a run or one stretch of a table hold all of them. He knows the
 * code and may try as many names as he likes, but not the store's secret. What he finds for a secret of zeros is given to
 * the index with that secret, where it must do harm, or these tests would show nothing; and with others, where it must not.
 */
const zeros = new Uint8Array(16);
const secrets = [1, 2, 3].map((seed) => {
  const random = seededRandom(seed);
  return Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256));
});

const lanes = 64;

describe("ids that are chosen for a secret of zeros", () => {
  test("so that one lane gets them all, fall evenly to the lanes under another secret", () => {
    const ids = chosen(2000, (key0, key1) => jumpHash(key0, key1, lanes) === 7);

    expect(fullestLane(ids, zeros)).toBe(2000);
    // 31 a lane and a standard deviation of 5.6: six of them more.
    for (const secret of secrets) expect(fullestLane(ids, secret)).toBeLessThan(65);
  });

  test("so that one part of a run gets them all, fall evenly to the parts under another secret", () => {
    const ids = chosen(25_000, (key0) => key0 >>> 28 === 9);

    expect(partsOf(ids, zeros).filter((keys) => keys > 0)).toEqual([25_000]);
    for (const secret of secrets) {
      const parts = partsOf(ids, secret);
      expect(parts).toHaveLength(16);
      // 1,562 a part and a standard deviation of 38: six of them less or more.
      expect(Math.min(...parts)).toBeGreaterThan(1330);
      expect(Math.max(...parts)).toBeLessThan(1800);
    }
  });

  test("so that a table sends them to a few slots, take no more probes than others under another secret", () => {
    const ids = chosen(2000, (key0) => (key0 & 0xff) === 0);

    expect(meanProbes(ids, zeros)).toBeGreaterThan(50);
    for (const secret of secrets) {
      // 1.5 at a load of a half, by Knuth's formula.
      expect(meanProbes(ids, secret)).toBeLessThan(2);
    }
  });
});

/** @returns ids whose keys are as somebody wishes under a secret of zeros */
function chosen(count: number, fits: (key0: number, key1: number) => boolean): string[] {
  const keyOf = keysUnder(zeros);
  const ids: string[] = [];
  for (let i = 0; ids.length < count; i++) {
    const id = `id ${i}`;
    if (fits(...keyOf(id))) ids.push(id);
  }
  return ids;
}

/** Ids → keys, as the index makes them. */
function keysUnder(secret: Uint8Array): (id: string) => readonly [number, number] {
  const hasher = new KeyHasher(secret);
  const group = new Int32Array(4);
  const hash = new Int32Array(4);
  hasher.group("t", "g", group);
  return (id) => {
    hasher.id(group, id, hash);
    return [hash[0]!, hash[1]! & key1Mask];
  };
}

function fullestLane(ids: readonly string[], secret: Uint8Array): number {
  const map = new LaneMap(lanes);
  const keyOf = keysUnder(secret);
  for (const [i, id] of ids.entries()) map.assign(...keyOf(id), [i]);
  return Math.max(...map.lanes.map(({ overlay }) => overlay.size));
}

/** Keys in each part of a run of these ids. */
function partsOf(ids: readonly string[], secret: Uint8Array): number[] {
  const table = new ChangeTable();
  const keyOf = keysUnder(secret);
  for (const [i, id] of ids.entries()) table.assign(...keyOf(id), [i]);
  const bytes = runBytes([overlaySource(table)], true)!;
  const crc32 = (part: Uint8Array, seed?: number) => nodeDigest.crc32(part, seed);
  const footer = decodeRunFooter(bytes.slice(-runFooterBytes), bytes.length, crc32);
  if (!footer.ok) throw new Error(footer.damage);
  const { residentAt, residentBytes } = footer.value.layout;
  const { starts } = residentArrays(bytes.slice(residentAt, residentAt + residentBytes), footer.value.layout);
  return Array.from(starts.subarray(1), (end, part) => end - starts[part]!);
}

/** Slots that a look-up of an id that is there looks at, on the average. */
function meanProbes(ids: readonly string[], secret: Uint8Array): number {
  const table = new WordTable(2, 1);
  const keyOf = keysUnder(secret);
  for (const id of ids) table.setValue(table.insert(Int32Array.from(keyOf(id))), 0, 1);
  const width = 3;
  const slots = table.words.length / width;
  let probes = 0;
  for (const at of table.slots()) {
    const home = table.words[at]! & (slots - 1);
    probes += 1 + ((at / width - home + slots) % slots);
  }
  return probes / table.size;
}
