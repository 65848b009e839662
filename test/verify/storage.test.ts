import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { openDisk } from "../../core/entries/disk.ts";
import { deadBytesMin, HealthWatch } from "../../core/health.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { segmentTimeMs } from "../../core/segment/name.ts";
import { type FaultKind, faultKinds, orphanMs } from "../../core/verify/report.ts";
import { answersOf, opened, writtenStore } from "../support/damaged-store.ts";
import { storeFolder } from "../support/crash-workload.ts";
import { faultyFileSystem } from "../support/faulty-file-system.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

const tenant = "t";

/** Bytes that no codec makes shorter. */
function noise(length: number, seed: number): Uint8Array {
  const hashes = Array.from({ length: Math.ceil(length / 32) }, (_, i) =>
    nodeDigest.sha256(new Uint8Array([seed, i & 255, i >> 8])),
  );
  return Uint8Array.from(hashes.flatMap((hash) => [...Buffer.from(hash, "hex")])).subarray(0, length);
}

describe("storage", () => {
  test("fast reads nothing; full counts anew, and both say the same of a whole store", async () => {
    const { fs, history } = await writtenStore(1);
    const counting = faultyFileSystem(fs, { failAt: Infinity, how: "before" });
    const store = await opened(counting, 50);
    const before = counting.steps;

    const fast = await store.stats({ tenant });
    const room = await store.storage({ tenant });

    expect(counting.steps).toBe(before);
    const full = await store.stats({ tenant }, { full: true });
    const fullRoom = await store.storage({ tenant }, { full: true });
    expect(full).toEqual(fast);
    expect(fullRoom).toEqual(room);
    expect(full.payloads).toBe([...history.values()].filter((values) => values.at(-1) !== undefined).length);
    expect(room.segments).toBe(fs.files().filter((file) => file.endsWith(".seg")).length);
    expect(room.liveBytes).toBe(fast.compressedBytes);
    expect((await answersOf(store, history)).wrong).toEqual([]);
    await store.close();
  });

  test("tells amplification: of what is dead, and of what compaction writes again", async () => {
    const fs = new PowerLossFileSystem({ random: seededRandom(1) });
    const machine = simulatedMachine(fs, 1);
    const store = await openDisk({ directory: storeFolder, segmentBytesMax: 20_000 }, machine);
    for (let i = 0; i < 40; i++)
      await store.append({ tenant, group: `g${i}`, id: "a" }, noise(2000, i), { codec: "none" });
    for (let i = 0; i < 40; i++) if (i % 4 !== 0) await store.delete({ tenant, group: `g${i}`, id: "a" });

    const before = await store.storage({ tenant });
    expect(before.deadShare).toBeGreaterThan(0.7);
    expect(before.spaceAmplification).toBeGreaterThan(3.5);
    expect(before).toMatchObject({ writeAmplification: 1, compactedBytes: 0 });
    await store.compact({ graceMs: 0 });
    await store.compact({ graceMs: 0 });
    const after = await store.storage({ tenant });

    expect(after.liveBytes).toBeGreaterThanOrEqual(20_000);
    expect(after.spaceAmplification).toBeLessThan(before.spaceAmplification / 2);
    expect(after.compactedBytes).toBeGreaterThan(20_000);
    expect(after.writeAmplification).toBeCloseTo(1 + after.compactedBytes / after.appendedBytes);
    expect(after.writeAmplification).toBeLessThan(1.5);
    expect((await store.verify()).faults).toEqual([]);
    await store.close();
  });
});

describe("health", () => {
  const full = { deadShare: 0.31, deadBytes: deadBytesMin };

  test("is degraded from 30 % dead on, until it is below 25 %, so that it does not flap at the edge", () => {
    const watch = new HealthWatch();

    expect(watch.degraded({ ...full, deadShare: 0.3 }, [])).toEqual([]);
    expect(watch.degraded(full, [])).toEqual([expect.stringContaining("31 %")]);
    expect(watch.degraded({ ...full, deadShare: 0.26 }, [])).toHaveLength(1);
    expect(watch.degraded({ ...full, deadShare: 0.24 }, [])).toEqual([]);
    expect(watch.degraded({ ...full, deadShare: 0.29 }, [])).toEqual([]);
    expect(new HealthWatch().degraded({ deadShare: 0.9, deadBytes: deadBytesMin - 1 }, [])).toEqual([]);
  });

  test.each(faultKinds)("is degraded by a single %s that a verification found, until one finds none", (kind) => {
    const none = Object.fromEntries(faultKinds.map((each) => [each, 0])) as Record<FaultKind, number>;
    const watch = new HealthWatch();
    const well = { deadShare: 0, deadBytes: 0 };

    watch.verified({ ...none, [kind]: 1 });
    expect(watch.degraded(well, [])).toEqual([`the last verification found 1 ${kind}`]);
    watch.verified(none);
    expect(watch.degraded(well, [])).toEqual([]);
  });

  test("is degraded by any orphan in the folder", async () => {
    const { fs, files } = await writtenStore(2);
    const folder = `${storeFolder}/uploads`;
    for (const made of [folder, `${folder}/${tenant}`]) fs.makeDirectory(made);
    const name = basename(files[0]!, ".seg");
    fs.writeFile(`${folder}/${tenant}/${name}`, new Uint8Array(10));
    const days = segmentTimeMs(name) + 2 * orphanMs;
    const store = await openDisk(
      { directory: storeFolder },
      { ...simulatedMachine(fs, 50), clock: { nowMs: () => days } },
    );

    await store.verify();

    expect(store.health()).toEqual({ ok: true, degraded: ["the last verification found 1 orphan"] });
    await store.close();
  });

  test("is degraded by known damage, and by what the last verification found, and takes writes all the same", async () => {
    const { fs, files } = await writtenStore(2);
    fs.unlink(files[1]!);
    const store = await opened(fs, 50);
    expect(store.health()).toEqual({ ok: true, degraded: [] });

    await store.verify();
    expect(store.health()).toEqual({ ok: true, degraded: [expect.stringContaining("1 dangling")] });
    await store.repair({ acceptLoss: true });
    await store.verify();

    expect(store.health()).toEqual({ ok: true, degraded: [] });
    await store.close();
  });
});
