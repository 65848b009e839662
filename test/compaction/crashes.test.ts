import { describe, expect, it } from "vitest";
import type { DirectorySync } from "../../core/adapters/disk/file-system.ts";
import { openDisk } from "../../core/entries/disk.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { text } from "../conformance/sample-bytes.ts";
import { CrashWorkload, findViolations, storeFolder } from "../support/crash-workload.ts";
import { faultyFileSystem, type FaultPlan } from "../support/faulty-file-system.ts";
import { simulatedMachine } from "../support/machine.ts";
import { perTier } from "../support/per-tier.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { runPowerLossSchedule } from "../support/power-loss-schedules.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { smallIndex } from "../support/small-index.ts";

const schedules = Number(process.env["COMPACTION_SCHEDULES"] ?? perTier(16, 200));
const firstSeed = Number(process.env["COMPACTION_SEED"] ?? 1);

/** A segment that is removed before what takes its place is durable, a deleted payload that comes back with a file, a gap taken for damage. */
describe("a power cut while a folder is compacted", () => {
  it.each([
    ["typed arrays", undefined],
    ["an index on disk", smallIndex],
  ] as const)("loses nothing that was acknowledged, and brings nothing back, with %s", async (_kind, bounds) => {
    for (let seed = firstSeed; seed < firstSeed + schedules; seed++) {
      const violations = await runPowerLossSchedule(seed, new Set(), "safe", bounds, true);
      expect(violations, `COMPACTION_SEED=${seed} COMPACTION_SCHEDULES=1`).toEqual([]);
    }
  });

  it.each(["fast", "balanced"] as const)("takes only the newest writes in durability %s", async (durability) => {
    for (let seed = firstSeed; seed < firstSeed + schedules / 4; seed++) {
      const violations = await runPowerLossSchedule(seed, new Set(), durability, undefined, true);
      expect(violations, `COMPACTION_SEED=${seed} COMPACTION_SCHEDULES=4`).toEqual([]);
    }
  });

  it("needs the sync of removed segment: without it, what was erased comes back", async () => {
    expect(await comesBack(new Set())).toBe(false);
    expect(await comesBack(new Set(["removed segment"]))).toBe(true);
  });
});

/** Whether a file that compaction removed is there again after a power cut, of twenty. */
async function comesBack(ignored: ReadonlySet<DirectorySync>): Promise<boolean> {
  for (let seed = 1; seed <= 20; seed++) {
    const fs = new PowerLossFileSystem({ random: seededRandom(seed) });
    fs.ignoreSyncs(ignored);
    const store = await openDisk({ directory: storeFolder }, simulatedMachine(fs, seed));
    const { segment } = await store.append({ tenant: "t", group: "g", id: "a" }, text("a secret"));
    await store.delete({ tenant: "t", group: "g", id: "a" });
    const { freed } = await store.compact({ graceMs: 0 });
    expect(freed.map((each) => each.segment)).toEqual([segment]);
    if (fs.powerLoss().stat(`${storeFolder}/segments/t/${segment}.seg`)) return true;
  }
  return false;
}

describe("a failing disk under compaction", () => {
  it.each(["before", "after", "short"] as const)(
    "loses nothing acknowledged when any one step fails (%s)",
    async (how) => {
      const { steps } = await liveWithFault({ failAt: Infinity, how });
      expect(steps).toBeGreaterThan(100);
      for (let failAt = 1; failAt <= steps; failAt += perTier(7, 1)) await liveWithFault({ failAt, how });
    },
  );
});

/** One store's life with one failing step, then a reopening after the process ended, and one after the power was cut. */
async function liveWithFault(plan: FaultPlan): Promise<{ readonly steps: number }> {
  const disk = new PowerLossFileSystem({ random: seededRandom(3) });
  const fs = faultyFileSystem(disk, plan);
  const workload = new CrashWorkload({
    seed: 5,
    writers: 3,
    stepsPerWriter: 14,
    segmentBytesMax: 4000,
    compacts: true,
  });
  const errors = await workload.run(fs);
  await workload.close().catch((error: unknown) => errors.push(error));

  const told = `${plan.how} step ${plan.failAt} (${fs.failed})`;
  for (const error of errors) expect(isPayloadStoreError(error), `${told}: ${String(error)}`).toBe(true);
  const expected = workload.expected();
  expect(await findViolations(disk.kill(), expected, 1), `${told}, killed`).toEqual([]);
  expect(await findViolations(disk.powerLoss(), expected, 1), `${told}, power lost`).toEqual([]);
  return { steps: fs.steps };
}
