import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { type DiskOptions, type DiskStore, openDisk } from "../../core/entries/disk.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { type IndexBounds, indexBounds } from "../../core/lsm/index-bounds.ts";
import { collect } from "../conformance/expectations.ts";
import { noise, text } from "../conformance/sample-bytes.ts";
import { simulatedMachine } from "../support/machine.ts";
import { perTier } from "../support/per-tier.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { smallIndex } from "../support/small-index.ts";

const tenant = "acme";
const kinds = [
  ["in typed arrays", indexBounds],
  ["on disk", smallIndex],
  ["that goes to the disk in between", { ...smallIndex, plainKeysMax: 60 }],
] as const;

describe.each(kinds)("a reader beside a process that compacts, with an index %s,", (_name, bounds) => {
  test("answers everything right while segments are emptied and removed without a grace", async () => {
    const fs = new PowerLossFileSystem({ random: seededRandom(1), syncTakes: "immediate" });
    const store = await open(fs, bounds, 1);
    const kept = await withKept(store);
    await store.flush();
    const readers = [await open(fs, bounds, 2, { readOnly: true }), await open(fs, bounds, 3, { readOnly: true })];
    let writing = true;
    let answers = 0;
    const reading = readers.map(async (first, i) => {
      const random = seededRandom(i);
      let reader = first;
      while (writing) {
        await expectKept(reader, kept, random);
        answers += 1;
        // One that holds no segment open meets those that are gone; the other one reads on in them.
        if (i === 1) {
          await reader.close();
          reader = await open(fs, bounds, answers + 5, { readOnly: true, cacheBytes: 0 });
        }
        for (let turn = 0; turn < 20; turn++) await setImmediate();
      }
    });
    // A failed reading ends the test at once.
    const failed = Promise.all(reading).then(() => {});
    let freed = 0;
    for (let round = 0; round < perTier(24, 400); round++) {
      await churn(store, round);
      if (round % 3 === 2) freed += (await Promise.race([compact(store), failed.then(() => 0)])) ?? 0;
    }
    writing = false;
    await failed;

    expect(answers).toBeGreaterThan(5);
    expect(freed).toBeGreaterThan(10);
    for (const each of [store, readers[0]!, await open(fs, bounds, 4, { readOnly: true })])
      await expectKept(each, kept);
    await store.close();
  });

  test.each(["the index is made anew", "the store is opened with a rebuild"])(
    "sees what is stored in a group of which nothing was left when %s",
    async (how) => {
      const fs = new PowerLossFileSystem({ random: seededRandom(1) });
      let store = await open(fs, bounds, 1);
      const key = { tenant, group: "g", id: "a" };
      await store.append(key, text("first"), { attributes: { user: "old" } });
      const reader = await open(fs, bounds, 2, { readOnly: true });
      expect(await reader.get(key)).toEqual(text("first"));
      await store.deleteGroup(key);
      const { freed } = await store.compact({ graceMs: 0, mustGo: () => true });
      expect(freed).toHaveLength(1);
      if (how.startsWith("the index")) await store.rebuildIndex();
      else {
        await store.close();
        store = await open(fs, bounds, 3, { rebuild: true });
      }

      for (const version of ["second", "third"]) {
        await store.append(key, text(version), { attributes: { user: version } });
        await store.append({ ...key, id: version }, text(version));

        expect(await reader.get(key)).toEqual(text(version));
        const found = await collect(reader.find({ tenant, where: { user: version } }));
        expect(found.map(({ id }) => id)).toEqual(["a"]);
        const listed = await collect(reader.list(key));
        expect(listed.map(({ id }) => id)).toEqual(["a", "second", "third"].slice(0, version === "second" ? 2 : 3));
      }
      expect(await collect(reader.find({ tenant, where: { user: "old" } }))).toEqual([]);
      expect((await reader.verify()).faults).toEqual([]);
      await store.close();
    },
  );
});

function open(
  fs: FileSystem,
  bounds: Partial<IndexBounds>,
  seed: number,
  options: Partial<DiskOptions> = {},
): Promise<DiskStore> {
  const machine = { ...simulatedMachine(fs, seed), indexBounds: bounds };
  return openDisk({ directory: "/store", segmentBytesMax: 3000, ...options }, machine);
}

/** Payloads that stay as they are, however often they are moved. */
async function withKept(store: DiskStore): Promise<ReadonlyMap<string, Uint8Array>> {
  const kept = new Map<string, Uint8Array>();
  for (let i = 0; i < 10; i++) {
    const bytes = noise(200, i);
    const attributes = { user: "kept", third: `${i % 3}` };
    await store.append({ tenant, group: `kept-${i % 4}`, id: `${i}` }, bytes, { attributes });
    kept.set(`${i}`, bytes);
  }
  return kept;
}

/** Writes that make segments worth to be compacted, also in the groups of what stays. */
async function churn(store: DiskStore, round: number): Promise<void> {
  for (let i = 0; i < 4; i++) {
    const key = { tenant, group: i % 2 === 0 ? `kept-${i}` : `other-${(round + i) % 5}`, id: `x${i}` };
    await store.append(key, noise(400, round + i), { attributes: { user: "churn" } });
    if (i > 1) await store.delete(key);
  }
  if (round % 4 === 0) await store.deleteGroup({ tenant, group: `other-${round % 5}` });
}

async function compact(store: DiskStore): Promise<number> {
  const { freed } = await store.compact({ graceMs: 0, mustGo: () => true });
  return freed.length;
}

async function expectKept(
  store: DiskStore,
  kept: ReadonlyMap<string, Uint8Array>,
  random: () => number = () => 0,
): Promise<void> {
  const found = await asked(() => collect(store.find({ tenant, where: { user: "kept" } })));
  expect(new Set(found.map(({ id }) => id))).toEqual(new Set(kept.keys()));
  const third = `${Math.floor(random() * 3)}`;
  const some = await asked(() => collect(store.find({ tenant, where: { third, user: "kept" } })));
  expect(new Set(some.map(({ id }) => id))).toEqual(
    new Set([...kept.keys()].filter((id) => `${Number(id) % 3}` === third)),
  );
  for (const [id, bytes] of kept)
    expect(await store.get({ tenant, group: `kept-${Number(id) % 4}`, id })).toEqual(bytes);
  for (let group = 0; group < 4; group++) {
    const contents = await collect(store.contents({ tenant, group: `kept-${group}` }));
    const there = new Map(contents.map(({ id, body }) => [id, body]));
    for (const [id, bytes] of kept) if (Number(id) % 4 === group) expect(there.get(id)).toEqual(bytes);
  }
}

/** An index that is made anew while it is walked says so, and is asked again. */
async function asked<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isPayloadStoreError(error, "UNAVAILABLE")) throw error;
    }
  }
}
