import { describe, expect, test } from "vitest";
import { openDisk, type DiskStore } from "../../core/entries/disk.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { prose } from "../conformance/sample-bytes.ts";
import { storeFolder } from "../support/crash-workload.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { smallIndex } from "../support/small-index.ts";

type Index = "memory" | "disk-hash";
const payloads = 40;

/** Copies of a closed store's folder, or of a part of it. */
describe.each(["memory", "disk-hash"] as const)("a copy of the files, with an index %s,", (index) => {
  test("of one tenant's folder works alone, and the others' are as they were without it", async () => {
    const fs = await twoTenants(index);
    const alone = newFileSystem();
    const others = newFileSystem();
    for (const file of fs.files()) {
      const isOfAcme = file.includes("/segments/acme/");
      if (isOfAcme || file.endsWith("/store.json")) alone.writeFile(file, fs.readFile(file));
      if (!isOfAcme) others.writeFile(file, fs.readFile(file));
    }

    const store = await open(alone, index);
    await expectTenant(store, "acme");
    expect(await store.size({ tenant: "other" })).toBe(0);
    expect((await store.verify()).faults).toEqual([]);
    await store.append({ tenant: "acme", group: "g0", id: "new" }, prose(20, 1));
    await store.close();

    const left = await open(others, index);
    await expectTenant(left, "other");
    await left.append({ tenant: "other", group: "g0", id: "new" }, prose(20, 1));
    // What is missing is said, and not taken for absence.
    await expect(left.get({ tenant: "acme", group: "g0", id: "0" })).rejects.toMatchObject({
      code: expect.stringMatching(/^(GONE|CORRUPT)$/),
    });
  });

  test("brings only what is new, run by run and segment by segment, and a copy of the copies is the store", async () => {
    const fs = await twoTenants(index);
    const backup = newFileSystem();
    const copiedAtFirst = copyNew(fs, backup);
    const store = await open(fs, index);
    await store.append({ tenant: "acme", group: "g0", id: "late" }, prose(30, 7));
    await store.close();

    const copied = copyNew(fs, backup);

    const sealed = (files: readonly string[]) =>
      files.filter((file) => file.includes("/runs/") || file.includes(".seg"));
    expect(sealed(copiedAtFirst).length).toBeGreaterThan(6);
    // The overlay or a run of one lane, and the segment that grew.
    expect(sealed(copied).length).toBeLessThanOrEqual(3);
    const restored = await open(backup, index);
    expect(restored.recovery).toMatchObject({ checkpoint: "loaded", framesReplayed: 0, damage: [] });
    await expectTenant(restored, "acme", 1);
    await expectTenant(restored, "other");
    sameBytes(await restored.get({ tenant: "acme", group: "g0", id: "late" }), prose(30, 7), "late");
    expect((await restored.verify()).faults).toEqual([]);
  });
});

/** As a backup does that knows names, lengths and times: what lies under a name it has, and is as long, is not copied again. */
function copyNew(from: PowerLossFileSystem, to: PowerLossFileSystem): string[] {
  const isReplaced = (file: string) => file.endsWith("/manifest") || file.endsWith("/checkpoint");
  const files = from.files().filter((file) => !file.endsWith("/LOCK"));
  const there = new Set(to.files());
  const news = files.filter(
    (file) => !there.has(file) || isReplaced(file) || to.readFile(file).length !== from.readFile(file).length,
  );
  for (const file of news) to.writeFile(file, from.readFile(file));
  for (const file of there) if (!files.includes(file)) to.unlink(file);
  return news;
}

async function twoTenants(index: Index): Promise<PowerLossFileSystem> {
  const fs = newFileSystem();
  const store = await open(fs, index);
  for (let i = 0; i < payloads; i++) {
    for (const tenant of ["acme", "other"])
      await store.append({ tenant, group: `g${i % 3}`, id: `${i}` }, payloadOf(tenant, i));
  }
  await store.close();
  return fs;
}

async function expectTenant(store: DiskStore, tenant: string, more = 0): Promise<void> {
  for (let i = 0; i < payloads; i++)
    sameBytes(await store.get({ tenant, group: `g${i % 3}`, id: `${i}` }), payloadOf(tenant, i), `${tenant} ${i}`);
  expect(await store.has({ tenant, group: "g0", id: "never" })).toBe(false);
  expect(await store.size({ tenant })).toBe(payloads + more);
}

function payloadOf(tenant: string, i: number): Uint8Array {
  return prose(40, tenant === "acme" ? i : 1000 + i);
}

function newFileSystem(): PowerLossFileSystem {
  return new PowerLossFileSystem({ random: seededRandom(1) });
}

function open(fs: PowerLossFileSystem, index: Index): Promise<DiskStore> {
  return openDisk(
    { directory: storeFolder, segmentBytesMax: 2048, index },
    { ...simulatedMachine(fs, 6), indexBounds: { ...smallIndex, lanes: 8, laneKeysMax: 1000 } },
  );
}
