import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { agentTraces } from "../../bench/agent-traces.ts";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { readWhole } from "../../core/adapters/disk/files.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import type { CompactionProgress } from "../../core/compaction/compaction.ts";
import { openDisk, type DiskOptions, type DiskStore } from "../../core/entries/disk.ts";
import { decodePage } from "../../core/page/page.ts";
import { scanSegment } from "../../core/segment/scan.ts";
import { collect } from "../conformance/expectations.ts";
import { noise, prose, text } from "../conformance/sample-bytes.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { filesOf } from "../support/traces.ts";

const tenant = "acme";
const directory = "/store";
const all = { deadShareMin: 0, smallCountMin: 1 } as const;

function open(fs: FileSystem, options: Partial<DiskOptions> = {}, clock?: ManualClock): Promise<DiskStore> {
  const machine = simulatedMachine(fs, 1);
  return openDisk({ directory, segmentBytesMax: 262_144, ...options }, clock ? { ...machine, clock } : machine);
}

function newDisk(): PowerLossFileSystem {
  return new PowerLossFileSystem({ random: seededRandom(1) });
}

function bytesOnDisk(fs: FileSystem): number {
  const folder = `${directory}/segments/${tenant}`;
  return fs.list(folder).reduce((sum, file) => sum + (fs.stat(`${folder}/${file}`)?.bytes ?? 0), 0);
}

/** Every file of the store, byte for byte. */
function contentsOf(fs: FileSystem): Readonly<Record<string, string>> {
  const files = Array.from(filesOf(fs, directory), (file) => [file, Buffer.from(readWhole(fs, file) ?? [])] as const);
  return Object.fromEntries(files.map(([file, bytes]) => [file, bytes.toString("base64")]));
}

/** The tiers of the merged pages that hold payloads of the traces, as their segments say it. */
async function tiersOf(fs: FileSystem): Promise<readonly number[]> {
  const tiers = new Set<number>();
  for (const file of filesOf(fs, `${directory}/segments/${tenant}`)) {
    const bytes = readWhole(fs, file) ?? new Uint8Array(0);
    const segment = basename(file, ".seg");
    const read = (at: number, length: number) => bytes.subarray(at, at + length);
    const { frames } = await scanSegment({ tenant, segment, size: bytes.length, read }, nodeDigest);
    for (const { group, page: encoded } of frames) {
      const read = decodePage(encoded);
      if (!read.ok) throw new Error(read.damage);
      const { merged, entries } = read.value;
      if (group !== "end" && merged && entries.length > 0) tiers.add(merged.tier);
    }
  }
  return [...tiers].toSorted((a, b) => a - b);
}

describe("compaction gives back", () => {
  test("what is dead: of 90 % dead payloads, alone and in groups, at most 1.1 times what the live ones take", async () => {
    const items = Array.from({ length: 1500 }, (_, i) => ({
      group: i % 3 === 0 ? `run-${i % 30}` : `lone-${i}`,
      id: `${i}`,
      bytes: prose(900 + (i % 700), i),
    }));
    const lives = (i: number) => i % 10 === 3;
    const [fs, fresh] = [newDisk(), newDisk()];
    const store = await open(fs);
    for (const item of items) await store.append({ tenant, ...item }, item.bytes);
    for (const [i, item] of items.entries()) if (!lives(i)) await store.delete({ tenant, ...item });
    const before = bytesOnDisk(fs);

    await store.compact({ graceMs: 0 });

    const other = await open(fresh);
    for (const [i, item] of items.entries()) if (lives(i)) await other.append({ tenant, ...item }, item.bytes);
    expect(bytesOnDisk(fs)).toBeLessThan(1.1 * bytesOnDisk(fresh));
    expect(bytesOnDisk(fs)).toBeLessThan(before / 5);
    for (const [i, item] of items.entries()) {
      expect(await store.get({ tenant, ...item })).toEqual(lives(i) ? item.bytes : undefined);
    }
    expect((await store.verify()).faults).toEqual([]);
  });

  test("all of a store that has nothing left, and leaves no trace of it in any file", async () => {
    const fs = newDisk();
    const store = await open(fs);
    for (let i = 0; i < 40; i++) await store.append({ tenant, group: `secret-${i % 7}`, id: `${i}` }, prose(2000, i));
    for (let i = 0; i < 7; i++) await store.deleteGroup({ tenant, group: `secret-${i}` });

    await store.compact({ graceMs: 0 });
    await store.close();

    expect(fs.list(`${directory}/segments/${tenant}`)).toEqual([]);
    const again = await open(fs, { rebuild: true });
    expect(again.recovery.damage).toEqual([]);
    await again.append({ tenant, group: "secret-1", id: "1" }, text("new"));
    expect(await collect(again.list({ tenant, group: "secret-1" }))).toHaveLength(1);
  });

  test("no name of a segment: those that follow are greater, though all are gone and the clock was set back", async () => {
    const fs = newDisk();
    const clock = new ManualClock();
    clock.ms = 1_750_000_000_000;
    const key = { tenant, group: "g", id: "a" };
    const store = await open(fs, {}, clock);
    const { segment } = await store.append(key, text("one"));
    await store.deleteGroup(key);
    await store.compact({ graceMs: 0 });
    await store.close();
    expect(fs.list(`${directory}/segments/${tenant}`)).toEqual([]);

    clock.ms -= 3_600_000;
    const again = await open(fs, {}, clock);

    const next = await again.append(key, text("two"));
    expect(next.segment > segment).toBe(true);
    await again.close();
  });

  test("nothing, and does not begin, where no segment is worth it", async () => {
    const fs = newDisk();
    const store = await open(fs);
    for (let i = 0; i < 300; i++) await store.append({ tenant, group: `g${i % 5}`, id: `${i}` }, noise(2000, i));
    const before = bytesOnDisk(fs);

    const { plan, segments } = await store.compact({ graceMs: 0 });

    expect([plan.segments, segments]).toEqual([[], []]);
    expect(bytesOnDisk(fs)).toBe(before);
  });
});

describe("a group that is compacted", () => {
  test("of 1,000 payloads in 100 commits is read with at most 4 reads of segments", async () => {
    const disk = newDisk();
    let reads = 0;
    const counting = new Proxy(disk, {
      get(target, name) {
        if (name !== "open") {
          const member: unknown = Reflect.get(target, name, target);
          return typeof member === "function" ? member.bind(target) : member;
        }
        return (path: string, mode: "create" | "update" | "read") => {
          const file = target.open(path, mode);
          if (!path.endsWith(".seg")) return file;
          return new Proxy(file, {
            get(opened, member) {
              if (member === "read") reads += 1;
              const value: unknown = Reflect.get(opened, member, opened);
              return typeof value === "function" ? value.bind(opened) : value;
            },
          });
        };
      },
    });
    const store = await open(counting, { cacheBytes: 0 });
    for (let i = 0; i < 100; i++) {
      const items = Array.from({ length: 10 }, (_, j) => ({ id: `${i}-${j}`, bytes: prose(1500, i + j) }));
      await store.appendMany({ tenant, group: "run" }, items);
      await store.append({ tenant, group: "other", id: `${i}` }, prose(3000, i));
    }
    const listed = await collect(store.list({ tenant, group: "run" }));
    await store.compact({ graceMs: 0, rules: all, mustGo: () => true });
    reads = 0;

    const read = await collect(store.contents({ tenant, group: "run" }));

    expect(reads).toBeLessThanOrEqual(4);
    expect(read.map(({ id }) => id)).toEqual(listed.map(({ id }) => id));
  });

  test("keeps order, times and cursors, also where it takes many pages", async () => {
    const store = await open(newDisk(), { segmentBytesMax: 4_194_304 });
    const put = (i: number, version: number) =>
      store.append({ tenant, group: "large", id: `${i}` }, noise(200_000, i + 1000 * version), {
        contentType: `v/${version}`,
      });
    for (let i = 0; i < 120; i++) await put(i, 0);
    for (let i = 0; i < 120; i += 7) await put(i, 1);
    for (let i = 3; i < 120; i += 11) await store.delete({ tenant, group: "large", id: `${i}` });
    for (let i = 3; i < 120; i += 22) await put(i, 2);
    const known = async () =>
      (await collect(store.list({ tenant, group: "large" }))).map(({ location: _, ...head }) => head);
    const before = await known();

    for (let run = 0; run < 3; run++) {
      const { pages, skipped } = await store.compact({ graceMs: 0, rules: all, mustGo: () => true });

      expect([pages > 1, skipped]).toEqual([true, []]);
      expect(await known()).toEqual(before);
      const after = await collect(store.list({ tenant, group: "large" }, { after: before[40]!.cursor }));
      expect(after.map(({ id }) => id)).toEqual(before.slice(41).map(({ id }) => id));
    }
    for (const { id, etag } of before) {
      expect((await store.read({ tenant, group: "large", id }))?.etag).toBe(etag);
    }
    await store.rebuildIndex();
    expect(await known()).toEqual(before);
    expect((await store.verify()).faults).toEqual([]);
  });

  test("still answers a request that is sent again within a day, and stores it anew after that", async () => {
    const clock = new ManualClock();
    const store = await open(newDisk(), {}, clock);
    const key = { tenant, group: "g", id: "a" };
    const first = await store.append(key, text("one"), { idempotencyKey: "k" });
    await store.append(key, text("two"));
    await store.delete({ ...key, id: "nobody" });

    for (let run = 0; run < 2; run++) {
      await store.compact({ graceMs: 0, rules: all, mustGo: () => true });
      expect(await store.append(key, text("one"), { idempotencyKey: "k" })).toEqual(first);
      expect(await store.get(key)).toEqual(text("two"));
    }
    await expect(store.append(key, text("other"), { idempotencyKey: "k" })).rejects.toMatchObject({
      code: "KEY_REUSED",
    });

    clock.ms += 86_400_001;
    await store.compact({ graceMs: 0, rules: all, mustGo: () => true });
    await store.append(key, text("one"), { idempotencyKey: "k" });
    expect(await store.get(key)).toEqual(text("one"));
  });

  test("is read where it lay during the grace, and looked up anew after it", async () => {
    const clock = new ManualClock();
    const store = await open(newDisk(), {}, clock);
    const key = { tenant, group: "g", id: "a" };
    const location = await store.append(key, prose(5000, 1));
    await store.append({ ...key, id: "b" }, prose(5000, 2));
    await store.delete({ ...key, id: "b" });

    const { waiting } = await store.compact({ graceMs: 60_000, rules: all, mustGo: () => true });
    expect(waiting).toBe(1);
    expect(await store.getAt({ tenant }, location)).toEqual(prose(5000, 1));
    expect(await store.get(key)).toEqual(prose(5000, 1));

    clock.ms += 60_000;
    const { freed } = await store.compact({ graceMs: 60_000 });
    expect(freed.map(({ segment }) => segment)).toContain(location.segment);
    await expect(store.getAt({ tenant }, location)).rejects.toMatchObject({ code: "GONE" });
    expect(await store.get(key)).toEqual(prose(5000, 1));
  });

  test("takes less the older it is, at the tier of its age, and reads the same", async () => {
    const clock = new ManualClock();
    const disk = newDisk();
    const store = await open(disk, {}, clock);
    const lines = [...agentTraces({ seed: 5, traces: 8 })];
    const bytesOf = ({ text: plain, json, base64 }: (typeof lines)[number]) =>
      base64 === undefined ? text(plain ?? JSON.stringify(json)) : new Uint8Array(Buffer.from(base64, "base64"));
    for (const line of lines) await store.append({ tenant, group: line.group, id: line.id }, bytesOf(line));
    const stored = async () => (await store.stats({ tenant })).compressedBytes;
    const sizes = [await stored()];
    const tiers = [await tiersOf(disk)];
    for (const ageMs of [86_400_001, 30 * 86_400_000]) {
      clock.ms += ageMs;
      // What fills a segment ends it; a growing one is left alone.
      await store.append({ tenant, group: "end", id: "x" }, noise(262_144, 1));
      await store.delete({ tenant, group: "end", id: "x" });
      await store.compact({ graceMs: 0 });
      sizes.push(await stored());
      tiers.push(await tiersOf(disk));
    }

    expect(tiers).toEqual([[], [1], [2]]);
    expect(sizes[1]).toBeLessThan(sizes[0]! * 0.6);
    expect(sizes[2]).toBeLessThan(sizes[1]! * 0.95);
    for (const line of lines) {
      expect(await store.get({ tenant, group: line.group, id: line.id })).toEqual(bytesOf(line));
    }
  });
});

/** Segments of 20,000 bytes, three quarters of each dead. A group lies in one of them, or in two that follow each other. */
async function mostlyDead(fs: FileSystem, clock?: ManualClock): Promise<DiskStore> {
  const store = await open(fs, { segmentBytesMax: 20_000 }, clock);
  for (let run = 0; run < 25; run++) {
    const key = (i: number) => ({ tenant, group: `run-${run}`, id: `${4 * run + i}` });
    for (const i of [0, 1, 2, 3]) await store.append(key(i), noise(2000, 4 * run + i));
    for (const i of [1, 2, 3]) await store.delete(key(i));
  }
  return store;
}

/** Here every segment is a small one. */
const garbageAlone = { smallCountMin: Infinity } as const;

describe("a run with a budget", () => {
  async function expectAll(store: DiskStore): Promise<void> {
    for (let i = 0; i < 100; i++) {
      const kept = i % 4 > 0 ? undefined : noise(2000, i);
      expect(await store.get({ tenant, group: `run-${i >> 2}`, id: `${i}` })).toEqual(kept);
    }
    expect((await store.verify()).faults).toEqual([]);
  }

  test("of time ends when it is over, and says that there is more to do; the next run goes on", async () => {
    const clock = new ManualClock();
    const store = await mostlyDead(newDisk(), clock);
    // Each segment takes 6 ms.
    let told = 0;
    const onProgress = ({ segments }: CompactionProgress) => {
      if (segments > told) clock.ms += 6;
      told = segments;
    };

    const first = await store.compact({ graceMs: 0, timeMsMax: 10, onProgress, rules: garbageAlone });
    const second = await store.compact({ graceMs: 0, timeMsMax: 10, onProgress, rules: garbageAlone });
    const rest = await store.compact({ graceMs: 0, rules: garbageAlone });

    expect([first.complete, first.segments.length, first.freed.length]).toEqual([false, 2, 2]);
    expect(first.plan.segments.length).toBeGreaterThan(4);
    expect([second.complete, second.segments.length]).toEqual([false, 2]);
    const names = [first, second].map(({ segments }) => segments.map(({ segment }) => segment));
    expect(new Set(names.flat()).size).toBe(4);
    expect(rest.complete).toBe(true);
    await expectAll(store);
  });

  test("of time ends in the middle of a segment too, and the next run goes on with the groups that are left", async () => {
    const clock = new ManualClock();
    const store = await open(newDisk(), {}, clock);
    for (let i = 0; i < 60; i++) await store.append({ tenant, group: `g${i}`, id: "a" }, noise(2000, i));
    for (let i = 0; i < 60; i++) await store.append({ tenant, group: `g${i}`, id: "a" }, noise(2000, 100 + i));
    // Each group that is written again takes 1 ms.
    let told = 0;
    const onProgress = ({ bytes }: CompactionProgress) => {
      if (bytes > told) clock.ms += 1;
      told = bytes;
    };
    const reports = [];
    do reports.push(await store.compact({ graceMs: 0, timeMsMax: 20, onProgress }));
    while (!reports.at(-1)!.complete && reports.length < 10);

    expect(reports.length).toBeGreaterThan(2);
    expect(reports.map(({ segments }) => segments.length)).toEqual(
      reports.map((_, i) => Number(i === reports.length - 1)),
    );
    expect(reports.flatMap(({ skipped }) => skipped)).toEqual([]);
    // None of them is merged twice.
    expect(reports.reduce((sum, { pages }) => sum + pages, 0)).toBe(60);
    for (let i = 0; i < 60; i++)
      expect(await store.get({ tenant, group: `g${i}`, id: "a" })).toEqual(noise(2000, 100 + i));
    expect((await store.verify()).faults).toEqual([]);
  });

  test("of no time does nothing, and says so", async () => {
    const fs = newDisk();
    const store = await mostlyDead(fs);
    const before = bytesOnDisk(fs);

    const report = await store.compact({ graceMs: 0, timeMsMax: 0 });

    expect(report).toMatchObject({ complete: false, segments: [], freed: [], bytesOut: 0 });
    expect(bytesOnDisk(fs)).toBeGreaterThanOrEqual(before);
    await expectAll(store);
  });

  test("of bytes does so much in a run, and run after run all that pays", async () => {
    const store = await mostlyDead(newDisk());
    const bytesMax = 10_000;
    let runs = 0;
    for (let isOver = false; !isOver; runs++) {
      const { plan, bytesOut, complete } = await store.compact({ graceMs: 0, bytesMax, rules: garbageAlone });
      expect(plan.rewrittenBytes).toBeLessThanOrEqual(bytesMax);
      // One more segment, and what reaches into it.
      expect(bytesOut).toBeLessThan(bytesMax + 8000);
      expect(runs).toBeLessThan(50);
      isOver = complete && plan.postponed === 0;
    }

    expect(runs).toBeGreaterThan(3);
    await expectAll(store);
  });

  test("of bytes ends early where groups reach into older segments, and are written with them", async () => {
    const store = await open(newDisk(), { segmentBytesMax: 20_000 });
    for (let i = 0; i < 100; i++) await store.append({ tenant, group: "spread", id: `${i}` }, noise(2000, i));
    for (let i = 0; i < 100; i++) if (i % 2) await store.delete({ tenant, group: "spread", id: `${i}` });

    const first = await store.compact({ graceMs: 0, bytesMax: 45_000, rules: garbageAlone });
    const rest = await store.compact({ graceMs: 0, rules: garbageAlone });

    expect([first.complete, first.segments.length]).toEqual([false, 1]);
    expect(first.plan.segments.length).toBeGreaterThan(1);
    // Nothing is left of the other segments but to take them away.
    expect([rest.complete, rest.bytesOut]).toEqual([true, 0]);
  });
});

describe("a segment of deletes alone", () => {
  const groups = 20;
  const perGroup = 40;

  /** Groups in segments of their own, of each of which some are deleted: so many that the deletes end a segment. */
  async function deletedFrom(deletes: number) {
    const fs = newDisk();
    const store = await open(fs, { segmentBytesMax: 20_000 });
    const ids = Array.from({ length: perGroup }, (_, i) => `${i}`);
    for (let g = 0; g < groups; g++) {
      const items = ids.map((id, i) => ({ id, bytes: noise(500, perGroup * g + i) }));
      await store.appendMany({ tenant, group: `g${g}` }, items);
    }
    const segments = () => fs.list(`${directory}/segments/${tenant}`);
    const deleteFrom = async (from: number, to: number) => {
      for (let i = from; i < to; i++)
        for (let g = 0; g < groups; g++) await store.delete({ tenant, group: `g${g}`, id: `${i}` });
    };
    await deleteFrom(0, deletes);
    return { fs, store, segments, deleteFrom };
  }

  test("is not free: it takes along what its groups have elsewhere, and is left where that does not pay", async () => {
    const { store, segments, deleteFrom } = await deletedFrom(9);
    expect(segments().length).toBeGreaterThan(groups + 1);
    for (let runs = 0; runs < 3; runs++) {
      const before = segments();
      const dry = await store.compact({ graceMs: 0, dryRun: true, rules: garbageAlone });
      const report = await store.compact({ graceMs: 0, rules: garbageAlone });

      expect(dry.plan.segments).toEqual([]);
      expect(report).toMatchObject({ plan: { segments: [] }, segments: [], bytesOut: 0, freed: [], skipped: [] });
      // One that grows is not ended for it again and again.
      expect(segments()).toEqual(before);
      await deleteFrom(9 + runs, 9 + runs);
    }
  });

  test("goes in the run that takes away what it hides", async () => {
    const { fs, store, segments } = await deletedFrom(20);
    const before = segments().length;
    const report = await store.compact({ graceMs: 0, rules: garbageAlone });

    expect(report.complete).toBe(true);
    expect(report.segments.length).toBeGreaterThanOrEqual(before - 1);
    expect(report.bytesOut).toBeLessThan(1.1 * report.plan.rewrittenBytes);
    expect(bytesOnDisk(fs)).toBeLessThan(1.25 * groups * (perGroup - 20) * 500);
    for (let g = 0; g < groups; g++) {
      expect(await collect(store.list({ tenant, group: `g${g}` }))).toHaveLength(perGroup - 20);
    }
  });
});

describe("a dry run", () => {
  test("changes no file, whatever is to be done: sealing, rewriting, an erasure, and what is due to go", async () => {
    const clock = new ManualClock();
    const fs = newDisk();
    const store = await mostlyDead(fs, clock);
    // Some segments wait for the end of a grace that is over, one grows and is worth compacting, some have to go.
    await store.compact({ graceMs: 60_000, bytesMax: 4000, rules: garbageAlone });
    await store.append({ tenant, group: "growing", id: "a" }, noise(2000, 1));
    await store.append({ tenant, group: "growing", id: "a" }, noise(2000, 2));
    await store.erase({ tenant, group: "run-20", ids: ["80"] });
    await store.flush();
    clock.ms += 3_600_000;
    const before = contentsOf(fs);

    const report = await store.compact({ graceMs: 0, dryRun: true, rules: garbageAlone });

    expect(contentsOf(fs)).toEqual(before);
    expect(report).toMatchObject({ segments: [], freed: [], freedBytes: 0, bytesOut: 0, complete: true });
    expect(report.waiting).toBeGreaterThan(0);
    expect(report.plan.segments.map(({ reason }) => reason)).toEqual(expect.arrayContaining(["erasure", "garbage"]));

    const done = await store.compact({ graceMs: 0, rules: garbageAlone });
    expect(done.segments.length).toBeGreaterThanOrEqual(report.plan.segments.length);
    expect(done.freed.length).toBeGreaterThan(0);
    expect(contentsOf(fs)).not.toEqual(before);
  });
});

describe("compaction leaves as it is", () => {
  test("what is damaged, says so, and serves the rest", async () => {
    const disk = newDisk();
    const store = await open(disk);
    const { segment, offset, stored } = await store.append({ tenant, group: "bad", id: "a" }, noise(3000, 1));
    await store.append({ tenant, group: "good", id: "a" }, noise(3000, 2));
    await store.append({ tenant, group: "good", id: "b" }, noise(3000, 3));
    await store.delete({ tenant, group: "good", id: "b" });
    const file = disk.open(`${directory}/segments/${tenant}/${segment}.seg`, "update");
    file.write([Uint8Array.of(0xff, 0x00)], offset + stored - 100);
    file.close();

    const { skipped, freed } = await store.compact({ graceMs: 0, rules: all, mustGo: () => true });

    expect(skipped).toMatchObject([{ tenant, segment, group: "bad" }]);
    expect(freed).toEqual([]);
    expect(await store.get({ tenant, group: "good", id: "a" })).toEqual(noise(3000, 2));
    await expect(store.get({ tenant, group: "bad", id: "a" })).rejects.toMatchObject({ code: "CORRUPT" });
  });

  /** A disk with so much room as is said at the time. */
  function withRoom(disk: PowerLossFileSystem, freeBytes: () => number): FileSystem {
    return new Proxy(disk, {
      get(target, name) {
        if (name === "freeBytes") return freeBytes;
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  }

  test("the rest, where the disk fills up meanwhile, and goes on with it once there is room", async () => {
    const disk = newDisk();
    const plenty = 1e9;
    let free = plenty;
    const store = await open(withRoom(disk, () => free));
    for (let i = 0; i < 60; i++) await store.append({ tenant, group: `g${i >> 1}`, id: "a" }, noise(3000, i));
    const { segment } = (await store.head({ tenant, group: "g0", id: "a" }))!.location;

    const onProgress = ({ share = 0 }: CompactionProgress) => void (share > 0.3 && (free = 70_000_000));
    const cut = await store.compact({ graceMs: 0, onProgress });

    expect(cut).toMatchObject({ complete: false, segments: [], freed: [] });
    expect(cut.skipped).toEqual([{ tenant, segment, reason: expect.stringContaining("no room") }]);
    expect(cut.pages).toBeLessThan(20);
    expect(disk.list(`${directory}/segments/${tenant}`)).toContain(`${segment}.seg`);
    free = plenty;
    const rest = await store.compact({ graceMs: 0 });
    expect([rest.complete, cut.pages + rest.pages]).toEqual([true, 30]);
    for (let i = 1; i < 60; i += 2)
      expect(await store.get({ tenant, group: `g${i >> 1}`, id: "a" })).toEqual(noise(3000, i));
    expect((await store.verify()).faults).toEqual([]);
  });

  test("everything, where the disk has no room to write it again", async () => {
    const disk = newDisk();
    const full = withRoom(disk, () => 1000);
    const store = await open(full);
    for (let i = 0; i < 10; i++) await store.append({ tenant, group: "g", id: `${i % 2}` }, noise(3000, i));
    const before = bytesOnDisk(disk);

    const { complete, skipped } = await store.compact({ graceMs: 0 });

    expect([complete, skipped.length]).toEqual([false, 1]);
    expect(bytesOnDisk(disk)).toBeGreaterThanOrEqual(before);
    expect(await store.get({ tenant, group: "g", id: "1" })).toEqual(noise(3000, 9));
  });
});

describe("compaction of one tenant", () => {
  test("plans, empties and removes its segments, and no other's", async () => {
    const clock = new ManualClock();
    const disk = newDisk();
    const store = await open(disk, { segmentBytesMax: 20_000 }, clock);
    const tenants = ["acme", "other"];
    for (const each of tenants) {
      for (let i = 0; i < 10; i++) await store.append({ tenant: each, group: "g", id: `${i % 2}` }, noise(3000, i));
    }
    const filesOfOther = () => disk.list(`${directory}/segments/other`).toSorted();
    const before = filesOfOther();
    const owners = (of: readonly { readonly tenant: string }[]) => [...new Set(of.map((one) => one.tenant))];

    const { plan } = await store.compact({ tenant, graceMs: 60_000, dryRun: true });
    const done = await store.compact({ tenant, graceMs: 60_000 });
    expect([owners(plan.segments.map(({ usage }) => usage)), owners(done.segments)]).toEqual([[tenant], [tenant]]);
    expect(filesOfOther()).toEqual(before);
    const rest = await store.compact({ graceMs: 60_000 });
    expect(owners(rest.segments)).toEqual(["other"]);
    clock.ms += 60_000;
    // What waited for its grace goes as well, of that tenant alone.
    const { freed, waiting } = await store.compact({ tenant: "other", graceMs: 60_000 });
    expect([owners(freed), waiting]).toEqual([["other"], done.segments.length]);
  });
});

describe("a group that was deleted", () => {
  test("stays so when what deleted it is compacted, and an older segment still holds it", async () => {
    const disk = newDisk();
    const store = await open(disk, { segmentBytesMax: 20_000 });
    await store.append({ tenant, group: "deleted", id: "a" }, noise(500, 1));
    await store.append({ tenant, group: "stays", id: "a" }, noise(25_000, 2));
    await store.deleteGroup({ tenant, group: "deleted" });
    for (const id of ["a", "b"]) await store.append({ tenant, group: "other", id }, noise(25_000, 3));
    const [older, newer = ""] = disk.list(`${directory}/segments/${tenant}`).toSorted();

    const mustGo = ({ segment }: { readonly segment: string }) => `${segment}.seg` === newer;
    const { segments } = await store.compact({ graceMs: 0, mustGo, rules: { deadShareMin: 2 } });

    expect(segments.map(({ segment }) => `${segment}.seg`)).toEqual([newer]);
    expect(disk.list(`${directory}/segments/${tenant}`)).toContain(older);
    await store.close();
    for (const rebuild of [false, true]) {
      const again = await open(disk, { rebuild });
      const groups = (await collect(again.groups({ tenant }))).map(({ group }) => group);
      expect(groups.toSorted()).toEqual(["other", "stays"]);
      await again.close();
    }
  });
});

describe("beside writers", () => {
  test.each<readonly [what: string, change: (store: DiskStore) => Promise<unknown>, left: readonly [string, number][]]>(
    [
      [
        "overwritten",
        (store) => store.append({ tenant, group: "g", id: "a" }, noise(900, 9)),
        [
          ["a", 9],
          ["b", 2],
        ],
      ],
      ["deleted", (store) => store.delete({ tenant, group: "g", id: "a" }), [["b", 2]]],
      ["deleted with its group", (store) => store.deleteGroup({ tenant, group: "g" }), []],
      [
        "joined by another",
        (store) => store.append({ tenant, group: "g", id: "c" }, noise(900, 9)),
        [
          ["a", 1],
          ["b", 2],
          ["c", 9],
        ],
      ],
    ],
  )("what is %s while its group is being merged stays so", async (_what, change, left) => {
    // The clock is looked at between the steps of a run, also between reading a group and committing what was made of it.
    for (let changeAt = 1; ; changeAt++) {
      expect(changeAt).toBeLessThan(100);
      const clock = new ManualClock();
      const store = await open(newDisk(), {}, clock);
      await store.append({ tenant, group: "g", id: "a" }, noise(900, 1));
      await store.append({ tenant, group: "g", id: "b" }, noise(900, 2));
      let changing: Promise<unknown> | undefined;
      const nowMs = clock.nowMs.bind(clock);
      let looks = 0;
      clock.nowMs = () => {
        looks += 1;
        if (looks === changeAt) changing ??= Promise.resolve().then(() => change(store));
        return nowMs();
      };

      await store.compact({ graceMs: 0, mustGo: () => true });
      clock.nowMs = nowMs;
      if (!changing) break;
      await changing;

      const found: [string, Uint8Array][] = [];
      for await (const { id, body } of store.contents({ tenant, group: "g" })) found.push([id, body]);
      expect(found, `at look ${changeAt}`).toEqual(left.map(([id, seed]) => [id, noise(900, seed)]));
      expect((await store.verify()).faults).toEqual([]);
      await store.close();
    }
  });

  test("compaction hides nothing that is written, overwritten or deleted meanwhile", async () => {
    const store = await open(newDisk(), { segmentBytesMax: 20_000 });
    const expected = new Map<string, Uint8Array>();
    const random = seededRandom(9);
    let writing = true;
    const writers = Promise.all(
      [0, 1, 2, 3].map(async (writer) => {
        for (let step = 0; step < 400; step++) {
          const key = { tenant, group: `g${Math.floor(random() * 3)}`, id: `${writer}-${Math.floor(random() * 8)}` };
          const name = `${key.group}/${key.id}`;
          if (random() < 0.25) {
            await store.delete(key);
            expected.delete(name);
          } else {
            const bytes = noise(Math.floor(random() * 900), step);
            await store.append(key, bytes);
            expected.set(name, bytes);
          }
        }
        writing = false;
      }),
    );
    let runs = 0;
    while (writing) {
      await store.compact({ graceMs: 0, rules: all });
      runs += 1;
    }
    await writers;
    await store.compact({ graceMs: 0, rules: all });

    expect(runs).toBeGreaterThan(0);
    for (const group of ["g0", "g1", "g2"]) {
      for await (const { id, body } of store.contents({ tenant, group })) {
        expect(body, `${group}/${id}`).toEqual(expected.get(`${group}/${id}`));
        expected.delete(`${group}/${id}`);
      }
    }
    expect([...expected.keys()]).toEqual([]);
    expect((await store.verify()).faults).toEqual([]);
  });
});
