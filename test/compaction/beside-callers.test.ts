import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type DiskStore, openDisk } from "../../core/entries/disk.ts";
import { text } from "../conformance/sample-bytes.ts";
import { CountingFileSystem } from "../support/counting-file-system.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

const tenant = "acme";
const groups = 200;

/** A store of groups with two payloads, the older one dead, in a segment that has its footer. */
async function filled(): Promise<{
  readonly fs: CountingFileSystem;
  readonly store: DiskStore;
  readonly synced: () => number;
}> {
  const fs = new CountingFileSystem(new PowerLossFileSystem({ random: seededRandom(1), syncTakes: "immediate" }));
  const store = await openDisk({ directory: "/store" }, simulatedMachine(fs, 1));
  const append = (id: string) =>
    Promise.all(
      Array.from({ length: groups }, (_, i) =>
        store.append({ tenant, group: `g${i}`, id }, text(`payload ${id} of group ${i}, which is read again`)),
      ),
    );
  await append("a");
  await append("b");
  await Promise.all(Array.from({ length: groups }, (_, i) => store.delete({ tenant, group: `g${i}`, id: "a" })));
  fs.syncsFor.clear();
  fs.segmentReads = 0;
  return { fs, store, synced: () => fs.syncsFor.get("frames") ?? 0 };
}

/** Timers stand still: a machine that is slow would sync more often, and no machine less. */
describe("compaction beside callers", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  test("takes two syncs for what it merges: of a new segment's first page, and before anything is removed", async () => {
    const { store, synced } = await filled();

    const { pages, freed } = await store.compact({ graceMs: 0, mustGo: () => true });

    expect(pages).toBe(groups);
    expect(freed).toHaveLength(1);
    expect(synced()).toBe(2);
    await store.close();
  });

  test("adds none to those of who appends meanwhile", async () => {
    const { store, synced } = await filled();
    let working = true;
    let appended = 0;
    const appending = (async () => {
      for (; working; appended++) await store.append({ tenant, group: "beside", id: `${appended}` }, text("beside"));
    })();

    const { pages } = await store.compact({ graceMs: 0, mustGo: () => true });
    working = false;
    await appending;

    expect(pages).toBeGreaterThanOrEqual(groups);
    expect(appended).toBeGreaterThan(20);
    // Beside theirs: of new segments' first pages, before a segment is sealed, and before anything is removed.
    expect(synced() - appended).toBeLessThan(groups / 20);
    await store.close();
  });
});
