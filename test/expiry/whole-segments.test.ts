import { describe, expect, test } from "vitest";
import type { CompactionReport, CompactOptions } from "../../core/compaction/compaction.ts";
import { openDisk, type DiskOptions, type DiskStore } from "../../core/entries/disk.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { simulatedMachine } from "../support/machine.ts";
import { perTier } from "../support/per-tier.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { smallIndex } from "../support/small-index.ts";

const tenant = "acme";
const directory = "/store";
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const retentionMs = { classesMs: { debug: 7 * dayMs, audit: 0 } };
/** What does not compress, and ends segments here, makes garbage a smaller share of them. */
const rules = { apartBytes: 4096, smallBytes: 4096, deadShareMin: 0.2 };
/** Nothing is compressed anew for its age. */
const ageless = { tierAgesMs: [Infinity, Infinity] } as const;
const groupsOfADay = 48;
const each = 8;

function newDisk(): PowerLossFileSystem {
  return new PowerLossFileSystem({ random: seededRandom(1) });
}

let processes = 0;

function open(fs: PowerLossFileSystem, clock: ManualClock, options: Partial<DiskOptions> = {}): Promise<DiskStore> {
  // Of its own for each process: chance makes names of commits.
  const machine = { ...simulatedMachine(fs, (processes += 1)), clock, indexBounds: smallIndex };
  return openDisk({ directory, retentionMs, segmentBytesMax: 65_536, ...options }, machine);
}

/** What lasts of a store, by `group id`. */
type Lasting = Map<string, Uint8Array>;

/**
 * A day of groups of both classes. A third of them is of the one, a third of the other, a third of both, by the payload; and a few of the first get
 * a payload of the second hours later, in another segment. @returns what does not expire
 */
async function fill(store: DiskStore, clock: ManualClock, groups = groupsOfADay): Promise<Lasting> {
  const lasting: Lasting = new Map();
  const append = async (group: string, items: readonly { id: string; retention: string; seed: number }[]) => {
    const stored = items.map(({ seed, ...item }) => ({ ...item, bytes: prose(900, seed) }));
    await store.appendMany({ tenant, group }, stored);
    for (const { id, retention, bytes } of stored) if (retention === "audit") lasting.set(`${group} ${id}`, bytes);
  };
  for (let i = 0; i < groups; i++) {
    const classOf = (j: number) => (i % 3 === 0 || (i % 3 === 2 && j === 0) ? "debug" : "audit");
    const items = Array.from({ length: each }, (_, j) => ({ id: `${j}`, retention: classOf(j), seed: i * 100 + j }));
    await append(`g${i}`, items);
    clock.ms += dayMs / groups;
  }
  for (const group of ["g0", "g3"]) await append(group, [{ id: "late", retention: "audit", seed: 9999 }]);
  return lasting;
}

function bytesOnDisk(fs: PowerLossFileSystem): number {
  const folder = `${directory}/segments/${tenant}`;
  return fs.list(folder).reduce((sum, file) => sum + (fs.stat(`${folder}/${file}`)?.bytes ?? 0), 0);
}

async function contentsOf(store: DiskStore): Promise<Lasting> {
  const found: Lasting = new Map();
  for await (const { group } of store.groups({ tenant })) {
    for await (const { id, body } of store.contents({ tenant, group })) found.set(`${group} ${id}`, body);
  }
  return found;
}

/** A folder whose day of both classes was compacted once, and a day after which the one has expired. */
async function aged(fs: PowerLossFileSystem, options: Partial<DiskOptions>, by: CompactOptions["rules"] = rules) {
  const clock = new ManualClock();
  const store = await open(fs, clock, options);
  const lasting = await fill(store, clock);
  // It makes its segment a whole one.
  await store.append({ tenant, group: "end", id: "-" }, noise(70_000, 1), { retention: "audit" });
  lasting.set("end -", noise(70_000, 1));
  clock.ms += dayMs;
  // What is written now lies in the segment that grows, and is nobody's affair.
  await store.append({ tenant, group: "g1", id: "today" }, noise(8000, 2), { retention: "audit" });
  lasting.set("g1 today", noise(8000, 2));
  const laid = await store.compact({ graceMs: 0, rules: by });
  clock.ms += 7 * dayMs;
  return { store, clock, lasting, laid };
}

describe("a folder whose payloads are of two classes", () => {
  for (const index of ["memory", "disk-hash"] as const) {
    test(`drops the segments of the one when it is over, and writes no payload again (index: ${index})`, async () => {
      const fs = newDisk();
      const { store, clock, lasting, laid } = await aged(fs, { index });
      expect(laid.skipped).toEqual([]);
      expect(laid.payloads).toBe(groupsOfADay * each + 3);

      // What was written beside the compaction has its day as well by now, and is not meant here.
      const report = await store.compact({ graceMs: 0, rules: { ...rules, ...ageless } });

      expect(report.segments.length).toBeGreaterThan(0);
      expect([report.plan.rewrittenBytes, report.payloads, report.bytesOut]).toEqual([0, 0, 0]);
      expect(report.freed.map(({ segment }) => segment).toSorted()).toEqual(
        report.segments.map(({ segment }) => segment).toSorted(),
      );
      // The groups that have nothing else, but for the two that got something later.
      const sum = { payloads: (groupsOfADay / 3 - 2) * each, bytes: (groupsOfADay / 3 - 2) * each * 900 };
      expect(report.expired).toEqual({ ...sum, byRetention: { debug: sum } });
      expect(await contentsOf(store)).toEqual(lasting);
      await store.close();
      const rebuilt = await open(fs, clock, { index, rebuild: true });
      expect(rebuilt.recovery.damage).toEqual([]);
      expect(await contentsOf(rebuilt)).toEqual(lasting);
      expect((await rebuilt.verify()).faults).toEqual([]);
      await rebuilt.close();
    });
  }

  test("writes what lasts again where it does not lay them apart", async () => {
    const { store } = await aged(newDisk(), {}, { ...rules, apartBytes: Infinity });

    const report = await store.compact({ graceMs: 0, rules: { ...rules, ...ageless, apartBytes: Infinity } });

    expect(report.payloads).toBeGreaterThan(0);
    await store.close();
  });

  test("keeps what lasts also where power is lost at any step of laying them apart, and of dropping the one", async () => {
    const [filled, clock] = [newDisk(), new ManualClock()];
    const first = await open(filled, clock, small);
    const lasting = await fill(first, clock, 12);
    await first.close();
    const both = await contentsOf(await open(filled.clone(), clock, small));
    clock.ms += dayMs;

    const laid = await crashingAtSteps(filled, clock, both);
    clock.ms += 7 * dayMs;
    const dropped = await crashingAtSteps(laid.fs, clock, lasting);

    expect(laid.report.segments.some(({ into = [] }) => into.length > 1)).toBe(true);
    expect(dropped.report.plan.segments.map(({ reason }) => reason)).toContain("dead");
  });
});

/** A folder of a quarter of that. */
const small = { segmentBytesMax: 12_288 };
const smallRules = { apartBytes: 1024, smallBytes: 512 };

/** Compacts a folder, cuts the power at one step after the other, and looks what each cut has left. @returns what the whole compaction leaves */
async function crashingAtSteps(
  before: PowerLossFileSystem,
  clock: ManualClock,
  expected: Lasting,
): Promise<{ readonly fs: PowerLossFileSystem; readonly report: CompactionReport }> {
  const crashes: PowerLossFileSystem[] = [];
  const fs = before.clone();
  const store = await open(fs, clock, small);
  const { ops } = fs;
  fs.beforeOperation = (now) => {
    if ((now - ops) % perTier(79, 7) === 0) crashes.push(fs.powerLoss());
  };
  const report = await store.compact({ graceMs: 0, rules: smallRules });
  fs.beforeOperation = undefined;
  await store.close();
  expect(crashes.length).toBeGreaterThan(4);
  for (const [i, crashed] of crashes.entries()) {
    const reopened = await open(crashed, clock, { ...small, rebuild: i % 2 === 0 });
    const told = `step ${i + 1}`;
    expect(reopened.recovery.damage, told).toEqual([]);
    expect(await contentsOf(reopened), told).toEqual(expected);
    expect((await reopened.verify()).faults, told).toEqual([]);
    await reopened.compact({ graceMs: 0, rules: smallRules });
    expect(await contentsOf(reopened), told).toEqual(expected);
    await reopened.close();
  }
  return { fs, report };
}

describe("a folder whose payloads are all kept for a week", () => {
  test("drops segment by segment, writes none of them again, and holds half as much again as lives at most", async () => {
    const [fs, clock] = [newDisk(), new ManualClock()];
    const store = await open(fs, clock, { retentionMs: 7 * dayMs, segmentBytesMax: 1_048_576 });
    const reports: CompactionReport[] = [];
    let most = 0;
    for (let hour = 0; hour < 21 * 24; hour += 3) {
      await store.append({ tenant, group: `g${hour}`, id: "x" }, prose(4000, hour), { codec: "none" });
      clock.ms += 3 * hourMs;
      reports.push(await store.compact({ graceMs: 0, rules: { ...rules, ...ageless, deadShareMin: 0.3 } }));
      if (hour >= 8 * 24) most = Math.max(most, bytesOnDisk(fs));
    }

    expect(reports.reduce((sum, { payloads, bytesOut }) => sum + payloads + bytesOut, 0)).toBe(0);
    expect(reports.filter(({ freed }) => freed.length > 0).length).toBeGreaterThan(4);
    expect(most).toBeLessThan(1.5 * 7 * 8 * 4100);
    await store.close();
  });
});

describe("groups that go on", () => {
  test("lose what has expired with its segment, for a page that holds no payload", async () => {
    const [fs, clock] = [newDisk(), new ManualClock()];
    const store = await open(fs, clock, { segmentBytesMax: 128_000 });
    const lasting: Lasting = new Map();
    for (const [round, retention] of ["debug", "audit"].entries()) {
      for (let i = 0; i < 10; i++) {
        const items = Array.from({ length: each }, (_, j) => ({
          id: `${round}-${j}`,
          bytes: noise(900, i * 100 + j),
          retention,
        }));
        await store.appendMany({ tenant, group: `g${i}` }, items);
        if (retention === "audit") for (const { id, bytes } of items) lasting.set(`g${i} ${id}`, bytes);
      }
      await store.append({ tenant, group: "end", id: `${round}` }, noise(60_000, round), { retention });
      if (retention === "audit") lasting.set(`end ${round}`, noise(60_000, round));
    }
    clock.ms += 8 * dayMs;

    const report = await store.compact({ graceMs: 0, rules: { ...rules, ...ageless } });

    expect(report.plan.segments.map(({ reason }) => reason)).toEqual(["dead"]);
    expect([report.pages, report.payloads, report.bytesOut, report.freed.length]).toEqual([11, 0, 0, 1]);
    expect(await contentsOf(store)).toEqual(lasting);
    await store.close();
    const rebuilt = await open(fs, clock, { rebuild: true });
    expect(rebuilt.recovery.damage).toEqual([]);
    expect(await contentsOf(rebuilt)).toEqual(lasting);
    expect((await rebuilt.verify()).faults).toEqual([]);
    await rebuilt.close();
  });
});
