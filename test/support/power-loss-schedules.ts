import type { DirectorySync, FileSync } from "../../core/adapters/disk/file-system.ts";
import { openDisk, type Durability } from "../../core/entries/disk.ts";
import type { IndexBounds } from "../../core/lsm/index-bounds.ts";
import { appendedAfter, CrashWorkload, findViolations, openWith, storeFolder } from "./crash-workload.ts";
import { simulatedMachine } from "./machine.ts";
import { PowerLossFileSystem } from "./power-loss-file-system.ts";
import { seededRandom } from "./seeded-random.ts";
import { smallIndex } from "./small-index.ts";

/**
 * Lets writers work and cuts the power at a random step; then opens, compares, cuts the power again at once, and compares
 * with the same: what a recovered store shows must be as durable as what was acknowledged.
 */
export async function runPowerLossSchedule(
  seed: number,
  ignored: ReadonlySet<FileSync | DirectorySync>,
  durability: Durability = "safe",
  indexBounds?: Partial<IndexBounds>,
  compacts = false,
): Promise<string[]> {
  const random = seededRandom(seed * 31 + 7);
  const fs = new PowerLossFileSystem({ random: seededRandom(seed), syncTakes: "microtask" });
  fs.ignoreSyncs(ignored);
  const workload = new CrashWorkload({
    seed,
    writers: 4,
    stepsPerWriter: 12,
    durability,
    indexBounds,
    compacts,
    segmentBytesMax: 3000 + Math.floor(random() * 9000),
  });
  const crashAt = 1 + Math.floor(random() * 400);
  let crashed: PowerLossFileSystem | undefined;
  let expected = workload.expected();
  let flushed = false;
  fs.beforeOperation = (ops) => {
    if (crashed) throw new Error("the power is off");
    if (ops < crashAt) return;
    crashed = fs.powerLoss();
    expected = workload.expected();
    flushed = workload.flushed;
    throw new Error("the power is off");
  };
  await workload.run(fs);
  if (!crashed) {
    crashed = fs.powerLoss();
    expected = workload.expected();
    flushed = workload.flushed;
  }

  const violations = flushed ? await findWorkAfterFlush(crashed.clone(), seed, indexBounds) : [];
  violations.push(...(await findViolations(crashed, expected, seed, indexBounds)));
  const shown = crashed.powerLoss();
  const again = await findViolations(shown, [...expected, ...appendedAfter(seed)], seed + 1, indexBounds);
  return [...violations, ...again.map((violation) => `second power loss: ${violation}`)];
}

/** The first sync of a segment fails, the process is killed, and the power is cut at each step of the next one's recovery. */
export async function runRecoverySchedules(ignored: ReadonlySet<FileSync | DirectorySync>): Promise<string[]> {
  for (let seed = 1; seed <= 6; seed++) {
    const disk = new PowerLossFileSystem({ random: seededRandom(seed) });
    const store = await openDisk({ directory: storeFolder }, simulatedMachine(disk, seed));
    disk.failNextSync((_path, reason) => reason === "frames");
    const unknown = new Map([["id-0", Uint8Array.of(1)]]);
    await store.append({ tenant: "even", group: "group-0", id: "id-0" }, Uint8Array.of(1)).catch(() => {});
    const killed = disk.kill();
    killed.ignoreSyncs(ignored);
    const expected = [
      { tenant: "even", group: "group-0", acknowledged: new Map<string, Uint8Array>(), underWay: unknown },
    ];
    for (let step = 1; ; step++) {
      const next = killed.clone();
      let crashed: PowerLossFileSystem | undefined;
      next.beforeOperation = (ops) => {
        if (ops === step) crashed = next.powerLoss();
      };
      const recovered = await openDisk({ directory: storeFolder }, simulatedMachine(next, seed + 1));
      await recovered.close();
      if (!crashed) break;
      const violations = await findViolations(crashed, expected, seed);
      if (violations.length > 0) return violations;
    }
  }
  return [];
}

/** The power is cut right after a flush that saved an index on disk, which is to be there then. */
export async function runIndexSaveSchedules(ignored: ReadonlySet<FileSync | DirectorySync>): Promise<string[]> {
  for (let seed = 1; seed <= 40; seed++) {
    const fs = new PowerLossFileSystem({ random: seededRandom(seed) });
    fs.ignoreSyncs(ignored);
    const store = await openWith(fs, { segmentBytesMax: 4096 }, seed, smallIndex);
    const contents = new Map<string, Uint8Array>();
    for (let i = 0; i < 2 + (seed % 12); i++) {
      const id = `id-${i % 6}`;
      await store.append({ tenant: "even", group: "group-0", id }, Uint8Array.of(i, seed));
      contents.set(id, Uint8Array.of(i, seed));
    }
    await store.flush();
    const crashed = fs.powerLoss();
    const expected = [{ tenant: "even", group: "group-0", acknowledged: contents, underWay: undefined }];
    const violations = [
      ...(await findWorkAfterFlush(crashed.clone(), seed, smallIndex)),
      ...(await findViolations(crashed, expected, seed, smallIndex)),
    ];
    if (violations.length > 0) return violations;
  }
  return [];
}

/** A store whose `store.json` is lost is rebuilt and written, and the power is cut. */
export async function runRebuildSchedules(ignored: ReadonlySet<FileSync | DirectorySync>): Promise<string[]> {
  const key = { tenant: "even", group: "group-0", id: "id-0" };
  const bytes = Uint8Array.of(1, 2, 3);
  for (let seed = 1; seed <= 50; seed++) {
    const fs = new PowerLossFileSystem({ random: seededRandom(seed) });
    const first = await openDisk({ directory: storeFolder }, simulatedMachine(fs, seed));
    await first.append(key, bytes);
    await first.close();
    fs.unlink(`${storeFolder}/store.json`);
    await fs.syncDirectory(storeFolder, "new store.json");
    fs.ignoreSyncs(ignored);
    const rebuilt = await openDisk({ directory: storeFolder, rebuild: true }, simulatedMachine(fs, seed + 1));
    await rebuilt.append({ ...key, id: "id-1" }, bytes);
    const contents = new Map([
      ["id-0", bytes],
      ["id-1", bytes],
    ]);
    const expected = [{ tenant: key.tenant, group: key.group, acknowledged: contents, underWay: undefined }];
    const violations = await findViolations(fs.powerLoss(), expected, seed + 2);
    if (violations.length > 0) return violations;
  }
  return [];
}

/** How a saved index may come to be one that nobody reads any more. */
export const waysToLeaveAnIndex = ["a rebuild", "damage", "another kind"] as const;

/**
 * A group is emptied, and nothing of it left in any segment; the saved index is left, so that the group's pages are numbered from 1
 * again; and the power is cut. An index that came back then would know these numbers as those of pages that are hidden.
 */
export async function runOldIndexSchedules(
  way: (typeof waysToLeaveAnIndex)[number],
  ignored: ReadonlySet<FileSync | DirectorySync>,
): Promise<string[]> {
  const [tenant, group] = ["even", "group-0"];
  const bytes = Uint8Array.of(1, 2, 3);
  for (let seed = 1; seed <= 30; seed++) {
    const fs = new PowerLossFileSystem({ random: seededRandom(seed) });
    const first = await openWith(fs, {}, seed, smallIndex);
    await first.append({ tenant, group, id: "id-1" }, bytes);
    await first.deleteGroup({ tenant, group });
    await first.compact({ graceMs: 0 });
    await first.close();
    fs.ignoreSyncs(ignored);
    const manifest = `${storeFolder}/index/manifest`;
    if (way === "damage") {
      // It cannot be read once, and could be later.
      const whole = fs.readFile(manifest);
      fs.writeFile(manifest, whole.with(40, whole[40]! ^ 1));
    }
    const kind = way === "another kind" ? "memory" : "disk-hash";
    const store = await openWith(fs, { rebuild: way === "a rebuild", index: kind }, seed + 1, smallIndex);
    await store.append({ tenant, group, id: "id-0" }, bytes);
    const expected = [{ tenant, group, acknowledged: new Map([["id-0", bytes]]), underWay: undefined }];
    const crashed = fs.powerLoss();
    if (way === "damage" && crashed.stat(manifest)) return ["the damaged manifest is back"];
    const violations = await findViolations(crashed, expected, seed + 2, smallIndex);
    if (violations.length > 0) return violations;
  }
  return [];
}

/** A flush that resolved leaves nothing for the next start to read from the segments. */
async function findWorkAfterFlush(
  fs: PowerLossFileSystem,
  seed: number,
  indexBounds: Partial<IndexBounds> | undefined,
): Promise<string[]> {
  try {
    const store = await openWith(fs, {}, seed + 2, indexBounds);
    const { checkpoint, framesReplayed } = store.recovery;
    await store.close();
    return checkpoint === "loaded" && framesReplayed === 0
      ? []
      : [`after flush: checkpoint ${checkpoint}, ${framesReplayed} frames replayed`];
  } catch (error) {
    return [`open after flush: ${String(error)}`];
  }
}
