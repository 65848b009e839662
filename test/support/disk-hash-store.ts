import { expect } from "vitest";
import { openDisk, type DiskOptions, type DiskStore } from "../../core/entries/disk.ts";
import type { IndexBounds } from "../../core/lsm/index-bounds.ts";
import { collect, sameBytes } from "../conformance/expectations.ts";
import { prose } from "../conformance/sample-bytes.ts";
import { simulatedMachine } from "./machine.ts";
import { PowerLossFileSystem } from "./power-loss-file-system.ts";
import { seededRandom } from "./seeded-random.ts";
import { smallIndex } from "./small-index.ts";

export const tenant = "acme";
export const manifest = "/store/index/manifest";
export const checkpoint = "/store/index/checkpoint";

export const commits = 47;
export const payloads = 27;

/** Groups of several commits, with overwrites, deletes and a cleared group, that were closed in good order. */
export async function closedStore(seed = 5, bounds: Partial<IndexBounds> = {}): Promise<PowerLossFileSystem> {
  const fs = new PowerLossFileSystem({ random: seededRandom(1) });
  const store = await openDisk(
    { directory: "/store", segmentBytesMax: 4096, index: "disk-hash" },
    { ...simulatedMachine(fs, seed), indexBounds: { ...smallIndex, ...bounds } },
  );
  for (let i = 0; i < 30; i++) {
    const attributes = { user: `u${i % 4}` };
    await store.append({ tenant, group: `g${i % 5}`, id: `${i}` }, prose(40, i), { attributes });
  }
  for (let i = 0; i < 10; i++) await store.append({ tenant, group: `g${i % 5}`, id: `${i}` }, prose(60, 100 + i));
  for (let i = 20; i < 24; i++) await store.delete({ tenant, group: `g${i % 5}`, id: `${i}` });
  await store.append({ tenant, group: "cleared", id: "before" }, prose(10, 1));
  await store.deleteGroup({ tenant, group: "cleared" });
  await store.append({ tenant, group: "one", id: "x" }, prose(5, 5), { idempotencyKey: "once" });
  await store.close();
  return fs;
}

export function open(
  fs: PowerLossFileSystem,
  options: Partial<DiskOptions> = {},
  bounds: Partial<IndexBounds> = {},
): Promise<DiskStore> {
  return openDisk(
    { directory: "/store", segmentBytesMax: 4096, index: "disk-hash", ...options },
    { ...simulatedMachine(fs, 6), indexBounds: { ...smallIndex, ...bounds } },
  );
}

export async function expectEverything(store: DiskStore, size = payloads): Promise<void> {
  await expectPayloads(store);
  expect(await store.has({ tenant, group: "cleared", id: "before" })).toBe(false);
  expect(await store.has({ tenant, group: "g0", id: "never" })).toBe(false);
  const listed = await collect(store.list({ tenant, group: "g1" }));
  expect(listed.map(({ id }) => id).slice(0, 5)).toEqual(["1", "6", "11", "16", "26"]);
  const groups = await walked(() => store.groups({ tenant }));
  expect(groups.map(({ group }) => group).slice(0, 6)).toEqual(["g0", "g1", "g2", "g3", "g4", "one"]);
  const found = await walked(() => store.find({ tenant, where: { user: "u1" } }));
  expect(found.map(({ id }) => id).toSorted()).toEqual(["13", "17", "25", "29"]);
  expect(await store.size({ tenant })).toBe(size);
}

/** Damage that is met in the middle of a walk ends it, and the caller asks again. */
async function walked<T>(walk: () => AsyncIterable<T>): Promise<T[]> {
  return collect(walk()).catch((error: unknown) => {
    expect(error).toMatchObject({ code: "UNAVAILABLE" });
    return collect(walk());
  });
}

async function expectPayloads(store: DiskStore): Promise<void> {
  for (let i = 0; i < 30; i++) {
    const expected = i >= 20 && i < 24 ? undefined : i < 10 ? prose(60, 100 + i) : prose(40, i);
    const found = await store.get({ tenant, group: `g${i % 5}`, id: `${i}` });
    if (expected) sameBytes(found, expected, `${i}`);
    else expect(found).toBeUndefined();
  }
}

export function runsOf(fs: PowerLossFileSystem): Map<string, Uint8Array> {
  const runs = fs.files().filter((file) => file.includes("/index/runs/"));
  return new Map(runs.map((file) => [file.slice(file.lastIndexOf("/") + 1), fs.readFile(file)]));
}

/**
 * Flips one bit of every so many bytes of each file of the index, and takes each file away: every answer stays right, and
 * the next start finds an index that is whole.
 */
export async function flipIndexBytes(every: number, lanes = smallIndex.lanes): Promise<void> {
  const bounds = { lanes, laneKeysMax: 1000 };
  const closed = await closedStore(5, bounds);
  // Where it is made anew, it need not be written again and again on the way.
  const reopened = { ...bounds, laneChangesMax: 1000, level0KeysMax: 1000 };
  const files = closed.files().filter((file) => file.includes("/index/"));
  expect(files.length).toBeGreaterThan(2);
  let damaged = 0;
  for (const file of files) {
    const bytes = closed.readFile(file);
    const places = Array.from({ length: Math.ceil(bytes.length / every) }, (_, i) => i * every);
    for (const at of [...places, bytes.length]) {
      const fs = closed.clone();
      if (at === bytes.length) fs.unlink(file);
      else fs.writeFile(file, bytes.with(at, (bytes[at] ?? 0) ^ (1 << (at % 8))));
      const store = await open(fs, {}, reopened);
      const check = at % 24 === 0 ? expectEverything : expectPayloads;
      await check(store).catch((error: unknown) => {
        throw new Error(`byte ${at} of ${file}`, { cause: error });
      });
      if (store.recovery.checkpoint === "damaged") damaged += 1;
      await store.close();
      if (at % 44 !== 0) continue;
      const again = await open(fs, {}, reopened);
      expect(again.recovery.checkpoint, `byte ${at} of ${file}`).toBe("loaded");
      expect(await again.size({ tenant })).toBe(payloads);
      await again.close();
    }
  }
  expect(damaged).toBeGreaterThan(10);
}
