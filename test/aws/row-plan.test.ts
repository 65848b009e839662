import { describe, expect, test } from "vitest";
import { planRows, type RowRun } from "../../core/compaction/row-plan.ts";
import { rowTimes } from "../../core/compaction/row-times.ts";
import type { CountingRow, GroupRows } from "../../core/rows/group-rows.ts";
import type { Covers } from "../../core/rows/row.ts";
import { SegmentNames } from "../../core/segment/name.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";

const nowMs = Date.UTC(2026, 10, 21);
const minute = 60_000;
const day = 86_400_000;

interface Shape {
  readonly ageMs?: number;
  readonly bytes?: number;
  readonly ids?: readonly number[];
  readonly deleted?: readonly number[];
  readonly clears?: boolean;
  readonly inline?: boolean;
  readonly covers?: Partial<Covers>;
  /** Its number, where it is not the next. */
  readonly at?: number;
}

let id = 1000;

function rowsOf(shapes: readonly Shape[], swept = true): GroupRows {
  const counting: CountingRow[] = [];
  const covered: CountingRow[] = [];
  let next = 1;
  for (const shape of shapes) {
    const { ageMs = day / 2, bytes = 5000, ids = [id++], deleted = [], clears = false, inline = false, covers } = shape;
    const segment = new SegmentNames({ nowMs: () => nowMs - ageMs }, new SystemRandom()).next();
    const sequence = shape.at ?? next;
    const held = inline ? { held: new Uint8Array(bytes), inline: true as const } : {};
    const upTo = covers?.upTo ?? sequence;
    const standing = covers && {
      covers: { upTo, replaces: segment, closed: false, tier: 0 as const, rawBytes: bytes, ...covers },
    };
    const place = { segment, offset: 128, headBytes: 100, ...held };
    const hashes = { clearsGroup: clears, requests: [], deleted: deleted.map(BigInt), entries: ids.map(BigInt) };
    counting.push({
      sequence,
      record: new Uint8Array(inline ? bytes : 100),
      row: { ok: true, value: { place, bodyBytes: ids.length === 0 ? 0 : bytes, hashes, ...standing } },
      says: hashes,
    });
    for (let number = sequence + 1; !swept && number <= upTo; number++)
      covered.push({ ...counting.at(-1)!, sequence: number });
    next = upTo + 1;
  }
  return { tenant: "acme", group: "g", counting, covered, knownMs: nowMs, hasGap: false };
}

const options = { nowMs, times: rowTimes, graceMs: rowTimes.graceMs };
const run = (from: number, to: number, reason: RowRun["reason"]): RowRun => ({ from, to, reason });
const many = (count: number, shape: Shape = {}): Shape[] => Array.from({ length: count }, () => shape);

describe("a plan", () => {
  test.each<[string, readonly Shape[], readonly RowRun[]]>([
    ["of one row is nothing", [{}], []],
    ["of two rows joins them", [{}, {}], [run(0, 1, "rows")]],
    ["of many joins them all", many(100), [run(0, 99, "rows")]],
    ["leaves rows that may still be on their way", [...many(3), { ageMs: 34 * minute }], [run(0, 2, "rows")]],
    [
      "joins on both sides of what it leaves",
      [...many(2), { ageMs: minute }, ...many(2)],
      [run(0, 1, "rows"), run(3, 4, "rows")],
    ],
    ["leaves a long row until those behind it are half as long", [{ bytes: 100_000 }, ...many(3)], [run(1, 3, "rows")]],
    ["takes it then", [{ bytes: 100_000 }, ...many(10)], [run(0, 10, "rows")]],
    ["leaves a full page alone", [{ bytes: 5_000_000 }, { bytes: 4_000_000 }], []],
    [
      "takes what was deleted, with what deletes it",
      [{ bytes: 1e6, ids: [1] }, {}, { ids: [], deleted: [1] }],
      [run(0, 2, "must")],
    ],
    ["takes a delete that is not needed any more", [{}, { ids: [], deleted: [1] }], [run(1, 1, "must")]],
    ["takes all before a deletion of the group", [...many(2), { ids: [], clears: true }, {}], [run(0, 2, "must")]],
    ["takes a group without payloads", [{ ids: [1] }, { ids: [], deleted: [1] }], [run(0, 1, "must")]],
    [
      "takes a page of which a third was overwritten",
      [{ ids: [1, 2, 3], bytes: 50_000 }, { ids: [1] }],
      [run(0, 1, "garbage")],
    ],
    ["leaves one of which a quarter was", [{ ids: [1, 2, 3, 4], bytes: 50_000 }, { ids: [1] }], []],
    ["leaves an upload", [{}, { at: 2, bytes: 0 }, {}], []],
    ["leaves a merged row until its grace is over", [{ covers: { upTo: 9 }, ageMs: 80 * minute }, {}], []],
    ["takes it afterwards", [{ covers: { upTo: 9 }, ageMs: 90 * minute }, {}], [run(0, 1, "rows")]],
    [
      "moves a payload out of the table when it is a day old",
      [{ inline: true, bytes: 1300, ageMs: day }],
      [run(0, 0, "moved")],
    ],
    ["leaves it there before", [{ inline: true, bytes: 1300 }], []],
    ["leaves it there where it is short", [{ inline: true, bytes: 300, ageMs: day }], []],
  ])("%s", (_what, shapes, runs) => {
    expect(planRows(rowsOf(shapes), options).runs).toEqual(runs);
  });

  test("writes a payload again as often as its group doubles", () => {
    // One row an hour, compacted each hour: how long the rows are, and what was written.
    let rows: number[] = [];
    let written = 0;
    for (let hour = 0; hour < 1024; hour++) {
      rows.push(4096);
      const found = rowsOf(rows.map((bytes) => ({ bytes: bytes - 100 })));
      for (const { from, to } of planRows(found, options).runs.toReversed()) {
        const bytes = rows.slice(from, to + 1).reduce((sum, each) => sum + each, 0);
        written += bytes;
        rows = [...rows.slice(0, from), bytes, ...rows.slice(to + 1)];
      }
      expect(rows.length).toBeLessThanOrEqual(12);
    }
    expect(written / (1024 * 4096)).toBeLessThan(12);
  });

  test("sweeps what a row stands for once its grace is over, and joins no sooner", () => {
    const shapes = [{ covers: { upTo: 3 }, ageMs: 80 * minute }, {}];
    expect(planRows(rowsOf(shapes, false), options)).toMatchObject({ sweep: [], runs: [] });
    const over = [{ covers: { upTo: 3 }, ageMs: 90 * minute }, {}];
    const { sweep, runs } = planRows(rowsOf(over, false), options);
    expect(sweep.map(({ sequence }) => sequence)).toEqual([2, 3]);
    expect(runs).toEqual([run(0, 1, "rows")]);
  });

  test("removes a closed row that is alone, and old enough", () => {
    const closed = (ageMs: number, more: readonly Shape[] = []) =>
      planRows(rowsOf([{ ids: [], covers: { upTo: 3, closed: true }, ageMs }, ...more]), options).remove?.sequence;
    expect([closed(90 * minute), closed(80 * minute), closed(day, [{ ageMs: 0 }])]).toEqual([1, undefined, undefined]);
  });

  test("does nothing where rows are missing", () => {
    expect(planRows({ ...rowsOf(many(3)), hasGap: true }, options)).toEqual({ sweep: [], runs: [] });
  });
});

describe("a plan for a group that an erasure looked into", () => {
  const overwritten: readonly Shape[] = [{ bytes: 100_000, ids: [1, 2, 3, 4, 5] }, { ids: [1] }];

  test("takes what was only overwritten, if it was made before the cut", () => {
    expect(planRows(rowsOf(overwritten), options).runs).toEqual([]);
    expect(planRows(rowsOf(overwritten), { ...options, erasedMs: nowMs }).runs).toEqual([run(0, 0, "must")]);
    expect(planRows(rowsOf(overwritten), { ...options, erasedMs: nowMs - day }).runs).toEqual([]);
  });

  test("leaves rows whose payloads are alive", () => {
    expect(planRows(rowsOf([{ bytes: 100_000 }, {}]), { ...options, erasedMs: nowMs }).runs).toEqual([]);
  });
});
