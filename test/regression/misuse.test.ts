import { describe, expect, it } from "vitest";
import { openDisk, type DiskOptions, type DiskStore } from "../../core/entries/disk.ts";
import { openMemory } from "../../core/entries/memory.ts";
import { storeFolder } from "../support/crash-workload.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

/** What careful users met who moved files, mixed calls and passed nonsense. */

const text = (words: string) => new TextEncoder().encode(words);
const newDisk = () => new PowerLossFileSystem({ random: seededRandom(1) });

let openings = 0;
function open(fs: PowerLossFileSystem, options: Partial<DiskOptions> = {}): Promise<DiskStore> {
  return openDisk({ directory: storeFolder, ...options }, simulatedMachine(fs, ++openings));
}

function segmentsOf(fs: PowerLossFileSystem): string[] {
  return fs.files().filter((file) => file.includes("/segments/"));
}

describe("rebuildIndex beside writes that begin in the same turn", () => {
  it("loses none of them and brings nothing back", async () => {
    for (let round = 0; round < 10; round++) {
      const disk = newDisk();
      const store = await open(disk);
      await store.append({ tenant: "t", group: "g", id: "a" }, text("to be deleted"));

      const calls = Promise.all([
        store.delete({ tenant: "t", group: "g", id: "a" }),
        store.append({ tenant: "t", group: "h", id: "b" }, text("b")),
        store.rebuildIndex(),
        store.append({ tenant: "t", group: "i", id: "c" }, text("c".repeat(400_000)), { codec: "zstd" }),
      ]);
      await calls;
      await store.append({ tenant: "t", group: "h", id: "d" }, text("d"));

      for (const reopened of [store, await store.close().then(() => open(disk, { rebuild: true }))].slice(1)) {
        expect(await reopened.get({ tenant: "t", group: "g", id: "a" })).toBeUndefined();
        expect(await reopened.get({ tenant: "t", group: "h", id: "b" })).toEqual(text("b"));
        expect(await reopened.get({ tenant: "t", group: "h", id: "d" })).toEqual(text("d"));
        expect(await reopened.size({ tenant: "t" })).toBe(3);
        expect((await reopened.verify()).faults).toEqual([]);
      }
    }
  });
});

describe("a segment of another tenant in a tenant's folder", () => {
  it("is named by verify, and none of it is served", async () => {
    const disk = newDisk();
    const first = await open(disk);
    await first.append({ tenant: "bob", group: "g", id: "x" }, text("bob's own"));
    await first.append({ tenant: "alice", group: "g", id: "x" }, text("alice's"));
    await first.append({ tenant: "alice", group: "h", id: "secret" }, text("alice's data"));
    await first.close();
    const [hers = ""] = segmentsOf(disk).filter((file) => file.includes("/alice/"));
    disk.writeFile(hers.replace("/alice/", "/bob/"), disk.readFile(hers));

    for (const options of [{ readOnly: true }, {}, { rebuild: true }]) {
      const store = await open(disk, options);
      expect(await store.get({ tenant: "bob", group: "g", id: "x" })).toEqual(text("bob's own"));
      expect(await store.get({ tenant: "bob", group: "h", id: "secret" })).toBeUndefined();
      expect(await store.size({ tenant: "bob" })).toBe(1);
      await store.close();
    }
  });
});

describe("a segment in the middle that is all zero, without an index", () => {
  it.each([{ readOnly: true }, {}])("is no reason to answer absent (%o)", async (options) => {
    const disk = newDisk();
    const first = await open(disk, { segmentBytesMax: 200 });
    for (const id of ["a", "b", "c"]) await first.append({ tenant: "t", id }, text(`the payload ${id} `.repeat(20)));
    await first.close();
    const [, middle = ""] = segmentsOf(disk);
    disk.writeFile(middle, new Uint8Array(disk.readFile(middle).length));
    disk.unlink(`${storeFolder}/index/checkpoint`);

    const store = await open(disk, options);

    await expect(store.get({ tenant: "t", id: "b" })).rejects.toMatchObject({ code: "CORRUPT" });
    expect(await store.get({ tenant: "t", id: "c" })).toEqual(text("the payload c ".repeat(20)));
  });
});

describe("a sealed segment that was cut short", () => {
  it("is reported, left as it is, and what it lost is CORRUPT", async () => {
    const disk = newDisk();
    const first = await open(disk, { segmentBytesMax: 900 });
    for (let i = 0; i < 8; i++) await first.append({ tenant: "t", id: `${i}` }, text(`the payload ${i} `.repeat(20)));
    await first.close();
    const [oldest = ""] = segmentsOf(disk);
    const cut = disk.readFile(oldest).subarray(0, 300);
    disk.writeFile(oldest, cut);

    const store = await open(disk);

    expect(store.recovery.damage).not.toEqual([]);
    expect(disk.readFile(oldest)).toEqual(cut);
    await expect(store.get({ tenant: "t", id: "1" })).rejects.toMatchObject({ code: "CORRUPT" });
    expect((await store.verify()).faults).not.toEqual([]);
    expect(await store.get({ tenant: "t", id: "7" })).toEqual(text("the payload 7 ".repeat(20)));
  });
});

describe("nonsense", () => {
  it("of one caller does not touch others that append to the same group", async () => {
    const store = openMemory();
    const key = { tenant: "t", group: "g" };
    const results = await Promise.allSettled([
      store.append({ ...key, id: "a" }, text("a")),
      store.append({ ...key, id: "b" }, text("b"), { contentType: 5 as unknown as string }),
      store.append({ ...key, id: "c" }, text("c")),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(results[1]).toMatchObject({ reason: { code: "INVALID" } });
  });

  it("is refused as such: ranges, limits, idempotency keys", async () => {
    const store = openMemory();
    const key = { tenant: "t", group: "g", id: "a" };
    await store.append(key, text("abc"));
    for (const range of [
      { start: Number.NaN, end: 2 },
      { start: 0, end: Number.NaN },
      { start: -1, end: 2 },
      { start: 2, end: 1 },
    ]) {
      await expect(store.read(key, { range }), JSON.stringify(range)).rejects.toMatchObject({ code: "INVALID" });
    }
    await expect(store.list(key, { limit: Number.NaN }).next()).rejects.toMatchObject({ code: "INVALID" });
    for (const idempotencyKey of [1, null, ""] as unknown as string[]) {
      await expect(store.append(key, text("x"), { idempotencyKey })).rejects.toMatchObject({ code: "INVALID" });
    }
  });
});

describe("a store.json of a newer format", () => {
  it("is refused by its version, also when its checksum is made otherwise", async () => {
    const disk = newDisk();
    await (await open(disk)).close();
    const file = `${storeFolder}/store.json`;
    disk.writeFile(file, text(JSON.stringify({ format: 7, secret: "00", created: "then", crc: "unknown" })));

    await expect(open(disk)).rejects.toMatchObject({
      code: "UNSUPPORTED_VERSION",
      message: expect.stringContaining("format 7"),
    });
  });
});

describe("more tenants than files may be open", () => {
  it("all write, and no more files are open for writing than the limit", async () => {
    const disk = newDisk();
    const store = await open(disk);
    let writing = 0;
    let most = 0;
    const closed = (file: ReturnType<PowerLossFileSystem["open"]>) => {
      writing -= 1;
      file.close();
    };
    const real = disk.open.bind(disk);
    disk.open = (path, mode) => {
      const file = real(path, mode);
      if (mode === "read" || !path.endsWith(".seg")) return file;
      writing += 1;
      most = Math.max(most, writing);
      return { ...wrap(file), close: () => closed(file) };
    };
    await Promise.all(
      Array.from({ length: 600 }, (_, i) => store.append({ tenant: `tenant-${i}`, id: "a" }, text(`${i}`))),
    );
    expect(most).toBeLessThanOrEqual(256);
    expect(await store.get({ tenant: "tenant-599", id: "a" })).toEqual(text("599"));
    await store.close();
    expect(writing).toBe(0);
  });
});

function wrap(file: ReturnType<PowerLossFileSystem["open"]>): ReturnType<PowerLossFileSystem["open"]> {
  return {
    size: () => file.size(),
    read: (target, offset) => file.read(target, offset),
    write: (parts, offset) => file.write(parts, offset),
    sync: (reason) => file.sync(reason),
    close: () => file.close(),
  };
}

describe("options that no store has", () => {
  it.each([{ index: "disk-hush" }, { durability: "safest" }, { segmentBytesMax: 0 }, { cacheBytes: -1 }])(
    "are refused by name before any file is touched (%o)",
    async (wrong) => {
      const disk = newDisk();
      const [field = ""] = Object.keys(wrong);

      await expect(open(disk, wrong as Partial<DiskOptions>)).rejects.toMatchObject({
        code: "INVALID",
        details: { field },
        message: expect.stringContaining(field),
      });

      expect(disk.files()).toEqual([]);
      expect(disk.stat(storeFolder)).toBeUndefined();
    },
  );
});
