import { describe, expect, test } from "vitest";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { concat } from "../../core/bytes.ts";
import { divideLanes } from "../../core/lsm/divide-lanes.ts";
import { LaneMap } from "../../core/lsm/lane-map.ts";
import { MergeSpace } from "../../core/lsm/merge-space.ts";
import type { Run } from "../../core/lsm/run.ts";
import { mergeLane, openRun } from "../support/runs-in-memory.ts";
import { seededRandom } from "../support/seeded-random.ts";

type Expected = Map<string, readonly [key0: number, key1: number, values: readonly number[]]>;

describe("dividing the lanes of a map", () => {
  test("moves the share of the keys that jump hash says, to the new lanes alone, and keeps every answer", () => {
    const map = new LaneMap(8);
    const expected = fill(map);

    const { moved, lanes } = divide(map, 16);

    const living = [...expected.values()].filter(([, , values]) => values.length > 0).length;
    expect(lanes).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
    expect(Math.abs(moved / living - 0.5)).toBeLessThan(0.02);
    expect(wrong(map, expected)).toBe(0);
  });

  test("keeps what is changed while the changes in memory are being divided, and what was there", () => {
    const map = new LaneMap(8);
    const expected = fill(map);
    const keys = [...expected.entries()];
    const change = (from: number, values: (i: number) => readonly number[]) => {
      for (let i = from; i < keys.length; i += 9) {
        const [name, [key0, key1]] = keys[i]!;
        map.assign(key0, key1, values(i));
        expected.set(name, [key0, key1, values(i)]);
      }
    };
    change(0, (i) => [i]);
    let steps = 0;
    for (const _ of map.prepareDivision(16)) change((steps += 1), (i) => (i % 2 === 0 ? [] : [i, i + 1]));
    const before = map.lanes;

    divide(map, 16);

    expect(steps).toBeGreaterThan(8 * 2);
    expect(wrong(map, expected)).toBe(0);
    // What moves is copied beforehand: no table is filled while others wait.
    for (const [i, { overlay }] of before.entries()) expect(map.lanes[i]!.overlay).toBe(overlay);
  });

  test("gives keys that were foreseen before to the lanes that they have now", () => {
    const map = new LaneMap(8);
    const keys = Array.from({ length: 2000 }, (_, i) => [Math.imul(i, 0x9e3779b1), i << 14] as const);
    const foreseen = map.foresee(
      Int32Array.from(keys, ([key0]) => key0),
      Int32Array.from(keys, ([, key1]) => key1),
    );
    const dividing = map.prepareDivision(16);
    for (let lanes = 0; lanes < 4; lanes++) dividing.next();
    for (let i = 0; i < 1000; i++) map.assignForeseen(foreseen, i, i);
    for (const _ of dividing);
    divide(map, 16);

    for (let i = 1000; i < 2000; i++) map.assignForeseen(foreseen, i, i);

    expect(keys.map(([key0, key1]) => map.find(key0, key1))).toEqual(keys.map((_, i) => [i]));
    expect(keys.some((_, i) => map.isStillEmpty(foreseen, i))).toBe(false);
  });

  test("leaves behind what had moved before: it does not come back when it was deleted since", () => {
    const map = new LaneMap(2);
    const expected = fill(map);
    divide(map, 4);
    for (const [name, [key0, key1]] of [...expected].slice(0, 10_000)) {
      map.assign(key0, key1, []);
      expected.set(name, [key0, key1, []]);
    }
    for (const lane of map.lanes) mergeLane(lane, 2);

    divide(map, 8);

    expect(wrong(map, expected)).toBe(0);
  });

  test("leaves behind what had moved before, also in memory and where it is saved for fewer lanes than there are", () => {
    const map = new LaneMap(2);
    const keys = Array.from({ length: 2000 }, (_, i) => [Math.imul(i, 0x9e3779b1), i << 14] as const);
    for (const [key0, key1] of keys) map.assign(key0, key1, [7]);
    divide(map, 4);
    for (const [key0, key1] of keys) map.assign(key0, key1, []);
    for (const lane of map.lanes.slice(2)) mergeLane(lane, 2);

    const again = new LaneMap(8);
    again.takeOverlays(map.lanes.map(({ overlay }) => overlay));

    expect(map.lanes[0]!.overlay.size + map.lanes[1]!.overlay.size).toBe(2000);
    expect(keys.filter(([key0, key1]) => again.find(key0, key1).length > 0)).toEqual([]);
    divide(map, 8);
    expect(keys.filter(([key0, key1]) => map.find(key0, key1).length > 0)).toEqual([]);
  });
});

/** Keys in all three levels of each lane: some of each level are changed in the next, and some are gone. */
function fill(map: LaneMap): Expected {
  const random = seededRandom(1);
  const word = () => Math.floor(random() * 2 ** 32) | 0;
  const expected: Expected = new Map();
  const assign = (key0: number, key1: number, values: readonly number[]) => {
    map.assign(key0, key1, values);
    expected.set(`${key0} ${key1}`, [key0, key1, values]);
  };
  for (let level = 2; level >= 0; level--) {
    for (let i = 0; i < 8000; i++) assign(word(), word(), [i]);
    for (const [, [key0, key1]] of [...expected].slice(0, 3000 * (3 - level)))
      assign(key0, key1, level === 1 ? [] : [level + 7]);
    for (const lane of map.lanes) mergeLane(lane, level);
  }
  return expected;
}

function divide(map: LaneMap, into: number): { readonly moved: number; readonly lanes: readonly number[] } {
  const parts = new Map<number, Uint8Array[]>();
  const dividing = divideLanes({
    lanes: map.lanes,
    into,
    crc32: (bytes, seed) => nodeDigest.crc32(bytes, seed),
    space: new MergeSpace(),
    write: (lane, bytes) => void parts.set(lane, [...(parts.get(lane) ?? []), bytes.slice()]),
  });
  let step = dividing.next();
  while (step.done !== true) step = dividing.next();
  const none = (): (Run | undefined)[] => [undefined, undefined, undefined];
  const runs = Array.from({ length: into }, (_, lane) => [...(map.lanes[lane]?.runs ?? none())]);
  for (const [lane, bytes] of parts) runs[lane]![2] = openRun(concat(bytes));
  map.divide(runs);
  return { moved: step.value, lanes: [...parts.keys()].toSorted((a, b) => a - b) };
}

function wrong(map: LaneMap, expected: Expected): number {
  return [...expected.values()].filter(([key0, key1, values]) => map.find(key0, key1).join() !== values.join()).length;
}
