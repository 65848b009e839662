import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { openDisk, type DiskOptions, type DiskStore } from "../../core/entries/disk.ts";
import { collect, sameBytes } from "../conformance/expectations.ts";
import { goldenDeleted, goldenDirectory, goldenPayloads, writeGoldenIndex, writeGoldenStore } from "../support/golden-store.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { alike, restingBlocksOf } from "../support/resting-blocks.ts";
import { seededRandom } from "../support/seeded-random.ts";

/**
 * A store as release 0 wrote it, kept byte for byte. What was written once is read for ever.
 *
 * Until format 1 is frozen, `node test/support/write-golden.ts` writes it anew for a change of the format that says so.
 */
const folder = path.join(import.meta.dirname, "format-0");
const golden = await filesOf(folder);

describe("the golden store of format 0", () => {
  test("has a sealed segment and a growing one", () => {
    const segments = [...golden].filter(([file]) => file.startsWith("segments/acme/"));
    const sealed = segments.filter(([, bytes]) => Buffer.from(bytes.subarray(-8)).toString() === "PAYLEND\n");

    expect(sealed.length).toBeGreaterThan(0);
    expect(sealed.length).toBeLessThan(segments.length);
  });

  test("has a block that rests on a base", async () => {
    const resting = await restingBlocksOf(machineWith(golden), goldenDirectory);

    expect(resting).toHaveLength(1);
    expect(resting[0]!.block.body.length).toBeLessThan(alike(2).length / 5);
  });

  test("is read by today's code, payload for payload, with the index that was saved", async () => {
    const store = await open(machineWith(golden));

    expect(store.recovery).toMatchObject({ checkpoint: "loaded", segmentsScanned: 0, damage: [] });
    await expectGolden(store);
  });

  test("is read read-only", async () => {
    await expectGolden(await open(machineWith(golden), { readOnly: true }));
  });

  test("is read when its index is made anew from the segments", async () => {
    const store = await open(machineWith(golden), { rebuild: true });

    expect(store.recovery).toMatchObject({ checkpoint: "none", tailFramesKept: 0, tornBytes: 0, damage: [] });
    await expectGolden(store);
  });

  test("goes on growing under today's code", async () => {
    const fs = machineWith(golden);
    const store = await open(fs);
    await store.append({ tenant: "acme", group: "run", id: "new" }, Buffer.from("new"));
    await store.delete({ tenant: "acme", group: "run", id: "new" });
    await store.close();

    await expectGolden(await open(fs));
  });

  test("is written by today's code with the same bytes; `node test/support/write-golden.ts` writes it anew", async () => {
    const written = await writeGoldenStore();

    expect([...written.keys()].toSorted()).toEqual([...golden.keys()].toSorted());
    for (const [file, bytes] of written) sameBytes(golden.get(file), bytes, file);
  });
});

describe("the golden index on disk of format 0", () => {
  const folderOfIndex = path.join(import.meta.dirname, "format-0-disk-hash");

  test("is read by today's code, without a segment", async () => {
    const index = await filesOf(folderOfIndex);
    expect([...index.keys()].some((file) => file.startsWith("index/runs/"))).toBe(true);
    const files = new Map([...golden].filter(([file]) => !file.startsWith("index/")));
    const store = await open(machineWith(new Map([...files, ...index])), { index: "disk-hash" });

    expect(store.recovery).toMatchObject({ checkpoint: "loaded", segmentsScanned: 0, damage: [] });
    await expectGolden(store);
  });

  test("is written by today's code with the same bytes", async () => {
    const index = await filesOf(folderOfIndex);
    const written = await writeGoldenIndex(golden);

    expect([...written.keys()].toSorted()).toEqual([...index.keys()].toSorted());
    for (const [file, bytes] of written) sameBytes(index.get(file), bytes, file);
  });
});

function open(fs: PowerLossFileSystem, options: Partial<DiskOptions> = {}): Promise<DiskStore> {
  return openDisk({ directory: goldenDirectory, ...options }, simulatedMachine(fs, 7));
}

function machineWith(files: ReadonlyMap<string, Uint8Array>): PowerLossFileSystem {
  const fs = new PowerLossFileSystem({ random: seededRandom(1) });
  for (const [file, bytes] of files) fs.writeFile(`${goldenDirectory}/${file}`, bytes);
  return fs;
}

async function expectGolden(store: DiskStore): Promise<void> {
  for (const { tenant, group, id, bytes, contentType, attributes } of goldenPayloads) {
    const payload = await store.read({ tenant, group, id });
    sameBytes(payload?.body, bytes, `${tenant} ${group} ${id}`);
    expect([payload?.contentType, payload?.attributes]).toEqual([contentType, attributes]);
  }
  for (const key of goldenDeleted) expect(await store.has(key)).toBe(false);
  for (const { tenant, group } of goldenPayloads) {
    const expected = goldenPayloads.filter((payload) => payload.tenant === tenant && payload.group === group);
    expect((await collect(store.list({ tenant, group }))).map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
  }
  for (const tenant of ["acme", "other", "alike"]) {
    expect(await store.size({ tenant })).toBe(goldenPayloads.filter((payload) => payload.tenant === tenant).length);
  }
  expect((await store.verify()).faults).toEqual([]);
}

async function filesOf(directory: string): Promise<Map<string, Uint8Array>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const read = files.map(
    async (file) => [path.relative(directory, file).replaceAll("\\", "/"), await readFile(file)] as const,
  );
  return new Map(await Promise.all(read));
}
