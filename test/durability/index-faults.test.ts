import { describe, expect, it } from "vitest";
import { isPayloadStoreError } from "../../core/errors.ts";
import { CrashWorkload, findViolations } from "../support/crash-workload.ts";
import { faultyFileSystem, type FaultPlan } from "../support/faulty-file-system.ts";
import { perTier } from "../support/per-tier.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { smallIndex } from "../support/small-index.ts";

const options = { seed: 5, writers: 3, stepsPerWriter: 12, segmentBytesMax: 4000, indexBounds: smallIndex };

/** One store's life with one failing step of its index's files, then a start after the process ended, and one after a power cut. */
async function liveWithFault(plan: FaultPlan): Promise<{ steps: number; failed: string | undefined }> {
  const disk = new PowerLossFileSystem({ random: seededRandom(plan.failAt) });
  const fs = faultyFileSystem(disk, plan);
  const workload = new CrashWorkload(options);
  const errors = await workload.run(fs);
  await workload.close().catch((error: unknown) => errors.push(error));

  const told = `${plan.how} step ${plan.failAt} (${fs.failed})`;
  for (const error of errors) expect(isPayloadStoreError(error), `${told}: ${String(error)}`).toBe(true);
  const expected = workload.expected();
  expect(await findViolations(disk.kill(), expected, 1, smallIndex), `${told}, killed`).toEqual([]);
  expect(await findViolations(disk.powerLoss(), expected, 1, smallIndex), `${told}, power lost`).toEqual([]);
  return { steps: fs.steps, failed: fs.failed };
}

describe("an index on disk, on a failing one", () => {
  it.each(["before", "after", "short"] as const)("costs nothing acknowledged when any step fails (%s)", async (how) => {
    const { steps } = await liveWithFault({ failAt: Infinity, how });
    expect(steps).toBeGreaterThan(400);
    // Three steps apart, other ones for each way to fail: together the long tests meet every call.
    const first = { before: 1, after: 2, short: 3 }[how];
    for (let failAt = first; failAt <= steps; failAt += perTier(15, 3)) await liveWithFault({ failAt, how });
  });

  it("is the old or the new one when the process is killed, or the power cut, at any step of a save", async () => {
    const whole = new PowerLossFileSystem({ random: seededRandom(1) });
    await new CrashWorkload(options).run(whole);
    for (let at = 1; at <= whole.ops; at += perTier(11, 2)) {
      const disk = new PowerLossFileSystem({ random: seededRandom(at) });
      const workload = new CrashWorkload(options);
      const crashed: PowerLossFileSystem[] = [];
      let expected = workload.expected();
      disk.beforeOperation = (ops) => {
        if (ops < at) return;
        if (crashed.length === 0) {
          crashed.push(disk.kill(), disk.powerLoss());
          expected = workload.expected();
        }
        throw new Error("the process has ended");
      };
      await workload.run(disk);
      for (const [i, next] of crashed.entries())
        expect(await findViolations(next, expected, at, smallIndex), `step ${at}, ${i}`).toEqual([]);
    }
  });
});
