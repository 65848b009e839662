import { describe, expect, test } from "vitest";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { bytesOfHex, view } from "../../core/bytes.ts";
import { type DiskOptions, type DiskStore, openDisk } from "../../core/entries/disk.ts";
import { type IndexBounds, indexBounds } from "../../core/lsm/index-bounds.ts";
import type { Attributes } from "../../core/payload.ts";
import { collect } from "../conformance/expectations.ts";
import { noise, prose, text } from "../conformance/sample-bytes.ts";
import { CountingFileSystem } from "../support/counting-file-system.ts";
import { simulatedMachine } from "../support/machine.ts";
import { platformError } from "../support/platform-error.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { smallIndex } from "../support/small-index.ts";

const tenant = "acme";
const kinds = [
  ["in typed arrays", indexBounds],
  ["on disk", smallIndex],
] as const;

describe.each(kinds)("find, with an index %s,", (_name, bounds) => {
  test("asks again for nothing where payloads have no such attributes, and is right after a restart", async () => {
    const fs = newDisk();
    const store = await open(fs, bounds);
    await filled(store);
    const before = await found(store, { user: "u1" });
    await store.close();

    const again = await open(fs, bounds);

    expect(again.recovery).toMatchObject({ checkpoint: "loaded", segmentsScanned: 0 });
    expect(await found(again, { user: "u1" })).toEqual(before);
    expect(before).toHaveLength(10);
  });

  test("makes an index anew that was saved without attributes", async () => {
    const fs = newDisk();
    const store = await open(fs, bounds);
    await filled(store);
    const before = await found(store, { user: "u1" });
    await store.close();
    for (const file of ["checkpoint", "manifest"]) asVersion0(fs, file);

    const again = await open(fs, bounds);

    expect(again.recovery).toMatchObject({ checkpoint: "damaged", damage: [] });
    expect(await found(again, { user: "u1" })).toEqual(before);
    await again.close();
    expect((await open(fs, bounds)).recovery.checkpoint).toBe("loaded");
  });

  test("answers what it can and ends with CORRUPT where a page is damaged that may have held more", async () => {
    const fs = newDisk();
    const store = await open(fs, bounds);
    await filled(store);
    const [{ location } = expect.unreachable()] = await collect(store.find({ tenant, where: { user: "u1" } }));
    await store.close();
    // The byte before the first block of a payload is the end of its page.
    flip(fs, location.segment, location.offset - 1);

    const again = await open(fs, bounds);

    await endsCorrupt(again, { user: "u1" }, 9);
    // What lies in other pages is not touched by it.
    expect(await found(again, { user: "u2" })).toHaveLength(10);
  });

  test("ends with CORRUPT after a rebuild around damage, also where nothing is found", async () => {
    const fs = newDisk();
    const store = await open(fs, bounds);
    await filled(store);
    const [{ location } = expect.unreachable()] = await collect(store.find({ tenant, where: { user: "u1" } }));
    await store.close();
    flip(fs, location.segment, location.offset - 1);

    const rebuilt = await open(fs, bounds, { rebuild: true });

    await endsCorrupt(rebuilt, { user: "u1" }, 9);
    await endsCorrupt(rebuilt, { user: "nobody" }, 0);
    expect(await collect(rebuilt.find({ tenant, where: { user: "u1" } }, { limit: 5 }))).toHaveLength(5);
    expect(await found(rebuilt, { user: "u1" }, "other")).toEqual([]);
  });

  test("is whole again once a lost page could hold nothing that is alive", async () => {
    const fs = newDisk();
    const store = await open(fs, bounds);
    for (const id of ["a", "b", "c"]) {
      await store.append({ tenant, group: "g", id }, noise(500, 1), { attributes: { user: "u1" } });
    }
    const [, { location } = expect.unreachable()] = await collect(store.list({ tenant, group: "g" }));
    await store.close();
    flip(fs, location.segment, location.offset - 1);
    const rebuilt = await open(fs, bounds, { rebuild: true });
    await endsCorrupt(rebuilt, { user: "u1" }, 1);

    await rebuilt.deleteGroup({ tenant, group: "g" });
    await rebuilt.append({ tenant, group: "g", id: "d" }, text("d"), { attributes: { user: "u1" } });

    expect(await found(rebuilt, { user: "u1" })).toEqual(["g/d"]);
  });

  test("ends with CORRUPT where a segment is gone that the index names", async () => {
    const fs = newDisk();
    const store = await open(fs, bounds);
    await filled(store);
    await store.close();
    const segments = fs.files().filter((file) => file.endsWith(".seg"));
    expect(segments.length).toBeGreaterThan(3);
    const again = await open(fs, bounds);
    fs.unlink(segments[1] ?? "");

    const error = await collect(again.find({ tenant, where: { user: "u1" } })).catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("the index names a segment that is gone"),
    });
  });

  test("goes on behind a cursor after the index was made anew, and misses nothing", async () => {
    let fs = newDisk();
    let store = await open(fs, bounds);
    await filled(store);
    const whole = await collect(store.find({ tenant, where: { user: "u1" } }));

    for (const [i, { cursor }] of whole.entries()) {
      if (i % 3 === 0) await store.rebuildIndex();
      else if (i % 3 === 1) {
        await store.close();
        store = await open(fs, bounds, { rebuild: true });
      } else {
        fs = fs.kill();
        store = await open(fs, bounds);
      }
      const rest = await collect(store.find({ tenant, where: { user: "u1" } }, { after: cursor }));
      const names = new Set(rest.map(nameOf));
      for (const behind of whole.slice(i + 1)) expect(names, `${i}`).toContain(nameOf(behind));
    }
  });

  test("finds the same after compaction, also beside the process that did it, and in the middle of it", async () => {
    const fs = newDisk();
    const store = await open(fs, bounds);
    await filled(store);
    for (let i = 0; i < 9; i++) await store.delete({ tenant, group: `g${i}`, id: `${i}` });
    const before = (await found(store, { user: "u1" })).toSorted();
    expect(before).toHaveLength(7);
    const reader = await open(fs, bounds, { readOnly: true });
    const [first = expect.unreachable()] = await collect(store.find({ tenant, where: { user: "u1" } }, { limit: 1 }));
    const [readFirst = expect.unreachable()] = await collect(
      reader.find({ tenant, where: { user: "u1" } }, { limit: 1 }),
    );

    const walks = [store, reader].map((walked) => walked.find({ tenant, where: { user: "u1" } }));
    for (const walk of walks) await walk.next();
    const { freed } = await store.compact({ graceMs: 0, mustGo: () => true });
    expect(freed.length).toBeGreaterThan(5);

    for (const walked of [store, reader]) {
      expect((await found(walked, { user: "u1" })).toSorted()).toEqual(before);
      expect(await found(walked, { user: "nobody" })).toEqual([]);
    }
    for (const [i, walk] of walks.entries()) {
      const rest = new Set([nameOf(i === 0 ? first : readFirst), ...(await collect(walk)).map(nameOf)]);
      expect([...rest].toSorted()).toEqual(before);
    }
    const behind = await collect(store.find({ tenant, where: { user: "u1" } }, { after: first.cursor }));
    expect(new Set([first, ...behind].map(nameOf))).toEqual(new Set(before));
    await store.close();
    expect((await found(await open(fs, bounds), { user: "u1" })).toSorted()).toEqual(before);
  });

  test("beside a writer, ends with CORRUPT where a segment is lost that was not compacted", async () => {
    const fs = newDisk();
    const store = await open(fs, bounds);
    await filled(store);
    await store.flush();
    const reader = await open(fs, bounds, { readOnly: true });
    fs.unlink(fs.files().filter((file) => file.endsWith(".seg"))[1] ?? "");

    await expect(found(reader, { user: "u1" })).rejects.toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("the index names a segment that is gone"),
    });
  });

  test("looks again as long as it is another segment that went away meanwhile", async () => {
    const disk = newDisk();
    const store = await open(disk, bounds, { segmentBytesMax: 1 });
    for (const id of ["a", "b", "a"])
      await store.append({ tenant, group: "g", id }, noise(200, 1), { attributes: { user: "u1" } });
    await store.close();
    // Each segment is away when it is opened first, as if its payloads had been moved since the index named it.
    const away = new Set(disk.files().filter((file) => file.endsWith(".seg")));
    expect(away.size).toBe(3);
    const fs = new Proxy(disk, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name, target);
        if (name !== "open") return typeof member === "function" ? member.bind(target) : member;
        return (file: string, mode: "create" | "update" | "read") => {
          if (away.delete(file)) throw platformError("ENOENT", "open", file);
          return target.open(file, mode);
        };
      },
    });

    const reader = await open(fs, bounds, { readOnly: true, cacheBytes: 0 });

    expect(await found(reader, { user: "u1" })).toEqual(["g/b", "g/a"]);
    expect(away.size).toBe(0);
  });

  test("that is under way while the index is made anew says so, or is right", async () => {
    const store = await open(newDisk(), bounds);
    await filled(store);
    const whole = await found(store, { user: "u1" });

    const walk = store.find({ tenant, where: { user: "u1" } });
    await walk.next();
    await store.rebuildIndex();
    const rest = await collect(walk).catch((error: unknown) => error);

    if (Array.isArray(rest)) expect(rest).toHaveLength(whole.length - 1);
    else expect(rest).toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining("ask again") });
    expect(await found(store, { user: "u1" })).toEqual(whole);
  });
});

describe("find in a store of 100,000 payloads", () => {
  const batch = 200;
  const rare = new Set([7, 23_456, 61_803, 99_999]);

  test.each([
    ["in typed arrays", indexBounds],
    ["on disk", { ...indexBounds, plainKeysMax: 1000 }],
  ] as const)("reads only the pages that match, with an index %s", { timeout: 120_000 }, async (_name, bounds) => {
    const disk = newDisk();
    const fs = new CountingFileSystem(disk);
    const machine = { ...simulatedMachine(disk, 1), fs, indexBounds: bounds };
    const store = await openDisk({ directory: "/store", cacheBytes: 0 }, machine);
    for (let from = 0; from < 100_000; from += batch) {
      const items = Array.from({ length: batch }, (_, n) => {
        const i = from + n;
        const user = rare.has(i) ? "rare" : `u${Math.floor(i / 25)}`;
        return { id: `${i}`, bytes: text("x"), attributes: { user, model: `m${i % 3}`, step: `${i % 7}` } };
      });
      await store.appendMany({ tenant, group: `run-${from / batch}` }, items);
    }
    await store.flush();
    const readsOf = async (where: Attributes, limit = Infinity) => {
      const before = fs.segmentReads;
      const heads = await collect(store.find({ tenant, where }, { limit }));
      return { found: heads.length, reads: fs.segmentReads - before };
    };

    expect(await readsOf({ user: "rare" })).toEqual({ found: 4, reads: 4 });
    expect(await readsOf({ user: "u17" })).toEqual({ found: 25, reads: 1 });
    expect(await readsOf({ model: "m0", user: "rare" })).toEqual({ found: 2, reads: 4 });
    expect(await readsOf({ step: "0", model: "m1", user: "u18" })).toEqual({ found: 1, reads: 1 });
    expect(await readsOf({ user: "nobody", model: "m0" })).toEqual({ found: 0, reads: 0 });
    expect(await readsOf({ user: "nobody" })).toEqual({ found: 0, reads: 0 });
    expect(await readsOf({ model: "m0" }, 10)).toEqual({ found: 10, reads: 1 });
    await store.close();
  });
});

function newDisk(): PowerLossFileSystem {
  return new PowerLossFileSystem({ random: seededRandom(1) });
}

function open(
  fs: PowerLossFileSystem,
  bounds: Partial<IndexBounds>,
  options: Partial<DiskOptions> = {},
): Promise<DiskStore> {
  const machine = { ...simulatedMachine(fs, fs.ops), indexBounds: bounds };
  return openDisk({ directory: "/store", segmentBytesMax: 4096, ...options }, machine);
}

/** 30 payloads in commits of their own, every third of one user, over several segments; and some without attributes. */
async function filled(store: DiskStore): Promise<void> {
  for (let i = 0; i < 30; i++) {
    const key = { tenant, group: `g${i % 10}`, id: `${i}` };
    await store.append(key, noise(700, i), { attributes: { user: `u${i % 3}` } });
    if (i % 5 === 0) await store.append({ ...key, id: `none ${i}` }, prose(100, i));
  }
}

async function found(store: DiskStore, where: Attributes, owner = tenant): Promise<string[]> {
  return (await collect(store.find({ tenant: owner, where }))).map(nameOf);
}

function nameOf({ group, id }: { readonly group: string; readonly id: string }): string {
  return `${group}/${id}`;
}

async function endsCorrupt(store: DiskStore, where: Attributes, payloads: number): Promise<void> {
  const given: string[] = [];
  const walk = async () => {
    for await (const head of store.find({ tenant, where })) given.push(nameOf(head));
  };
  await expect(walk()).rejects.toMatchObject({ code: "CORRUPT" });
  expect(given).toHaveLength(payloads);
}

function flip(fs: PowerLossFileSystem, segment: string, at: number): void {
  const file = `/store/segments/${tenant}/${segment}.seg`;
  const bytes = fs.readFile(file);
  fs.writeFile(file, bytes.with(at, (bytes[at] ?? 0) ^ 1));
}

/** The saved index as a release before attributes would have written it, as far as its reader looks. */
function asVersion0(fs: PowerLossFileSystem, name: string): void {
  const file = `/store/index/${name}`;
  if (!fs.files().includes(file)) return;
  const { secret } = JSON.parse(new TextDecoder().decode(fs.readFile("/store/store.json"))) as { secret: string };
  const bytes = fs.readFile(file).slice();
  view(bytes).setUint32(8, 0, true);
  const seed = nodeDigest.crc32(bytes.subarray(0, 16), nodeDigest.crc32(bytesOfHex(secret)));
  view(bytes).setUint32(16, nodeDigest.crc32(bytes.subarray(20), seed), true);
  fs.writeFile(file, bytes);
}
