import { describe, expect, test } from "vitest";
import { type DiskOptions, type DiskStore, openDisk } from "../../core/entries/disk.ts";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { type IndexBounds, indexBounds } from "../../core/lsm/index-bounds.ts";
import { collect } from "../conformance/expectations.ts";
import { prose } from "../conformance/sample-bytes.ts";
import { faultyFileSystem } from "../support/faulty-file-system.ts";
import { simulatedMachine } from "../support/machine.ts";
import { perTier } from "../support/per-tier.ts";
import { platformError } from "../support/platform-error.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { smallIndex } from "../support/small-index.ts";

const tenant = "acme";
const kinds = [
  ["in typed arrays", indexBounds],
  ["on disk", smallIndex],
  ["that goes to the disk in between", { ...smallIndex, plainKeysMax: 70 }],
] as const;

/** Suspected: a saved index that names a segment which is gone, since another index took over while the segment was removed. */
describe.each(kinds)("an index %s, while segments are removed,", (_name, bounds) => {
  test("knows that they go, wherever it is made anew meanwhile", async () => {
    const { begin, end } = await stepsOfCompaction(bounds);
    for (let at = begin + 1; at <= end; at += perTier(45, 7)) {
      const disk = newDisk(at);
      const store = await filled(disk, bounds);
      let renewing: Promise<unknown> = Promise.resolve();
      disk.beforeOperation = (ops) => {
        if (ops === at) renewing = store.rebuildIndex();
      };
      const { freed } = await store.compact({ graceMs: 0, mustGo: () => true });
      await renewing;

      await expectWhole(store, `step ${at}`);
      for (const [how, next] of [["killed", disk.kill()] as const, ["power lost", disk.powerLoss()] as const])
        await expectWhole(await open(next, bounds, at + 1), `step ${at}, ${how}`);
      const more = await store.compact({
        graceMs: 0,
        mustGo: ({ segment }) => !freed.some((one) => one.segment === segment),
      });
      expect([...freed, ...more.freed].length, `step ${at}`).toBeGreaterThan(3);
    }
  });

  test.each([
    ["before", 1],
    ["after", 2],
    ["short", 3],
  ] as const)("knows that they go, whatever step fails (%s), and the next run removes them", async (how, first) => {
    const { begin, end } = await stepsOfCompaction(bounds);
    for (let failAt = begin + first; failAt <= end; failAt += perTier(51, 11)) {
      const disk = newDisk(failAt);
      const faulty = faultyFileSystem(disk, { failAt, how });
      const store = await filled(faulty, bounds);
      const names = await segmentsOf(disk);
      const isPayloadStores = (error: unknown) => {
        expect(isPayloadStoreError(error), `step ${failAt}: ${faulty.failed}: ${String(error)}`).toBe(true);
        return undefined;
      };

      const report = await store.compact({ graceMs: 0, mustGo: () => true }).catch(isPayloadStores);

      // Saves run beside it, so that a step may come later than it was counted.
      if (faulty.failed === undefined) continue;
      const told = `step ${failAt}: ${faulty.failed}`;
      await expectAll(store, told);
      for (const [event, next] of [["killed", disk.kill()] as const, ["power lost", disk.powerLoss()] as const])
        await expectWhole(await open(next, bounds, failAt + 1), `${told}, ${event}`);
      const again = await store.compact({ graceMs: 0, mustGo: () => true }).catch(isPayloadStores);
      await expectAll(store, told);
      if (again?.complete && again.skipped.length === 0 && report === undefined)
        expect(
          (await segmentsOf(disk)).filter((name) => names.includes(name)),
          told,
        ).toEqual([]);
    }
  });
});

test("a checkpoint that could not be removed when the index went to the disk is never read again, by either kind", async () => {
  const disk = newDisk(1);
  const checkpoint = "/store/index/checkpoint";
  const fs = new Proxy(disk, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (name !== "unlink") return typeof member === "function" ? member.bind(target) : member;
      return (file: string) => {
        if (file === checkpoint) throw platformError("EIO", "unlink", file);
        target.unlink(file);
      };
    },
  });
  const bounds = { ...smallIndex, plainKeysMax: 30 };
  const store = await open(fs, bounds);
  await store.append({ tenant, group: "gone", id: "y" }, prose(10, 1), { attributes: { user: "u1" } });
  await store.flush();
  await fill(store);
  await store.flush();
  expect(disk.files().filter((file) => /checkpoint$|manifest$/.test(file))).toHaveLength(2);
  await store.compact({ graceMs: 0, mustGo: () => true });
  await store.close();

  for (const index of ["memory", "disk-hash"] as const)
    await expectWhole(await open(disk.clone(), bounds, 2, { index }), index);
});

function newDisk(seed: number): PowerLossFileSystem {
  return new PowerLossFileSystem({ random: seededRandom(seed) });
}

function open(
  fs: FileSystem,
  bounds: Partial<IndexBounds>,
  seed = 1,
  options: Partial<DiskOptions> = {},
): Promise<DiskStore> {
  return openDisk(
    { directory: "/store", segmentBytesMax: 3000, ...options },
    { ...simulatedMachine(fs, seed), indexBounds: bounds },
  );
}

async function segmentsOf(fs: FileSystem): Promise<string[]> {
  return fs.list(`/store/segments/${tenant}`).toSorted();
}

/** Twelve payloads that live, in as many that do not, in several segments. */
async function filled(fs: FileSystem, bounds: Partial<IndexBounds>): Promise<DiskStore> {
  const store = await open(fs, bounds);
  await fill(store);
  return store;
}

async function fill(store: DiskStore): Promise<void> {
  for (let i = 0; i < 24; i++)
    await store.append({ tenant, group: `g${i % 3}`, id: `${i}` }, prose(700, i), {
      attributes: { user: `u${i % 2}` },
    });
  for (let i = 0; i < 24; i += 2) await store.delete({ tenant, group: `g${i % 3}`, id: `${i}` });
  await store.append({ tenant, group: "gone", id: "x" }, prose(700, 1), { attributes: { user: "u1" } });
  await store.deleteGroup({ tenant, group: "gone" });
}

/** Operations before a compaction of such a store, and after it. */
async function stepsOfCompaction(bounds: Partial<IndexBounds>): Promise<{ begin: number; end: number }> {
  const fs = faultyFileSystem(newDisk(1), { failAt: Infinity, how: "before" });
  const store = await filled(fs, bounds);
  const begin = fs.steps;
  const { freed } = await store.compact({ graceMs: 0, mustGo: () => true });
  expect(freed.length).toBeGreaterThan(3);
  return { begin, end: fs.steps };
}

async function expectAll(store: DiskStore, told: string): Promise<void> {
  const found = await collect(store.find({ tenant, where: { user: "u1" } })).catch((error: unknown) => {
    throw new Error(told, { cause: error });
  });
  const expected = Array.from({ length: 12 }, (_, i) => `${2 * i + 1}`);
  expect(found.map(({ id }) => id).toSorted(), told).toEqual(expected.toSorted());
  expect(await collect(store.find({ tenant, where: { user: "u0" } })), told).toEqual([]);
  for (let i = 0; i < 24; i++) {
    const body = await store.get({ tenant, group: `g${i % 3}`, id: `${i}` });
    expect(body, `${told}: ${i}`).toEqual(i % 2 === 1 ? prose(700, i) : undefined);
  }
}

async function expectWhole(store: DiskStore, told: string): Promise<void> {
  await expectAll(store, told);
  expect((await store.verify()).faults, told).toEqual([]);
}
