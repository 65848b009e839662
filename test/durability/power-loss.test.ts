import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { directorySyncs, fileSyncs } from "../../core/adapters/disk/file-system.ts";
import { openDisk } from "../../core/entries/disk.ts";
import { findViolations, storeFolder } from "../support/crash-workload.ts";
import { simulatedMachine } from "../support/machine.ts";
import { perTier } from "../support/per-tier.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import {
  runIndexSaveSchedules,
  runOldIndexSchedules,
  runPowerLossSchedule,
  runRebuildSchedules,
  runRecoverySchedules,
  waysToLeaveAnIndex,
} from "../support/power-loss-schedules.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { smallIndex } from "../support/small-index.ts";

const schedules = Number(process.env["POWER_LOSS_SCHEDULES"] ?? perTier(120, 400));
const firstSeed = Number(process.env["POWER_LOSS_SEED"] ?? 1);

describe("power loss", () => {
  it("loses nothing that was acknowledged, shows no half of a commit, and reports no damage", async () => {
    for (let seed = firstSeed; seed < firstSeed + schedules; seed++) {
      const violations = await runPowerLossSchedule(seed, new Set());
      expect(violations, `POWER_LOSS_SEED=${seed} POWER_LOSS_SCHEDULES=1`).toEqual([]);
    }
  });

  it.each(["balanced", "fast"] as const)(
    "takes only the newest acknowledged writes in durability %s, whole commits of them",
    async (durability) => {
      for (let seed = 1; seed <= perTier(50, 150); seed++) {
        expect(await runPowerLossSchedule(seed, new Set(), durability), `seed ${seed}`).toEqual([]);
      }
    },
  );

  it.each([
    ["balanced", 100],
    ["fast", 1000],
  ] as const)("takes nothing older than the window of durability %s: %i ms", async (durability, windowMs) => {
    const disk = new PowerLossFileSystem({ random: seededRandom(1) });
    const store = await openDisk({ directory: storeFolder, durability }, simulatedMachine(disk, 1));
    const contents = new Map<string, Uint8Array>();
    for (let i = 0; i < 5; i++) {
      await store.append({ tenant: "even", group: "group-0", id: `id-${i}` }, Uint8Array.of(i));
      contents.set(`id-${i}`, Uint8Array.of(i));
    }
    await wait(windowMs);

    for (let cut = 0; cut < 20; cut++) {
      const expected = [{ tenant: "even", group: "group-0", acknowledged: contents, underWay: undefined }];
      expect(await findViolations(disk.powerLoss(), expected, cut)).toEqual([]);
    }
    await store.close();
  });

  it("loses nothing that was acknowledged where the index is on disk, and writes itself again and again", async () => {
    for (let seed = firstSeed; seed < firstSeed + schedules / 4; seed++) {
      const violations = await runPowerLossSchedule(seed, new Set(), "safe", smallIndex);
      expect(violations, `POWER_LOSS_SEED=${seed} POWER_LOSS_SCHEDULES=4`).toEqual([]);
    }
  });

  // An index that is made anew while a segment is being made took that segment for a damaged one.
  it.each([371, 1040])("takes no segment for damaged that was just being made (seed %i)", async (seed) => {
    expect(await runPowerLossSchedule(seed, new Set(), "safe", smallIndex)).toEqual([]);
  });

  const ofIndex = [...fileSyncs, ...directorySyncs].filter(
    (reason) => reason.includes("index") && reason !== "old index",
  );
  // Those of the keys are in test/access/key-stores.test.ts, those of erasures in test/erasure/erasure-ledgers.test.ts, that of
  // removed segments in test/compaction/crashes.test.ts, that of removed uploads in test/aws/uploads-in-a-folder.test.ts, those of a repair in test/repair/repair.test.ts.
  const elsewhere = new Set<string>([
    "new store.json",
    "header",
    "removed segment",
    "removed upload",
    "keys.json",
    "new keys.json",
    "erasure",
    "new erasure",
    "repair",
    "old index",
    ...ofIndex,
  ]);
  const needed = [...fileSyncs, ...directorySyncs].filter((reason) => !elsewhere.has(reason));

  let withAll: Promise<string[]> | undefined;
  it.each(ofIndex)("needs the sync of %s: without it, it loses data or work", async (reason) => {
    withAll ??= runIndexSaveSchedules(new Set());
    expect(await withAll).toEqual([]);
    expect(await runIndexSaveSchedules(new Set([reason]))).not.toEqual([]);
  });

  it.each(needed)("needs the sync of %s: without it, it loses data or work", async (reason) => {
    let found: string[] = [];
    for (let seed = 1; seed <= 400 && found.length === 0; seed++)
      found = await runPowerLossSchedule(seed, new Set([reason]));
    expect(found).not.toEqual([]);
  });

  it("needs the sync of header: without it, a power cut during the recovery from a failed first sync loses the tail", async () => {
    expect(await runRecoverySchedules(new Set())).toEqual([]);
    expect(await runRecoverySchedules(new Set(["header"]))).not.toEqual([]);
  });

  it.each(waysToLeaveAnIndex)(
    "needs the sync of old index: without it, one comes back that was left by %s",
    async (way) => {
      expect(await runOldIndexSchedules(way, new Set())).toEqual([]);
      expect(await runOldIndexSchedules(way, new Set(["old index"]))).not.toEqual([]);
    },
  );

  it("needs the sync of new store.json: without it, a rebuilt store may not open after the next power loss", async () => {
    expect(await runRebuildSchedules(new Set())).toEqual([]);
    expect(await runRebuildSchedules(new Set(["new store.json"]))).not.toEqual([]);
  });
});
