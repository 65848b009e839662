import { describe, expect, test } from "vitest";
import type { DiskIndexKind } from "../../core/adapters/disk/disk-index.ts";
import { type DiskStore, openDisk } from "../../core/entries/disk.ts";
import { noise, text } from "../conformance/sample-bytes.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { type Work, workPerTurn } from "../support/work-per-turn.ts";

const tenant = "acme";

/** Some 500 µs each on the machines that this was written on: docs/decisions/0042. */
const readsMax = 512;
const readBytesMax = 2_097_152;
const writtenBytesMax = 1_048_576;

/**
 * Suspected: who calls beside compaction waits for one of its steps, since it grows with a group, a segment or the index.
 * Work is counted, not time: what is asked of the disk between two turns of the event loop.
 */
describe("one turn of the event loop beside compaction", () => {
  test.each<DiskIndexKind | "small lanes">(["memory", "small lanes"])(
    "reads few of the pages that a merge hides, with an index in %s",
    async (index) => {
      const { store, most } = await opened(index);
      for (let i = 0; i < 3000; i++) await store.append({ tenant, group: "g", id: `${i}` }, text(`payload ${i}`));

      const work = await most(() => compacted(store));

      expect(work.reads).toBeLessThan(readsMax);
      expect(await store.size({ tenant })).toBe(3000);
      await store.close();
    },
  );

  test("reads what lies near, and not the megabytes that lie between two payloads of a group", async () => {
    const { store, most } = await opened();
    for (let i = 0; i < 12; i++) {
      await store.append({ tenant, group: "sparse", id: `${i}` }, text(`payload ${i}`));
      await store.append({ tenant, group: `between ${i}`, id: "a" }, noise(800_000, i));
      await store.delete({ tenant, group: `between ${i}`, id: "a" });
    }

    const { readBytes } = await most(() => compacted(store));

    expect(readBytes).toBeLessThan(readBytesMax);
    expect(await store.size({ tenant })).toBe(12);
    await store.close();
  });

  test("writes a part of a large merge", async () => {
    const { store, most } = await opened();
    for (let i = 0; i < 8; i++) await store.append({ tenant, group: "g", id: `${i}` }, noise(900_000, i));

    const { writtenBytes } = await most(() => compacted(store));

    expect(writtenBytes).toBeLessThan(writtenBytesMax);
    expect(Buffer.compare((await store.get({ tenant, group: "g", id: "7" }))!, noise(900_000, 7))).toBe(0);
    await store.close();
  });

  test("writes a part of the index", async () => {
    const { store, most } = await opened("memory");
    for (let group = 0; group < 10; group++) {
      const items = Array.from({ length: 8000 }, (_, i) => ({ id: `${i}`, bytes: text("") }));
      await store.appendMany({ tenant, group: `g${group}` }, items);
    }

    const { writtenBytes } = await most(() => store.compact({ dryRun: false, bytesMax: 0 }));

    expect(writtenBytes).toBeGreaterThan(0);
    expect(writtenBytes).toBeLessThan(writtenBytesMax);
    await store.close();
  });
});

async function opened(index: DiskIndexKind | "small lanes" = "disk-hash"): Promise<{
  readonly store: DiskStore;
  readonly most: (work: () => Promise<unknown>) => Promise<Work>;
}> {
  const counted = workPerTurn(new PowerLossFileSystem({ random: seededRandom(1), syncTakes: "immediate" }));
  const isSmall = index === "small lanes";
  const machine = simulatedMachine(counted.fs, 1);
  const store = await openDisk(
    { directory: "/store", index: isSmall ? "disk-hash" : index, durability: "fast" },
    isSmall ? { ...machine, indexBounds: { lanes: 2, plainKeysMax: 16 } } : machine,
  );
  return { store, most: counted.most };
}

async function compacted(store: DiskStore): Promise<void> {
  const { pages, freed } = await store.compact({ graceMs: 0, mustGo: () => true });
  expect(pages).toBeGreaterThan(0);
  expect(freed.length).toBeGreaterThan(0);
}
