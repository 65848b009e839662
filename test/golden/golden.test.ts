import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { openDisk, type DiskOptions, type DiskStore } from "../../core/entries/disk.ts";
import { collect, rejectsWith, sameBytes } from "../conformance/expectations.ts";
import { Layout } from "../../core/adapters/disk/layout.ts";
import { LossesFile } from "../../core/adapters/disk/losses-file.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SavedOverlay } from "../../core/lsm/saved-overlay.ts";
import { decodePage } from "../../core/page/page.ts";
import { decodeRow, rowCrcOf } from "../../core/rows/row.ts";
import { goldenRows, goldenRowSecret, writeGoldenRows } from "../support/golden-rows.ts";
import {
  goldenDeleted,
  goldenDirectory,
  goldenErased,
  goldenExpired,
  goldenLost,
  goldenPayloads,
  goldenRequest,
  writeGoldenIndex,
  writeGoldenStore,
} from "../support/golden-store.ts";
import { simulatedMachine } from "../support/machine.ts";
import { memoryFile } from "../support/runs-in-memory.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { alike, framesOf, restingBlocksOf } from "../support/resting-blocks.ts";
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

  test("has a merged page with all that one may have: a request, an order, an expiry, origins", async () => {
    const frames = await framesOf(machineWith(golden), goldenDirectory);
    const pages = frames.map(({ page }) => decodePage(page)).flatMap((page) => (page.ok ? [page.value] : []));
    const page = pages.find(({ merged }) => merged && merged.requests.length > 0);

    const { idempotencyKey } = goldenRequest;
    expect(page?.merged).toMatchObject({ requests: [{ key: idempotencyKey }], order: [{ id: "overwritten" }] });
    expect(page?.entries.map(({ id, expiresMs }) => [id, expiresMs])).toContainEqual([
      goldenExpired.id,
      goldenExpired.expiresAt,
    ]);
    expect(page?.entries.every(({ origin }) => origin !== undefined)).toBe(true);
  });

  test("has an erasure that is done and one that is not, and today's compaction ends it", async () => {
    const fs = machineWith(golden);
    const store = await open(fs);
    const states = async () => (await store.erasures({ tenant: "merged" })).map(({ state }) => state);

    expect(await states()).toEqual(["gone", "hidden"]);
    await store.compact({ tenant: "merged", graceMs: 0 });
    expect(await states()).toEqual(["gone", "gone"]);
    expect(await store.read(goldenErased[1])).toBeUndefined();
    await store.close();
  });

  test("has a loss that was accepted, and the damaged bytes beside it", () => {
    const ports = { fs: machineWith(golden), layout: new Layout(goldenDirectory), digest: nodeDigest };
    const [loss, ...others] = LossesFile.open(ports).accepted();

    expect(loss).toMatchObject({ tenant: "lost", group: "run", sequence: 2, frames: 1 });
    expect(golden.has(`quarantine/${loss?.quarantined}`)).toBe(true);
    expect(others).toEqual([]);
  });

  test("knows a request that a merged page answers", async () => {
    const store = await open(machineWith(golden));
    const { idempotencyKey, ...key } = goldenRequest;

    await rejectsWith("KEY_REUSED", () => store.append(key, Buffer.from("other bytes"), { idempotencyKey }));
    await store.close();
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

  test("has a saved overlay with changes in it", async () => {
    const index = await filesOf(folderOfIndex);
    const overlays = [...index.values()].filter((bytes) => Buffer.from(bytes).includes("PAYLOVL\n"));
    expect(overlays).toHaveLength(1);
    const [bytes] = overlays;
    const crc32 = (part: Uint8Array, seed?: number) => nodeDigest.crc32(part, seed);
    const { tables } = new SavedOverlay("golden", memoryFile(bytes!), bytes!.length, crc32);

    expect(tables.reduce((keys, { size }) => keys + size, 0)).toBeGreaterThan(0);
  });

  test("is written by today's code with the same bytes", async () => {
    const index = await filesOf(folderOfIndex);
    const written = await writeGoldenIndex(golden);

    expect([...written.keys()].toSorted()).toEqual([...index.keys()].toSorted());
    for (const [file, bytes] of written) sameBytes(index.get(file), bytes, file);
  });
});

describe("the golden rows of format 0", () => {
  const file = path.join(import.meta.dirname, "format-0-rows");

  test.each(goldenRows)("are read by today's code: $what", async ({ what, pk, sequence, row }) => {
    const kept = JSON.parse(Buffer.from((await filesOf(file)).get("rows.json")!).toString()) as KeptRow[];
    const found = kept.find((each) => each.what === what);
    const record = Buffer.from(found?.record ?? "", "hex");

    expect(found).toMatchObject({ pk, sequence });
    const read = decodeRow(Uint8Array.from(record), pk, sequence, rowCrcOf(goldenRowSecret, nodeDigest));
    expect(read).toEqual({ ok: true, value: row });
  });

  test("are written by today's code with the same bytes", async () => {
    const kept = await filesOf(file);
    for (const [name, bytes] of writeGoldenRows()) sameBytes(kept.get(name), bytes, name);
  });
});

interface KeptRow {
  readonly what: string;
  readonly pk: string;
  readonly sequence: number;
  readonly record: string;
}

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
  for (const key of [...goldenDeleted, goldenExpired, ...goldenErased, goldenLost]) expect(await store.has(key)).toBe(false);
  for (const { tenant, group } of goldenPayloads) {
    const expected = goldenPayloads.filter((payload) => payload.tenant === tenant && payload.group === group);
    expect((await collect(store.list({ tenant, group }))).map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
  }
  for (const tenant of ["acme", "other", "alike", "merged", "lost"]) {
    expect(await store.size({ tenant })).toBe(sizeOf(tenant));
  }
  expect((await store.verify()).faults).toEqual([]);
}

/** What has expired counts until compaction takes it away. */
function sizeOf(tenant: string): number {
  const stored = goldenPayloads.filter((payload) => payload.tenant === tenant).length;
  return stored + (tenant === goldenExpired.tenant ? 1 : 0);
}

async function filesOf(directory: string): Promise<Map<string, Uint8Array>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const read = files.map(
    async (file) => [path.relative(directory, file).replaceAll("\\", "/"), await readFile(file)] as const,
  );
  return new Map(await Promise.all(read));
}
