import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { openDisk, type IndexGrowth } from "../../core/entries/disk.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { prose } from "../conformance/sample-bytes.ts";
import {
  checkpoint,
  closedStore,
  commits,
  expectEverything,
  flipIndexBytes,
  manifest,
  open,
  payloads,
  runsOf,
  tenant,
} from "../support/disk-hash-store.ts";
import { simulatedMachine } from "../support/machine.ts";
import { platformError } from "../support/platform-error.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { smallIndex } from "../support/small-index.ts";

/** An on-disk index is never a source of truth: whatever happens to it, the store serves what its segments hold. */
describe("the index on disk", () => {
  test("spares the next start the segments", async () => {
    const fs = await closedStore();

    const store = await open(fs);

    expect(store.recovery).toMatchObject({ checkpoint: "loaded", segmentsScanned: 0, framesReplayed: 0, damage: [] });
    await expectEverything(store);
  });

  test("with a byte of any of its files flipped, or missing, is made anew, and every answer is right", async () => {
    await flipIndexBytes(197);
  });

  test("that is damaged is made anew where a write is the first to ask it, and the write holds", async () => {
    const fs = await closedStore();
    // Slots lie at the beginning of a run; what its footer speaks for, which opening reads, lies behind them.
    for (const [name, bytes] of runsOf(fs)) fs.writeFile(`/store/index/runs/${name}`, bytes.with(8, bytes[8]! ^ 1));
    const store = await open(fs);
    expect(store.recovery.checkpoint).toBe("loaded");

    const writes = Array.from({ length: 10 }, (_, i) =>
      store.append({ tenant, group: `g${i % 5}`, id: `${i}` }, prose(60, 100 + i)),
    );

    await Promise.all(writes);
    await expectEverything(store);
    await store.close();
  });

  test("is asked for any number of ids at once", async () => {
    const store = await open(await closedStore());
    const ids = Array.from({ length: 20_000 }, (_, i) => `never ${i}`);
    ids[0] = "1";
    ids[8191] = "6";
    ids[8192] = "11";
    ids[19_999] = "16";

    const found = await store.getMany({ tenant, group: "g1" }, ids);

    const there = [...found.entries()].flatMap(([i, body]) => (body ? [[ids[i], body] as const] : []));
    expect(there.map(([id]) => id)).toEqual(["1", "6", "11", "16"]);
    sameBytes(there[3]?.[1], prose(40, 16), "16");
    await store.close();
  });

  test("that is older than the segments is brought up to date from them", async () => {
    const fs = await closedStore();
    const old = fs.files().filter((file) => file.includes("/index/"));
    const saved = new Map(old.map((file) => [file, fs.readFile(file)]));
    const store = await open(fs);
    for (let i = 0; i < 20; i++) await store.append({ tenant, group: "new", id: `${i}` }, prose(50, i));
    await store.delete({ tenant, group: "new", id: "3" });
    await store.close();
    for (const file of fs.files()) if (file.includes("/index/")) fs.unlink(file);
    for (const [file, bytes] of saved) fs.writeFile(file, bytes);

    const again = await open(fs);

    expect(again.recovery).toMatchObject({ checkpoint: "loaded", framesReplayed: 21 });
    expect(await again.has({ tenant, group: "new", id: "3" })).toBe(false);
    await expectEverything(again, payloads + 19);
  });

  test("of another store is damaged: its hashes are other hashes", async () => {
    const fs = await closedStore();
    const other = await closedStore(77);
    fs.writeFile(manifest, other.readFile(manifest));

    const store = await open(fs);

    expect(store.recovery.checkpoint).toBe("damaged");
    await expectEverything(store);
  });

  test("names its runs by their SHA-256, keeps those that did not change, and no others", async () => {
    const fs = await closedStore();
    const before = runsOf(fs);
    for (const [name, bytes] of before) expect(nodeDigest.sha256(bytes)).toBe(name);

    const store = await open(fs);
    await store.append({ tenant, group: "one more", id: "x" }, prose(10, 1));
    await store.close();

    const after = runsOf(fs);
    const kept = [...after.keys()].filter((name) => before.has(name));
    expect(kept.length).toBeGreaterThan(0);
    expect(after.size).toBeLessThanOrEqual(before.size + 1);
    const reopened = await open(fs);
    expect([...runsOf(fs).keys()].toSorted()).toEqual([...after.keys()].toSorted());
    await reopened.close();
  });

  test("is read by others beside the writer, which goes on replacing its files", async () => {
    const fs = await closedStore();
    const writer = await open(fs);
    const reader = await open(fs, { readOnly: true });
    for (let i = 0; i < 40; i++) {
      await writer.append({ tenant, group: `late ${i % 3}`, id: `${i}` }, prose(30, i));
      sameBytes(await reader.get({ tenant, group: `late ${i % 3}`, id: `${i}` }), prose(30, i), `${i}`);
    }
    await expectEverything(reader, payloads + 40);
    await expectEverything(await open(fs, { readOnly: true, index: "memory" }), payloads + 40);
  });

  test("is made anew when somebody asks, also while others write", async () => {
    const fs = await closedStore();
    const store = await open(fs);
    const writing = Array.from({ length: 30 }, (_, i) =>
      store.append({ tenant, group: `g${i % 4}`, id: `beside ${i}` }, prose(20, i)),
    );

    const { pages, damage } = await store.rebuildIndex();
    await Promise.all(writing);

    expect([pages >= commits, damage]).toEqual([true, []]);
    await expectEverything(store, payloads + 30);
    await store.close();
    await expectEverything(await open(fs), payloads + 30);
  });
});

describe("an index of another kind", () => {
  test("takes the place of the one there is, either way, and everything is there", async () => {
    const fs = await closedStore();
    for (const index of ["memory", "disk-hash", "memory", "memory", "disk-hash", "disk-hash"] as const) {
      const store = await open(fs, { index });
      await expectEverything(store);
      await store.append({ tenant, group: "g0", id: "again" }, prose(10, 1));
      await store.delete({ tenant, group: "g0", id: "again" });
      await store.close();
      const files = fs.files().filter((file) => file.includes("/index/"));
      expect(files.includes(manifest)).toBe(index === "disk-hash");
      expect(files.includes(checkpoint)).toBe(index === "memory");
    }
  });

  test("takes over when the first has grown, while callers write and read, and no call fails", async () => {
    const fs = new PowerLossFileSystem({ random: seededRandom(1), syncTakes: "immediate" });
    const store = await open(fs, {}, { plainKeysMax: 60 });
    const appended: string[] = [];
    await Promise.all(
      Array.from({ length: 8 }, async (_, writer) => {
        for (let i = 0; i < 25; i++) {
          await store.append({ tenant, group: `w${writer}`, id: `${i}` }, prose(20, writer * 100 + i));
          appended.push(`${writer} ${i}`);
          const [of = "", id = ""] = appended[(i * 7) % appended.length]!.split(" ");
          sameBytes(await store.get({ tenant, group: `w${of}`, id }), prose(20, Number(of) * 100 + Number(id)), id);
        }
      }),
    );
    expect(await store.size({ tenant })).toBe(200);
    await store.close();
    expect(fs.files().includes(manifest)).toBe(true);
    expect(fs.files().includes(checkpoint)).toBe(false);
    expect(await (await open(fs)).size({ tenant })).toBe(200);
  });
});

describe("the growth of the index", () => {
  test("takes over in many turns of the event loop, so that reads and timers have theirs", async () => {
    const fs = new PowerLossFileSystem({ random: seededRandom(1), syncTakes: "immediate" });
    const store = await open(fs, { segmentBytesMax: 10_000_000 }, { plainKeysMax: 11_999, laneChangesMax: 100_000 });
    const items = (i: number) =>
      Array.from({ length: 1000 }, (_, j) => ({
        id: `an id that takes some forty bytes ${i} ${j}`,
        bytes: prose(1, j),
      }));
    for (let i = 0; i < 12; i++) await store.appendMany({ tenant, group: `g${i}` }, items(i));

    let turns = 0;
    let isTaken = false;
    const appended = store.append({ tenant, group: "g0", id: "waits" }, prose(10, 1)).then(() => (isTaken = true));
    for (; !isTaken; turns++) await setImmediate();
    await appended;
    // Twelve for the pages, of 50 KiB each, and some for the scan and the save.
    expect(turns).toBeGreaterThan(20);
    expect(await store.size({ tenant })).toBe(12_001);
    await store.close();
  });

  test("divides its lanes again and again beside the callers, and every answer stays right", async () => {
    const fs = new PowerLossFileSystem({ random: seededRandom(1) });
    const bounds = { lanes: 1, laneKeysMax: 12 };
    const store = await open(fs, {}, bounds);
    const lanes = () => Number(/"lanes":(\d+)/.exec(Buffer.from(fs.readFile(manifest)).toString())?.[1]);
    const expected = new Map<string, Uint8Array>();
    for (let i = 0; i < 300; i++) {
      const id = `${(i * 7) % 120}`;
      if (i % 5 === 4) {
        await store.delete({ tenant, group: `g${i % 3}`, id });
        expected.delete(`${i % 3} ${id}`);
      } else {
        await store.append({ tenant, group: `g${i % 3}`, id }, prose(15, i));
        expected.set(`${i % 3} ${id}`, prose(15, i));
      }
    }
    await store.close();
    expect(lanes()).toBeGreaterThanOrEqual(8);

    const again = await open(fs, {}, bounds);
    expect(again.recovery).toMatchObject({ checkpoint: "loaded", framesReplayed: 0 });
    for (let i = 0; i < 360; i++) {
      const found = await again.get({ tenant, group: `g${i % 3}`, id: `${Math.floor(i / 3)}` });
      expect(found).toEqual(expected.get(`${i % 3} ${Math.floor(i / 3)}`));
    }
    expect(await again.size({ tenant })).toBe(expected.size);
  });

  test("is reported once for each step in the life of a store, with what was measured", async () => {
    const fs = new PowerLossFileSystem({ random: seededRandom(1) });
    const reports: IndexGrowth[] = [];
    const onIndexGrowth = (growth: IndexGrowth) => void reports.push(growth);
    for (let life = 0; life < 3; life++) {
      const store = await open(fs, { onIndexGrowth });
      for (let i = 0; i < 9; i++) await store.append({ tenant, group: `g${life}`, id: `${i}` }, prose(10, i));
      await store.close();
    }

    expect(reports.map(({ kind, payloads: at }) => [kind, at])).toEqual([
      ["index-growth", 10],
      ["index-growth", 20],
    ]);
    for (const { memoryBytes, diskBytes } of reports) expect(Math.min(memoryBytes, diskBytes)).toBeGreaterThan(200);
  });

  test("has a bound: where changes cannot be written, the store stops writing, and loses nothing", async () => {
    const disk = new PowerLossFileSystem({ random: seededRandom(1) });
    let full = false;
    const store = await openDisk(
      { directory: "/store", index: "disk-hash" },
      {
        ...simulatedMachine(
          {
            open: (file, mode) => {
              if (full && mode === "create" && file.includes("/runs/")) throw platformError("ENOSPC", "open", file);
              return disk.open(file, mode);
            },
            list: (path) => disk.list(path),
            stat: (path) => disk.stat(path),
            freeBytes: () => disk.freeBytes(),
            makeDirectory: (path) => disk.makeDirectory(path),
            rename: (from, to) => disk.rename(from, to),
            unlink: (path) => disk.unlink(path),
            syncDirectory: (path, reason) => disk.syncDirectory(path, reason),
            lock: (path) => disk.lock(path),
          },
          1,
        ),
        indexBounds: smallIndex,
      },
    );
    await store.append({ tenant, group: "g", id: "first" }, prose(10, 0));
    // It waits until the index on disk has taken the place of the first one.
    await store.append({ tenant, group: "g", id: "second" }, prose(10, 0));
    full = true;
    let appended = 0;
    const failing = async () => {
      for (; ; appended++) await store.append({ tenant, group: "g", id: `${appended}` }, prose(10, appended));
    };

    await expect(failing()).rejects.toMatchObject({ code: "UNAVAILABLE" });

    // Two overlays of four keys for each of three lanes, and the commit that filled them.
    expect(appended).toBeGreaterThan(8);
    expect(appended).toBeLessThanOrEqual(2 * 3 * 4 + 1);
    expect(store.health()).toMatchObject({ ok: false, reason: expect.stringContaining("the disk is full") });
    expect(await store.size({ tenant })).toBe(appended + 2);
    await store.close().catch(() => {});
    expect(await (await open(disk)).size({ tenant })).toBe(appended + 2);
  });

  test("counts what is alive in each segment as it was when it was saved, whatever is committed meanwhile", async () => {
    const fs = new PowerLossFileSystem({ random: seededRandom(1), syncTakes: "immediate" });
    const store = await open(fs, {}, { laneChangesMax: 1000 });
    const put = (i: number) => store.append({ tenant, group: "g", id: `${i % 9}` }, prose(60, i));
    for (let i = 0; i < 20; i++) await put(i);

    await Promise.all([store.flush(), put(20), put(21), put(22), store.delete({ tenant, group: "g", id: "7" })]);

    const again = await open(fs.kill());
    expect(again.recovery.framesReplayed).toBeGreaterThan(0);
    const { liveBytes } = await again.storage({ tenant }, { full: true });
    expect((await again.storage({ tenant })).liveBytes).toBe(liveBytes);
  });
});
