import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WordTable } from "../../core/index/word-table.ts";
import { holds } from "../support/property.ts";

interface Step {
  readonly kind: "set" | "remove";
  readonly key: number;
  readonly value: number;
}

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom("set" as const, "set" as const, "remove" as const),
    key: fc.nat(60),
    value: fc.integer({ min: 1 }),
  }),
  { maxLength: 200 },
);

/** Suspected: a removal that shifts slots back over the end of the table, or past their home, loses a key. */
const hashes: readonly (readonly [name: string, hash: (key: number) => Int32Array])[] = [
  ["a good hash", (key) => Int32Array.of(Math.imul(key + 1, 0x9e3779b1), Math.imul(key + 7, 0x85ebca6b))],
  ["a hash that sends all keys to one slot", (key) => Int32Array.of(0, key)],
  ["a hash that sends all keys to the last slots", (key) => Int32Array.of(-1 - (key & 1), key)],
  ["a hash that sends neighbours to neighbours", (key) => Int32Array.of(key, 0)],
];

describe("WordTable", () => {
  for (const [name, hash] of hashes) {
    test(`answers as a Map does, with ${name}`, async () => {
      await holds(
        import.meta.filename,
        fc.property(steps, (work) => {
          const table = new WordTable(2, 2);
          const model = new Map<number, number>();
          for (const step of work) apply(table, model, hash, step);
          expectSame(table, model, hash);
        }),
        { runs: 200 },
      );
    });
  }

  test("answers as before when it is restored from its words", () => {
    const [, hash] = hashes[0]!;
    const table = new WordTable(2, 2);
    const model = new Map<number, number>();
    for (let key = 0; key < 1000; key++) apply(table, model, hash, { kind: "set", key, value: key + 1 });
    for (let key = 0; key < 1000; key += 3) apply(table, model, hash, { kind: "remove", key, value: 0 });
    const restored = new WordTable(2, 2);

    expect(restored.restore(table.words.slice(), table.size)).toBe(true);

    expectSame(restored, model, hash);
    apply(restored, model, hash, { kind: "set", key: 5000, value: 9 });
    expectSame(restored, model, hash);
  });

  test("does not take words that cannot be a table of its shape", () => {
    const table = new WordTable(2, 2);
    const words = table.words.slice();

    expect(new WordTable(2, 2).restore(words, 1)).toBe(false);
    expect(new WordTable(2, 2).restore(words.subarray(1), 0)).toBe(false);
    expect(new WordTable(2, 2).restore(words.subarray(0, 4 * 8), 0)).toBe(false);
    expect(new WordTable(2, 2).restore(new Int32Array(4 * 24), 0)).toBe(false);
    expect(new WordTable(2, 2).restore(new Int32Array(4 * 16).fill(1), 16)).toBe(false);
    expect(new WordTable(2, 2).restore(words, 0)).toBe(true);
  });

  test("stays small under churn: what was removed takes no room", () => {
    const [, hash] = hashes[0]!;
    const table = new WordTable(2, 1);
    for (let key = 0; key < 100_000; key++) {
      table.setValue(table.insert(hash(key)), 0, 1);
      if (key >= 100) table.remove(table.find(hash(key - 100)));
    }

    expect(table.size).toBe(100);
    expect(table.words.length).toBe(256 * 3);
  });
});

function apply(
  table: WordTable,
  model: Map<number, number>,
  hash: (key: number) => Int32Array,
  { kind, key, value }: Step,
): void {
  if (kind === "set") {
    const at = table.insert(hash(key));
    table.setValue(at, 0, value);
    table.setValue(at, 1, key);
    model.set(key, value);
    return;
  }
  const at = table.find(hash(key));
  expect(at >= 0).toBe(model.delete(key));
  if (at >= 0) table.remove(at);
}

function expectSame(table: WordTable, model: ReadonlyMap<number, number>, hash: (key: number) => Int32Array): void {
  expect(table.size).toBe(model.size);
  for (let key = 0; key <= 60; key++) {
    const at = table.find(hash(key));
    expect(at < 0 ? undefined : table.value(at, 0)).toBe(model.get(key));
    if (at >= 0) expect(table.value(at, 1)).toBe(key);
  }
}
