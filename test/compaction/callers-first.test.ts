import { setImmediate } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { openDisk } from "../../core/entries/disk.ts";
import { text } from "../conformance/sample-bytes.ts";
import { CountingFileSystem } from "../support/counting-file-system.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

/** Rests that compaction took, in milliseconds. */
const rests = vi.hoisted((): number[] => []);

/** However long a caller's sync takes, the millisecond that compaction lets it have is not over. A rest takes no time. */
vi.mock(import("node:timers/promises"), async (original) => {
  const timers = await original();
  const setTimeout = async (ms: number) => {
    if (ms === 1) await new Promise(() => {});
    rests.push(ms);
    await timers.setImmediate();
  };
  return { ...timers, setTimeout: setTimeout as never };
});

const tenant = "acme";

test("compaction takes no step while a caller waits for a commit, and goes on behind it", async () => {
  let held: Promise<void> | undefined;
  const disk = new PowerLossFileSystem({ random: seededRandom(1), syncTakes: async () => held ?? setImmediate() });
  const fs = new CountingFileSystem(disk);
  const store = await openDisk({ directory: "/store", cacheBytes: 0 }, simulatedMachine(fs, 1));
  for (let i = 0; i < 100; i++) await store.append({ tenant, group: `g${i}`, id: "a" }, text(`payload ${i}`));
  const turns = async (count: number) => {
    for (let turn = 0; turn < count; turn++) await setImmediate();
  };
  let ended = false;
  const compacting = store.compact({ graceMs: 0, mustGo: () => true }).finally(() => (ended = true));
  // Until the merged pages' segment is there: none of its own syncs is held.
  while ((fs.syncsFor.get("frames") ?? 0) <= 100 && !ended) await turns(1);
  await turns(5);
  const sync = Promise.withResolvers<void>();
  held = sync.promise;
  const appending = store.append({ tenant: "another", group: "beside", id: "a" }, text("beside"));
  // The steps that were under way.
  await turns(20);
  const reads = fs.segmentReads;

  await turns(200);

  expect(ended).toBe(false);
  expect(fs.segmentReads).toBe(reads);
  held = undefined;
  sync.resolve();
  await appending;
  const { pages } = await compacting;
  expect(pages).toBeGreaterThanOrEqual(100);
  expect(fs.segmentReads).toBeGreaterThan(reads);
  await store.close();
});

/** Compacts a hundred groups, and brings commits meanwhile if asked. @returns the rests that were taken */
async function restsOf(rules: { readonly restMs?: number }, beside: boolean): Promise<readonly number[]> {
  const disk = new PowerLossFileSystem({ random: seededRandom(2), syncTakes: setImmediate });
  const store = await openDisk({ directory: "/store" }, simulatedMachine(disk, 2));
  for (let i = 0; i < 100; i++)
    await store.append({ tenant, group: `g${i}`, id: "a" }, text(`payload ${i} `.repeat(100)));
  let ended = false;
  rests.length = 0;
  const compacting = store.compact({ graceMs: 0, mustGo: () => true, rules }).finally(() => (ended = true));
  for (let i = 0; beside && !ended; i++) {
    await store.append({ tenant: "another", group: "beside", id: `${i}` }, text("beside"));
    await setImmediate();
  }
  expect((await compacting).pages).toBeGreaterThanOrEqual(100);
  await store.close();
  return [...rests];
}

test("compaction that is to rest does so between its steps while callers bring commits, and goes on at once where none do", async () => {
  const resting = await restsOf({ restMs: 8 }, true);

  expect(resting.filter((ms) => ms === 8).length).toBeGreaterThanOrEqual(100);
  // Behind work of the thread pool.
  expect(resting.some((ms) => ms !== 8)).toBe(true);
  expect(await restsOf({}, true)).toEqual([]);
  expect(await restsOf({ restMs: 8 }, false)).toEqual([]);
});
