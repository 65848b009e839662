import { describe, expect, test } from "vitest";
import { view } from "../../core/bytes.ts";
import { adds, clears, noChange, only, removes, several, type ChangeKind } from "../../core/lsm/change.ts";
import { ChangeTable } from "../../core/lsm/change-table.ts";
import { key1Mask } from "../../core/lsm/index-key.ts";
import { overlaySource } from "../../core/lsm/overlay-source.ts";
import { runFooterBytes, runLayout } from "../../core/lsm/run-format.ts";
import type { Run } from "../../core/lsm/run.ts";
import { memoryFile, openRun, runBytes } from "../support/runs-in-memory.ts";
import { seededRandom } from "../support/seeded-random.ts";

type Key = readonly [key0: number, key1: number];

describe("a run", () => {
  test.each([1, 2, 371, 372, 3071, 3073, 6144, 30_000])("of %i keys finds each of them, and no other", (count) => {
    const keys = randomKeys(count, count);
    const run = openRun(runOf(keys));

    const lost = keys.filter((key, i) => run.find(...key) !== only || run.value !== i);
    const invented = randomKeys(20_000, count + 1).filter((key) => run.find(...key) !== noChange);
    expect([lost, invented]).toEqual([[], []]);
  });

  test("tells 99 of 100 keys that it has not without a read", () => {
    const run = openRun(runOf(randomKeys(20_000, 1)));

    for (const key of randomKeys(50_000, 2)) run.find(...key);

    expect(run.reads).toBeLessThan(500);
  });

  test("is not taken in by a key whose fingerprint is that of another one: the slot tells them apart", () => {
    // In a run of one key all others have its slot.
    const [[key0, key1]] = randomKeys(1, 1) as [Key];
    const run = openRun(runOf([[key0, key1]]));
    run.find(key0, key1);
    const before = run.reads;
    const fingerprint = 0xff << 14;
    const alike = randomKeys(2000, 2).map(([other0, other1]): Key => [
      other0,
      (other1 & ~fingerprint) | (key1 & fingerprint),
    ]);
    const near: Key[] = [...Array(32).keys()].map((bit) => [key0 ^ (1 << bit), key1]);
    for (let bit = 22; bit < 32; bit++) near.push([key0, key1 ^ (1 << bit)]);

    const taken = [...alike, ...near].filter((key) => run.find(...key) !== noChange);

    expect(taken).toEqual([]);
    expect(run.reads - before).toBeGreaterThanOrEqual(2042);
    expect(run.find(key0, key1)).toBe(only);
  });

  test("reads a page once to check it, and then a slot for a hit", () => {
    const keys = randomKeys(20_000, 1);
    const bytes = runOf(keys);
    let read = 0;
    const file = memoryFile(bytes);
    const run = openRun(bytes, {
      ...file,
      read: (target, offset) => {
        read += target.length;
        return file.read(target, offset);
      },
    });
    for (const key of keys) run.find(...key);
    const before = { reads: run.reads, read };

    for (const key of keys) run.find(...key);

    expect(run.reads - before.reads).toBe(keys.length);
    expect(read - before.read).toBe(16 * keys.length);
  });

  test("reads a page once for all keys in it that are asked together", () => {
    const keys = randomKeys(20_000, 1);
    const run = openRun(runOf(keys));
    for (const key of keys) run.find(...key);
    const wanted = [...keys.slice(0, 1000), ...randomKeys(1000, 2)];
    const places = Int32Array.from(wanted.keys());
    const before = run.reads;
    const found = new Map<number, ChangeKind>();

    run.findMany(
      places.map((i) => wanted[i]![0]),
      places.map((i) => wanted[i]![1]),
      [...places],
      (place, kind) => {
        found.set(place, kind);
        if (kind !== noChange) expect(run.value).toBe(place);
      },
    );

    // 54 pages of slots, and a fingerprint in 256 that is that of a key which is not there.
    expect(run.reads - before).toBeLessThanOrEqual(54);
    expect(
      [...found]
        .filter(([, kind]) => kind === only)
        .map(([place]) => place)
        .toSorted((a, b) => a - b),
    ).toEqual([...places.subarray(0, 1000)]);
  });

  test("takes at most 12 bytes a key on disk, of which 11 bits stay in memory", () => {
    const { keys, bytes, residentBytes } = runLayout({ keys: 15_625, partBits: 3, listWords: 0 });

    expect(bytes / keys).toBeLessThan(12);
    expect((8 * residentBytes) / keys).toBeLessThan(11);
    expect(runOf(randomKeys(keys, 1)).length).toBe(bytes);
  });

  test("keeps every kind of change, with lists of any length", () => {
    const keys = randomKeys(5000, 3);
    const table = new ChangeTable();
    const long = Array.from({ length: 3000 }, (_, i) => i * 3);
    const changes: readonly (readonly [ChangeKind, number])[] = [
      [adds, 7],
      [only, 0xffff_ffff],
      [removes, 0],
      [clears, 0],
    ];
    for (const [i, key] of keys.entries()) {
      const change = changes[i % 5];
      if (change) table.apply(...key, ...change);
      else
        table.apply(...key, several, 0, {
          drops: i % 2 === 0,
          adds: i < 10 ? long : [1, 2],
          removes: i % 2 === 0 ? [] : [4],
        });
    }
    const run = openRun(runBytes([overlaySource(table)], false)!);

    for (const [i, key] of keys.entries()) {
      const kind = run.find(...key);
      const change = changes[i % 5];
      if (change) expect([kind, run.value]).toEqual(change);
      else
        expect(run.found).toEqual({
          drops: i % 2 === 0,
          adds: i < 10 ? long : [1, 2],
          removes: i % 2 === 0 ? [] : [4],
        });
    }
  });

  test("at the bottom has no removals left, and is no file when nothing else was in it", () => {
    const [a, b, c] = randomKeys(3, 4) as [Key, Key, Key];
    const table = new ChangeTable();
    table.apply(...a, adds, 1);
    table.apply(...b, removes, 1);
    table.apply(...c, clears, 0);

    const run = openRun(runBytes([overlaySource(table)], true)!);

    expect(run.keys).toBe(1);
    expect([run.find(...a), run.value]).toEqual([only, 1]);
    const removals = new ChangeTable();
    removals.apply(...b, removes, 1);
    expect(runBytes([overlaySource(removals)], true)).toBeUndefined();
  });

  test("merged of three has the newest of each key, whatever their sizes", () => {
    const keys = randomKeys(9000, 5);
    const build = (some: readonly Key[], value: number) => {
      const table = new ChangeTable();
      for (const key of some) table.apply(...key, only, value);
      return table;
    };
    const oldest = openRun(runBytes([overlaySource(build(keys, 1))], false)!);
    const newer = openRun(runBytes([overlaySource(build(keys.slice(0, 4000), 2))], false)!);
    const newest = build(keys.slice(3000, 3100), 3);

    const run = openRun(runBytes([oldest, newer, overlaySource(newest)], true)!);

    expect(run.keys).toBe(9000);
    for (const [i, key] of keys.entries()) {
      run.find(...key);
      expect(run.value).toBe(i >= 3000 && i < 3100 ? 3 : i < 4000 ? 2 : 1);
    }
  });

  test.each([1, 2, 5])("merged with an overlay of %i changes, fewer than it has parts, has each once", (count) => {
    const keys = randomKeys(9000, 5);
    const table = new ChangeTable();
    for (const key of randomKeys(count, 6)) table.apply(...key, only, 3);

    const run = openRun(runBytes([openRun(runOf(keys)), overlaySource(table)], true)!);

    expect(run.keys).toBe(9000 + count);
    expect(keys.filter((key, i) => run.find(...key) !== only || run.value !== i)).toEqual([]);
    expect(randomKeys(count, 6).filter((key) => run.find(...key) !== only || run.value !== 3)).toEqual([]);
  });

  test("with any byte flipped is damaged when it is opened or asked, or answers as before", () => {
    const keys = randomKeys(450, 6);
    const table = new ChangeTable();
    for (const [i, key] of keys.entries()) table.assign(...key, i % 50 === 0 ? [i, i + 1] : [i]);
    const bytes = runBytes([overlaySource(table)], true)!;
    const strangers = randomKeys(40, 7);
    const wrong: string[] = [];
    let damaged = 0;
    for (let at = 0; at < bytes.length; at++) {
      bytes[at]! ^= 1 << (at % 8);
      const run = opened(bytes);
      // From another key on for each byte, and on until damage is met.
      for (const [n] of run ? keys.entries() : []) {
        const i = (n + at) % keys.length;
        const key = keys[i]!;
        const found = asked(run!, key);
        const expected = i % 50 === 0 ? `${i},${i + 1}` : `${i}`;
        if (found === undefined) {
          damaged += 1;
          break;
        }
        if (String(found) !== expected) wrong.push(`byte ${at}, key ${i}: ${String(found)}`);
      }
      for (const key of run ? strangers : []) {
        if (asked(run!, key)?.length) wrong.push(`byte ${at}: a key that is not there`);
      }
      bytes[at]! ^= 1 << (at % 8);
    }
    expect(wrong).toEqual([]);
    expect(damaged).toBeGreaterThan(400);
  });

  test("whose page changes after it was read once is damaged, not wrong: each slot has a check of its own", () => {
    const keys = randomKeys(300, 8);
    const bytes = runOf(keys);
    const run = openRun(bytes);
    for (const key of keys) run.find(...key);
    let refused = 0;
    let wrong = 0;
    for (let at = 4; at < 4 + 300 * 11; at++) {
      bytes[at]! ^= 1 << (at % 8);
      for (const [i, key] of keys.entries()) {
        const found = asked(run, key);
        if (found === undefined) refused += 1;
        else if (found[0] !== i) wrong += 1;
      }
      bytes[at]! ^= 1 << (at % 8);
    }
    expect([refused, wrong]).toEqual([300 * 11, 0]);
  });

  test("cut short anywhere, or longer, is damaged", () => {
    const bytes = runOf(randomKeys(500, 9));
    for (let length = 0; length < bytes.length; length += 97) expect(opened(bytes.subarray(0, length))).toBeUndefined();
    const longer = new Uint8Array(bytes.length + 4096);
    longer.set(bytes);
    expect(opened(longer)).toBeUndefined();
  });

  test("whose footer promises more than there is gets no room", () => {
    const bytes = runOf(randomKeys(500, 9));
    const footer = view(bytes.subarray(bytes.length - runFooterBytes));
    footer.setUint32(12, 0xffff_ffff, true);
    expect(opened(bytes)).toBeUndefined();
  });
});

function randomKeys(count: number, seed: number): Key[] {
  const random = seededRandom(seed);
  const word = () => Math.floor(random() * 2 ** 32) | 0;
  return Array.from({ length: count }, () => [word(), word() & key1Mask] as const);
}

function runOf(keys: readonly Key[]): Uint8Array {
  const table = new ChangeTable();
  for (const [i, key] of keys.entries()) table.assign(...key, [i]);
  return runBytes([overlaySource(table)], true)!;
}

function opened(bytes: Uint8Array): Run | undefined {
  try {
    return openRun(bytes);
  } catch (error) {
    expect(error).toMatchObject({ code: "CORRUPT" });
    return undefined;
  }
}

/** The values of a key, `undefined` when damage was met. */
function asked(run: Run, key: Key): readonly number[] | undefined {
  try {
    const kind = run.find(...key);
    if (kind === noChange) return [];
    return kind === several ? run.found?.adds : [run.value];
  } catch (error) {
    expect(error).toMatchObject({ code: "CORRUPT" });
    return undefined;
  }
}
