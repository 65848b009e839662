import { describe, expect, test } from "vitest";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { adds, noChange, only, removes, several, clears, type ChangeKind } from "../../core/lsm/change.ts";
import { ChangeTable } from "../../core/lsm/change-table.ts";
import { key1Mask } from "../../core/lsm/index-key.ts";
import { SavedOverlay } from "../../core/lsm/saved-overlay.ts";
import { memoryFile, overlayBytes } from "../support/runs-in-memory.ts";
import { seededRandom } from "../support/seeded-random.ts";

type Key = readonly [key0: number, key1: number];
const kinds: readonly ChangeKind[] = [adds, only, removes, clears, several];

/** Suspected: a table that is asked before it is made takes a value for a key, or another key that has the same first word. */
describe("a saved table of changes", () => {
  test("says of each key what was saved, before a table is made of it, and after; of others nothing", () => {
    const { table, keys } = sampleTable(500);
    const expected = keys.map((key) => answer(table, key));

    for (let first = 0; first < keys.length; first += 7) {
      // A few look-ups, and then many: the first ones go through the changes as they lie.
      const saved = reopened(table);
      const asked = [...keys.slice(first), ...keys.slice(0, first)];
      const known = [...expected.slice(first), ...expected.slice(0, first)];
      expect(asked.map((key) => answer(saved, key))).toEqual(known);
      expect(asked.map(([key0, key1]) => answer(saved, [key1, key0]))).toEqual(asked.map(() => "0"));
    }
  });

  test("does not take the value of one change, and the first word of the next, for a key", () => {
    const table = new ChangeTable();
    table.apply(0x10, 0, only, 0xabc_0000);
    table.apply(0x4_0001, 0, only, 1);

    expect(answer(reopened(table), [0xabc_0000, 0x4_0000])).toBe("0");
    expect(answer(reopened(table), [0x4_0001, 0])).toBe("2 1");
  });

  test("takes changes over what was saved after any number of look-ups", () => {
    const { table, keys } = sampleTable(60);
    for (let looks = 0; looks < 40; looks++) {
      const saved = reopened(table);
      for (const key of keys.slice(0, looks)) saved.find(...key);

      saved.apply(...keys[looks]!, only, 77);

      expect(answer(saved, keys[looks]!)).toBe("2 77");
      expect(answer(saved, keys[looks + 1]!)).toBe(answer(table, keys[looks + 1]!));
      expect(saved.size).toBeGreaterThanOrEqual(60);
    }
  });

  test("is changed as one that was never saved is, before a table is made of it and after, and has as many keys then", () => {
    const random = seededRandom(3);
    for (let round = 0; round < 30; round++) {
      const { table: plain, keys } = sampleTable(60);
      const saved = reopened(plain);
      const all = [...keys, ...sampleTable(90).keys.slice(60)];
      const steps = Math.floor(random() * 60);
      for (let step = 0; step < steps; step++) {
        const key = all[Math.floor(random() * all.length)]!;
        const kind = kinds[Math.floor(random() * kinds.length)]!;
        const whole = kind === several ? { drops: step % 2 === 0, adds: [1, 5], removes: [] } : undefined;
        for (const table of [plain, saved]) table.apply(...key, kind, kind === clears ? 0 : step % 7, whole);
      }

      expect(saved.size).toBeGreaterThanOrEqual(plain.size);
      expect(all.map((key) => answer(saved, key))).toEqual(all.map((key) => answer(plain, key)));
      expect(contents(reopened(saved))).toEqual(contents(plain));
      expect(contents(saved)).toEqual(contents(plain));
      expect(saved.size).toBe(plain.size);
    }
  });

  test("is read once for a few look-ups, and no table is made of it", () => {
    const { table, keys } = sampleTable(60);
    const bytes = overlayBytes([table]);
    const file = memoryFile(bytes);
    let reads = 0;
    const counted = {
      ...file,
      read: (target: Uint8Array, offset: number) => {
        reads += 1;
        return file.read(target, offset);
      },
    };
    const [saved] = new SavedOverlay("overlay", counted, bytes.length, crc32).tables;
    const before = reads;

    for (const key of keys.slice(0, 20)) saved!.find(...key);

    expect(reads - before).toBe(1);
  });

  test("whose bytes are not what was saved is refused at its first look-up", () => {
    const { table, keys } = sampleTable(60);
    const bytes = overlayBytes([table]);
    bytes[5]! ^= 1;
    const [saved] = new SavedOverlay("overlay", memoryFile(bytes), bytes.length, crc32).tables;

    expect(() => saved!.find(...keys[0]!)).toThrow("crc of table 0 differs");
    expect(() => saved!.find(...keys[1]!)).toThrow("crc of table 0 differs");
  });
});

const crc32 = (bytes: Uint8Array, seed?: number): number => nodeDigest.crc32(bytes, seed);

/** Keys that share first words, and values that are first words of others. */
function sampleTable(count: number): { readonly table: ChangeTable; readonly keys: readonly Key[] } {
  const random = seededRandom(1);
  const word = () => Math.floor(random() * 2 ** 32) | 0;
  const keys: Key[] = [];
  for (let i = 0; i < count; i++) keys.push([i % 3 === 2 ? keys[i - 1]![0] : word(), word() & key1Mask]);
  const table = new ChangeTable();
  for (const [i, key] of keys.entries()) {
    const kind = kinds[i % kinds.length]!;
    const value = keys[(i + 1) % count]![0] >>> 0;
    if (kind === several) table.apply(...key, several, 0, { drops: i % 2 === 0, adds: [i, i + 1], removes: [] });
    else table.apply(...key, kind, kind === clears ? 0 : value);
  }
  return { table, keys };
}

function contents(table: ChangeTable): string[] {
  const lines: string[] = [];
  table.forEach((key0, key1, change) => lines.push(`${key0} ${key1} ${JSON.stringify(change)}`));
  return lines.toSorted();
}

function reopened(table: ChangeTable): ChangeTable {
  const bytes = overlayBytes([table]);
  return new SavedOverlay("overlay", memoryFile(bytes), bytes.length, crc32).tables[0]!;
}

function answer(table: ChangeTable, [key0, key1]: Key): string {
  const kind = table.find(key0, key1);
  if (kind === noChange) return "0";
  return kind === several ? JSON.stringify(table.found) : `${kind} ${table.value}`;
}
