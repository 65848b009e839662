import { performance } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import type { CompactOptions } from "../../core/compaction/compaction.ts";
import { restRules } from "../../core/compaction/rest-rules.ts";
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

afterEach(() => void vi.restoreAllMocks());

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

/** Compacts a hundred groups, and brings commits meanwhile if asked. @returns the rests that were taken, in milliseconds */
async function restsOf(
  beside: boolean,
  options: Pick<CompactOptions, "rules" | "timeMsMax"> = {},
): Promise<readonly number[]> {
  const disk = new PowerLossFileSystem({ random: seededRandom(2), syncTakes: setImmediate });
  const store = await openDisk({ directory: "/store" }, simulatedMachine(disk, 2));
  for (let i = 0; i < 100; i++)
    await store.append({ tenant, group: `g${i}`, id: "a" }, text(`payload ${i} `.repeat(100)));
  // Too long to be compressed in place.
  await store.append({ tenant, group: "long", id: "a" }, text("payload ".repeat(20_000)));
  let ended = false;
  rests.length = 0;
  const compacting = store.compact({ graceMs: 0, mustGo: () => true, ...options }).finally(() => (ended = true));
  for (let i = 0; beside && !ended; i++) {
    await store.append({ tenant: "another", group: "beside", id: `${i}` }, text("beside"));
    await setImmediate();
  }
  expect((await compacting).pages).toBeGreaterThanOrEqual(100);
  await store.close();
  return [...rests];
}

test("compaction rests between its steps while callers bring commits, and goes on at once where none do", async () => {
  const resting = await restsOf(true);

  // One at least for each group; on a slow machine a caller may be taken to have gone.
  expect(resting.filter((ms) => ms === restRules.restMs).length).toBeGreaterThan(80);
  // Behind work of the thread pool.
  expect(resting.some((ms) => ms !== restRules.restMs)).toBe(true);
  expect(await restsOf(true, { rules: { restMs: 0 } })).toEqual([]);
  expect(await restsOf(false)).toEqual([]);
});

// No time goes by but that of the rests.
test("a run that has done less of its plan than of its time does not rest, and three quarters of the time that it is given are its time", async () => {
  const sum = (all: readonly number[]) => all.reduce((total, ms) => total + ms, 0);
  vi.spyOn(performance, "now").mockImplementation(() => sum(rests));
  const asLongAsItLikes = sum(await restsOf(true, { rules: { restMs: 40 } }));
  const spread = { restMs: 40, spreadMs: 1000 };

  const spreadOver = sum(await restsOf(true, { rules: spread }));
  const threeQuarters = sum(await restsOf(true, { rules: spread, timeMsMax: 800 }));

  expect(asLongAsItLikes).toBeGreaterThanOrEqual(100 * 40);
  // It may be behind by a twentieth, and by the rest that it has begun.
  expect(spreadOver).toBeGreaterThan(500);
  expect(spreadOver).toBeLessThanOrEqual(1050 + 40);
  expect(threeQuarters).toBeGreaterThan(300);
  expect(threeQuarters).toBeLessThanOrEqual(630 + 40);
});
