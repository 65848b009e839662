import { describe, expect, it } from "vitest";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { openDisk } from "../../core/entries/disk.ts";
import { CrashWorkload, contentsOf, findViolations, storeFolder } from "../support/crash-workload.ts";
import { faultyFileSystem, type FaultPlan } from "../support/faulty-file-system.ts";
import { perTier } from "../support/per-tier.ts";
import { platformError } from "../support/platform-error.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

const options = { seed: 3, writers: 3, stepsPerWriter: 8, segmentBytesMax: 4000 };

/** Steps from one that fails to the next. */
const each = perTier(5, 1);

/** One store's life with one failing step, then a reopening after the process ended, and one after the power was cut. */
async function liveWithFault(plan: FaultPlan): Promise<{ steps: number; failed: string | undefined }> {
  const disk = new PowerLossFileSystem({ random: seededRandom(plan.failAt) });
  const fs = faultyFileSystem(disk, plan);
  const workload = new CrashWorkload(options);
  const errors = await workload.run(fs);
  await workload.close().catch((error: unknown) => errors.push(error));

  const told = `${plan.how} step ${plan.failAt} (${fs.failed})`;
  for (const error of errors) expect(isPayloadStoreError(error), `${told}: ${String(error)}`).toBe(true);
  const expected = workload.expected();
  expect(await findViolations(disk.kill(), expected, 1), `${told}, killed`).toEqual([]);
  expect(await findViolations(disk.powerLoss(), expected, 1), `${told}, power lost`).toEqual([]);
  return { steps: fs.steps, failed: fs.failed };
}

describe("a failing disk", () => {
  it.each(["before", "after", "short"] as const)(
    "loses nothing acknowledged when any one step fails (%s)",
    async (how) => {
      const { steps } = await liveWithFault({ failAt: Infinity, how });
      expect(steps).toBeGreaterThan(100);
      for (let failAt = 1; failAt <= steps; failAt += each) await liveWithFault({ failAt, how });
    },
  );

  it("loses nothing acknowledged when it is full at any one step", async () => {
    const { steps } = await liveWithFault({ failAt: Infinity, how: "before" });
    for (let failAt = 1; failAt <= steps; failAt += each)
      await liveWithFault({ failAt, how: "before", code: "ENOSPC" });
  });

  it("loses nothing acknowledged when any one step of a recovery fails", async () => {
    const crashed = await crashedDisk();
    const whole = await findViolations(crashed.disk.clone(), crashed.expected, 1);
    expect(whole).toEqual([]);
    for (const how of ["before", "after", "short"] as const) {
      for (let failAt = 1, done = false; !done; failAt += each) {
        const disk = crashed.disk.clone();
        const fs = faultyFileSystem(disk, { failAt, how });
        const error: unknown = await openDisk({ directory: storeFolder }, simulatedMachine(fs, 9))
          .then((store) => store.close())
          .catch((reason: unknown) => reason);
        expect(error === undefined || isPayloadStoreError(error), `${how} step ${failAt} (${fs.failed})`).toBe(true);
        done = fs.failed === undefined;
        expect(await findViolations(disk.kill(), crashed.expected, 1), `${how} step ${failAt} (${fs.failed})`).toEqual(
          [],
        );
        expect(
          await findViolations(disk.powerLoss(), crashed.expected, 1),
          `${how} step ${failAt} (${fs.failed}), power lost`,
        ).toEqual([]);
      }
    }
  });
});

/** A disk whose power failed while four writers worked, with a torn tail in it. */
async function crashedDisk() {
  for (let seed = 1; ; seed++) {
    const disk = new PowerLossFileSystem({ random: seededRandom(seed) });
    const workload = new CrashWorkload({ ...options, seed });
    let crashed: PowerLossFileSystem | undefined;
    let expected = workload.expected();
    disk.beforeOperation = (ops) => {
      if (ops < 120 || crashed) return;
      crashed = disk.powerLoss();
      expected = workload.expected();
    };
    await workload.run(disk);
    if (!crashed) continue;
    const store = await openDisk({ directory: storeFolder }, simulatedMachine(crashed.clone(), 1));
    if (store.recovery.tailFramesKept > 0) return { disk: crashed, expected };
  }
}

describe("closing", () => {
  it("rejects when the index could not be saved, and has lost nothing", async () => {
    const disk = new PowerLossFileSystem({ random: seededRandom(1) });
    let full = false;
    const fs: FileSystem = {
      ...delegate(disk),
      open: (path, mode) => {
        if (full && mode === "create") throw platformError("ENOSPC", "open", path);
        return disk.open(path, mode);
      },
    };
    const store = await openDisk({ directory: storeFolder }, simulatedMachine(fs, 1));
    await store.append({ tenant: "t", id: "a" }, Uint8Array.of(1));
    full = true;

    await expect(store.close()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("the disk is full"),
    });

    const reopened = await openDisk({ directory: storeFolder }, simulatedMachine(disk, 2));
    expect(await reopened.get({ tenant: "t", id: "a" })).toEqual(Uint8Array.of(1));
  });
});

function delegate(fs: FileSystem): FileSystem {
  return {
    open: (path, mode) => fs.open(path, mode),
    list: (path) => fs.list(path),
    stat: (path) => fs.stat(path),
    freeBytes: (path) => fs.freeBytes(path),
    makeDirectory: (path) => fs.makeDirectory(path),
    rename: (from, to) => fs.rename(from, to),
    unlink: (path) => fs.unlink(path),
    syncDirectory: (path, reason) => fs.syncDirectory(path, reason),
    lock: (path) => fs.lock(path),
  };
}

describe("a failed fdatasync", () => {
  it("stops the acknowledgements, and reopening trusts nothing that it left behind", async () => {
    for (let seed = 1; seed <= perTier(20, 60); seed++) {
      const disk = new PowerLossFileSystem({ random: seededRandom(seed) });
      const workload = new CrashWorkload({ ...options, seed });
      let left = 3 + (seed % 20);
      disk.failNextSync((_path, reason) => reason === "frames" && left-- === 0);
      const errors = await workload.run(disk);
      if (errors.length === 0) continue;
      for (const error of errors) expect(isPayloadStoreError(error, "UNAVAILABLE"), String(error)).toBe(true);
      await expect(workload.close()).rejects.toMatchObject({ code: "UNAVAILABLE" });

      // The next process reads the lost bytes in the page cache and may show them; then they must outlive the power.
      const next = disk.kill();
      const expected = workload.expected();
      const store = await openDisk({ directory: storeFolder }, simulatedMachine(next, seed));
      const shown = await Promise.all(
        expected.map(async (group) => ({
          ...group,
          acknowledged: await contentsOf(store, group.tenant, group.group),
          underWay: undefined,
        })),
      );
      expect(await findViolations(next.powerLoss(), shown, seed), `seed ${seed}`).toEqual([]);
      expect(await findViolations(disk.powerLoss(), expected, seed), `seed ${seed}`).toEqual([]);
    }
  });

  it("refuses what waited behind it, and what other tenants write", async () => {
    const disk = new PowerLossFileSystem({ random: seededRandom(1), syncTakes: "immediate", trace: true });
    const store = await openDisk({ directory: storeFolder }, simulatedMachine(disk, 1));
    for (const tenant of ["a", "b"]) await store.append({ tenant, id: "first" }, Uint8Array.of(1));
    disk.failNextSync((path) => path.includes("/a/"));

    const failing = store.append({ tenant: "a", id: "fails" }, Uint8Array.of(2));
    while (!disk.trace.some((line) => line.includes("sync") && line.includes("/a/"))) await Promise.resolve();
    const waiting = ["waits", "waits-too"].map((id) => store.append({ tenant: "a", id }, Uint8Array.of(3)));
    const results = await Promise.allSettled([failing, ...waiting]);
    const other = store.append({ tenant: "b", id: "elsewhere" }, Uint8Array.of(5));

    for (const result of results) expect(result).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
    await expect(other).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("is not tried again: every later write is refused until the store is reopened", async () => {
    const disk = new PowerLossFileSystem({ random: seededRandom(1) });
    const store = await openDisk({ directory: storeFolder }, simulatedMachine(disk, 1));
    const key = { tenant: "t", group: "g", id: "a" };
    await store.append(key, Uint8Array.of(1));
    disk.failNextSync();

    await expect(store.append({ ...key, id: "b" }, Uint8Array.of(2))).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(store.append({ ...key, id: "c" }, Uint8Array.of(3))).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(store.delete(key)).rejects.toMatchObject({ code: "UNAVAILABLE" });

    expect(store.health()).toMatchObject({ ok: false, reason: expect.stringContaining("I/O error") });
    expect(await store.get(key)).toEqual(Uint8Array.of(1));
    await expect(store.close()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const reopened = await openDisk({ directory: storeFolder }, simulatedMachine(disk, 2));
    await reopened.append({ ...key, id: "c" }, Uint8Array.of(3));
    expect(await reopened.get({ ...key, id: "c" })).toEqual(Uint8Array.of(3));
  });
});
