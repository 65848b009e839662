import { describe, expect, test } from "vitest";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { concat } from "../../core/bytes.ts";
import { buildRun } from "../../core/lsm/build-run.ts";
import { only } from "../../core/lsm/change.ts";
import { ColumnSpace } from "../../core/lsm/change-columns.ts";
import { ChangeTable } from "../../core/lsm/change-table.ts";
import { divideLanes } from "../../core/lsm/divide-lanes.ts";
import { keysPerStep } from "../../core/lsm/index-bounds.ts";
import { LaneMap } from "../../core/lsm/lane-map.ts";
import { MergeSpace } from "../../core/lsm/merge-space.ts";
import { overlaySource } from "../../core/lsm/overlay-source.ts";
import { PerfectHashBuilder, partShape } from "../../core/lsm/perfect-hash.ts";
import type { Run } from "../../core/lsm/run.ts";
import { encodeOverlay } from "../../core/lsm/saved-overlay.ts";
import { memoryFile, mergeLane, openRun, runBytes } from "../support/runs-in-memory.ts";
import { seededRandom } from "../support/seeded-random.ts";

/** Keys of a page of a run, the most that one step applies. */
const keysPerPage = 409;

/** What one step did, counted and not timed: on a machine that others use, a time says nothing. */
interface Work {
  applied: number;
  kept: number;
  readBytes: number;
  writtenBytes: number;
  checkedBytes: number;
}

/**
 * Suspected: a step that grows with the run, with the overlay or with the part, so that everything else waits for it. Runs of few
 * parts did that to large ones: they were merged in the windows of the smallest.
 */
describe("a step", () => {
  test("of a merge does the same little, however large the runs and however different their sizes", () => {
    const counted = countedWork();
    const sources = [
      openRun(sampleRun(150_000, 1), counted.file(sampleRun(150_000, 1))),
      openRun(sampleRun(700, 2), counted.file(sampleRun(700, 2))),
      overlaySource(sampleTable(20_000, 3)),
    ];
    const space = counted.space();

    const { steps, most, result } = counted.run(
      buildRun({
        sources,
        bottom: true,
        keeps: () => {
          counted.now.kept += 1;
          return true;
        },
        write: counted.write,
        crc32: counted.crc32,
        space,
      }),
    );

    expect(result.keys).toBe(170_700);
    expect(steps).toBeGreaterThan((4 * 170_700) / keysPerStep);
    expect(most.applied).toBeLessThanOrEqual(keysPerPage);
    expect(most.kept).toBeLessThanOrEqual(keysPerStep);
    expectSmall(most);
  });

  test("of dividing lanes does too, where one lane has a small run and the others large ones", () => {
    const map = new LaneMap(2);
    for (let i = 0; i < 60_000; i++) map.assign(Math.imul(i, 0x9e3779b1), i << 14, [i]);
    for (const lane of map.lanes) mergeLane(lane, 2);
    for (let i = 0; i < 300; i++) map.assign(Math.imul(i, 0x9e3779b1), i << 14, [i + 1]);
    mergeLane(map.lanes[0]!, 0);
    const counted = countedWork();

    const { most, result } = counted.run(
      divideLanes({
        lanes: map.lanes,
        into: 4,
        write: (_lane, bytes) => counted.write(bytes),
        crc32: counted.crc32,
        space: counted.space(),
      }),
    );

    expect(result).toBeGreaterThan(25_000);
    expect(most.applied).toBeLessThanOrEqual(keysPerPage);
    expectSmall(most);
  });

  test("of preparing the division of changes in memory copies so many keys at most, and loses none that come meanwhile", () => {
    const map = new LaneMap(2);
    const keys = Array.from({ length: 20_000 }, (_, i) => [Math.imul(i, 0x9e3779b1), i << 14] as const);
    for (const [i, key] of keys.slice(0, 15_000).entries()) map.assign(...key, [i]);
    const before = map.lanes.map(({ overlay }) => overlay.size);
    const expected = keys.map((_, i) => (i < 15_000 ? [i] : []));
    let steps = 0;
    for (const _ of map.prepareDivision(4)) {
      steps += 1;
      // The tables grow under it; some keys are changed before they are copied, some after, and most never.
      if (steps % 4 !== 0) continue;
      for (let i = (steps * 17) % 97; i < keys.length; i += 97) {
        expected[i] = i % 3 === 0 ? [] : [i, i + 7 + steps];
        map.assign(...keys[i]!, expected[i]!);
      }
    }

    map.divide(Array.from({ length: 4 }, (): (Run | undefined)[] => [undefined, undefined, undefined]));

    expect(steps).toBeGreaterThanOrEqual(before.reduce((sum, size) => sum + Math.ceil(size / keysPerStep), 0));
    expect(keys.filter((key, i) => map.find(...key).join() !== expected[i]!.join())).toEqual([]);
  });

  test("of saving changes as they are encodes so many keys at most, and writes what fits", () => {
    const counted = countedWork();
    const tables = [sampleTable(30_000, 4), new ChangeTable(), sampleTable(10, 5)];

    const { steps, most } = counted.run(encodeOverlay(tables, counted.write, counted.crc32));

    // The slots of the table, and then its keys.
    expect(steps).toBeGreaterThan((65_536 + 30_000) / keysPerStep);
    expectSmall(most);
  });

  test("of gathering a table, and of building a perfect hash, goes through so many keys at most", () => {
    const columns = new ColumnSpace();
    let gathered = 0;
    for (const _ of sampleTable(30_000, 6).gather(columns)) gathered += 1;
    expect(columns.keys).toBe(30_000);
    expect(gathered).toBeGreaterThanOrEqual(30_000 / keysPerStep);

    let asked = 0;
    const counting = (words: Int32Array): Int32Array =>
      new Proxy(words, {
        get: (target, name) => {
          asked += 1;
          return target[Number(name)];
        },
      });
    const count = 3000;
    const shape = partShape(0, 0, count);
    const arrays = { pilots: new Uint8Array(shape.buckets), remap: new Uint16Array(shape.spare) };
    const key0 = counting(columns.key0.slice(0, count));
    let most = 0;
    let steps = 0;
    for (const _ of new PerfectHashBuilder().build(key0, columns.key1.slice(0, count), shape, arrays)) {
      most = Math.max(most, asked);
      asked = 0;
      steps += 1;
    }
    expect(most).toBeGreaterThan(0);
    // Bucket and slot are hashed from it, each once.
    expect(most).toBeLessThanOrEqual(2 * keysPerStep);
    expect(steps).toBeGreaterThan((2 * count) / keysPerStep);
  });
});

function expectSmall({ readBytes, writtenBytes, checkedBytes }: Work): void {
  expect(readBytes).toBeLessThanOrEqual(256 * 1024);
  expect(writtenBytes).toBeLessThanOrEqual(64 * 1024);
  expect(checkedBytes).toBeLessThanOrEqual(256 * 1024);
}

function countedWork() {
  const now: Work = { applied: 0, kept: 0, readBytes: 0, writtenBytes: 0, checkedBytes: 0 };
  class CountingTable extends ChangeTable {
    override apply(...change: Parameters<ChangeTable["apply"]>): void {
      now.applied += 1;
      super.apply(...change);
    }
  }
  return {
    now,
    space: (): MergeSpace => Object.assign(new MergeSpace(), { table: new CountingTable() }),
    write: (bytes: Uint8Array): void => {
      now.writtenBytes += bytes.length;
    },
    crc32: (bytes: Uint8Array, seed?: number): number => {
      now.checkedBytes += bytes.length;
      return nodeDigest.crc32(bytes, seed);
    },
    file: (bytes: Uint8Array): ReturnType<typeof memoryFile> => {
      const file = memoryFile(bytes);
      return {
        ...file,
        read: (target, offset) => {
          now.readBytes += target.length;
          return file.read(target, offset);
        },
      };
    },
    /** Takes all steps, and says what the one that did most did, of each kind of work. */
    run: <T>(steps: Generator<void, T>): { readonly steps: number; readonly most: Work; readonly result: T } => {
      const most: Work = { ...now };
      for (let count = 1; ; count++) {
        Object.assign(now, { applied: 0, kept: 0, readBytes: 0, writtenBytes: 0, checkedBytes: 0 });
        const step = steps.next();
        for (const kind of Object.keys(now) as (keyof Work)[]) most[kind] = Math.max(most[kind], now[kind]);
        if (step.done === true) return { steps: count, most, result: step.value };
      }
    },
  };
}

function sampleTable(keys: number, seed: number): ChangeTable {
  const random = seededRandom(seed);
  const word = () => Math.floor(random() * 2 ** 32) | 0;
  const table = new ChangeTable();
  for (let i = 0; i < keys; i++) table.apply(word(), word() & 0xffff_c000, only, i);
  return table;
}

function sampleRun(keys: number, seed: number): Uint8Array {
  return runBytes([overlaySource(sampleTable(keys, seed))], true) ?? concat([]);
}
