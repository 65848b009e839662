import { describe, expect, it } from "vitest";
import { openDisk, type DiskOptions, type DiskStore } from "../../core/entries/disk.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { storeFolder } from "../support/crash-workload.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { smallIndex } from "../support/small-index.ts";

/** What a review of the recovery found: ways in which a frame that was lost could be forgotten. */

const tenant = "t";
const key = (group: string, id: string) => ({ tenant, group, id });
const bytes = (text: string) => new TextEncoder().encode(text);
const checkpoint = `${storeFolder}/index/checkpoint`;

function newDisk(seed = 1): PowerLossFileSystem {
  return new PowerLossFileSystem({ random: seededRandom(seed) });
}

let openings = 0;
function open(fs: PowerLossFileSystem, options: Partial<DiskOptions> = {}): Promise<DiskStore> {
  return openDisk({ directory: storeFolder, ...options }, simulatedMachine(fs, ++openings));
}

function segmentsOf(fs: PowerLossFileSystem): string[] {
  return fs.files().filter((file) => file.includes("/segments/"));
}

/** Damages one bit of a file. */
function flip(fs: PowerLossFileSystem, file: string, at: number): void {
  const flipped = fs.readFile(file);
  flipped[at]! ^= 1;
  fs.writeFile(file, flipped);
}

describe("a mark that a power cut zeroed, under a checkpoint that covers it", () => {
  it("leaves every acknowledged page for a rebuild of the index, whatever came afterwards", async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const disk = newDisk(seed);
      const first = await open(disk);
      await first.append(key("g", "a"), bytes("one"));
      await first.append(key("h", "a"), bytes("two"));
      await first.close();

      const cut = disk.powerLoss();
      const second = await open(cut);
      await second.append(key("g", "b"), bytes("three"));
      await second.close();

      const again = cut.powerLoss();
      if (again.stat(checkpoint)) again.unlink(checkpoint);
      const rebuilt = await open(again);
      const got = [];
      for (const [group, id] of [
        ["g", "a"],
        ["h", "a"],
        ["g", "b"],
      ] as const)
        got.push(await rebuilt.get(key(group, id)));
      expect(got, `seed ${seed}`).toEqual(["one", "two", "three"].map(bytes));
      expect((await rebuilt.verify()).faults, `seed ${seed}`).toEqual([]);
    }
  });
});

describe("a damaged tombstone in a growing segment", () => {
  it("does not come back to life when the segment is sealed and the index rebuilt", async () => {
    const disk = newDisk();
    const first = await open(disk);
    await first.append(key("g", "a"), bytes("to be deleted"));
    const [file = ""] = segmentsOf(disk);
    const before = disk.readFile(file).length;
    await first.delete(key("g", "a"));
    await first.append(key("z", "z"), bytes("later"));
    await first.close();
    flip(disk, file, before + 40);
    disk.unlink(checkpoint);

    const second = await open(disk, { segmentBytesMax: 600 });
    await expect(second.get(key("g", "a"))).rejects.toMatchObject({ code: "CORRUPT" });
    for (let i = 0; i < 5; i++) await second.append(key("z", `${i}`), bytes("fills the segment ".repeat(9)));
    await second.close();
    expect(segmentsOf(disk).length).toBeGreaterThan(1);

    const third = await open(disk, { rebuild: true });
    await expect(third.get(key("g", "a"))).rejects.toMatchObject({ code: "CORRUPT" });
    expect((await third.verify()).faults.map(({ kind }) => kind)).toContain("damaged");
    expect(await third.get(key("z", "4"))).toEqual(bytes("fills the segment ".repeat(9)));
  });
});

describe("the sequence of a lost page", () => {
  it("is not given out again, so a segment that is restored and a newer write do not contradict each other", async () => {
    const disk = newDisk();
    const first = await open(disk);
    await first.append(key("g", "a"), bytes("v1"));
    const [file = ""] = segmentsOf(disk);
    const before = disk.readFile(file).length;
    await first.append(key("g", "a"), bytes("v2"));
    await first.append(key("z", "z"), bytes("later"));
    await first.close();
    const whole = disk.readFile(file);
    flip(disk, file, before + 30);
    disk.unlink(checkpoint);

    const second = await open(disk);
    await expect(second.get(key("g", "a"))).rejects.toMatchObject({ code: "CORRUPT" });
    await second.append(key("g", "a"), bytes("v3"));
    expect(await second.get(key("g", "a"))).toEqual(bytes("v3"));
    await second.close();

    const restored = disk.readFile(file);
    restored.set(whole);
    disk.writeFile(file, restored);
    const third = await open(disk, { rebuild: true });
    expect(await third.get(key("g", "a"))).toEqual(bytes("v3"));
    expect(third.recovery.damage).toEqual([]);
    expect((await third.verify()).faults).toEqual([]);
  });
});

describe("a group of which every page is lost", () => {
  it("ends a listing of the groups with an error, and makes the totals inexact", async () => {
    const disk = newDisk();
    const first = await open(disk);
    await first.append(key("g", "a"), bytes("v1"));
    const [file = ""] = segmentsOf(disk);
    const before = disk.readFile(file).length;
    await first.append(key("h", "a"), bytes("the only one"));
    await first.append(key("z", "z"), bytes("later"));
    await first.close();
    flip(disk, file, before + 30);
    disk.unlink(checkpoint);

    const store = await open(disk);
    const seen: string[] = [];
    const listing = (async () => {
      for await (const { group } of store.groups({ tenant })) seen.push(group);
    })();
    await expect(listing).rejects.toMatchObject({ code: "CORRUPT" });
    expect(seen).toEqual(["g", "z"]);
    expect(await store.stats({ tenant })).toMatchObject({ payloads: 2, exact: false });
  });
});

describe("a segment of nothing but its header", () => {
  it("is set aside: the next commit makes a segment whose name is durable", async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const disk = newDisk(seed);
      const first = await open(disk);
      await first.append(key("g", "a"), bytes("one"));
      await first.close();
      const [file = ""] = segmentsOf(disk);
      disk.writeFile(file, disk.readFile(file).subarray(0, 128));
      disk.unlink(checkpoint);
      await disk.syncDirectory(`${storeFolder}/index`, "new checkpoint");

      const second = await open(disk);
      expect(second.recovery.quarantined).toHaveLength(1);
      await second.append(key("g", "b"), bytes("acknowledged"));
      const third = await open(disk.powerLoss());
      expect(await third.get(key("g", "b")), `seed ${seed}`).toEqual(bytes("acknowledged"));
    }
  });
});

describe("options that would never seal a segment", () => {
  it.each([0, -1, Number.NaN, 1.5, Infinity])("segmentBytesMax %s is refused", async (segmentBytesMax) => {
    await expect(open(newDisk(), { segmentBytesMax })).rejects.toMatchObject({ code: "INVALID" });
  });
});

describe("a page that compaction has taken the place of", () => {
  it("is not missed by an index that goes to the disk before it has met the page that tells so", async () => {
    const fs = newDisk();
    const machine = () => ({ ...simulatedMachine(fs, ++openings), indexBounds: smallIndex });
    const options = { directory: storeFolder, segmentBytesMax: 4096 };
    const store = await openDisk(options, machine());
    await store.append(key("g", "one"), bytes("1".repeat(100)));
    await store.append(key("end", "of a segment"), noise(4096, 1));
    // Page 2 lies in the segment that grows, and behind it what takes the place of page 1.
    await store.append(key("g", "two"), noise(3000, 2));
    await store.deleteGroup({ tenant, group: "end" });
    const report = await store.compact({ graceMs: 0 });
    await store.close();
    expect(report.freed).toHaveLength(1);

    const rebuilt = await openDisk({ ...options, rebuild: true }, machine());

    expect(rebuilt.recovery.damage).toEqual([]);
    expect(await rebuilt.has(key("g", "three"))).toBe(false);
    await rebuilt.close();
  });
});
