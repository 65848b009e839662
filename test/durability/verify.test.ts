import { describe, expect, it } from "vitest";
import { arrayIndex } from "../support/array-index.ts";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { openDisk, type DiskStore } from "../../core/entries/disk.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import { PayloadStore } from "../../core/payload-store.ts";
import { verifyStore } from "../../core/verify/verify-store.ts";
import { storeFolder } from "../support/crash-workload.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

const tenant = "t";
const text = (name: string) => new TextEncoder().encode(`the payload ${name} `.repeat(100));

/** A store of six lone payloads, each in a segment of its own. */
async function sixSegments(): Promise<{ fs: PowerLossFileSystem; files: string[] }> {
  const fs = new PowerLossFileSystem({ random: seededRandom(1) });
  const store = await openDisk({ directory: storeFolder, segmentBytesMax: 200 }, simulatedMachine(fs, 1));
  for (const id of ["a", "b", "c", "d", "e", "f"]) await store.append({ tenant, id }, text(id), { codec: "lz4" });
  await store.close();
  const files = fs.files().filter((file) => file.endsWith(".seg"));
  expect(files).toHaveLength(6);
  return { fs, files };
}

async function open(fs: PowerLossFileSystem, rebuild = false): Promise<DiskStore> {
  return openDisk({ directory: storeFolder, rebuild }, simulatedMachine(fs, 2));
}

function flip(fs: PowerLossFileSystem, file: string, at: number): void {
  const bytes = fs.readFile(file);
  bytes[at < 0 ? bytes.length + at : at]! ^= 4;
  fs.writeFile(file, bytes);
}

describe("verify", () => {
  it("reads every payload of a whole store, and finds nothing", async () => {
    const { fs } = await sixSegments();
    const store = await open(fs);
    const steps: number[] = [];

    const report = await store.verify({ onProgress: ({ segments }) => steps.push(segments) });

    expect(report).toMatchObject({ segments: 6, frames: 6, payloads: 6, faults: [] });
    expect(steps).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("names and counts each damage: header, frame, page, block, footer and trailer of a segment", async () => {
    const { fs, files } = await sixSegments();
    const places = [20, 140, 190, 260, -45, -5];
    for (const [i, at] of places.entries()) flip(fs, files[i] ?? "", at);
    const store = await open(fs);

    const { faults } = await store.verify();

    for (const file of files) {
      const segment = file.split("/").at(-1)?.replace(".seg", "");
      expect(
        faults.filter((fault) => fault.segment === segment),
        file,
      ).not.toEqual([]);
    }
    expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(["damaged"]));
  });

  it("says which segment is gone, and the payload in it is CORRUPT", async () => {
    const { fs, files } = await sixSegments();
    fs.unlink(files[2] ?? "");
    const store = await open(fs);

    const { faults } = await store.verify();

    expect(faults).toEqual([
      expect.objectContaining({ kind: "dangling", tenant, reason: expect.stringContaining("gone") }),
    ]);
    await expect(store.get({ tenant, id: "c" })).rejects.toMatchObject({ code: "CORRUPT" });
    expect(await store.get({ tenant, id: "d" })).toEqual(text("d"));
  });

  it("tells pages that the index lacks from pages that lie twice", async () => {
    const clock = { nowMs: () => 1 };
    const random = { bytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)) };
    const segments = new MemorySegmentStore({ clock, random, digest: nodeDigest });
    const index = arrayIndex(segments);
    const ports = { segments, index, codecs: nodeCodecs, clock, random, digest: nodeDigest };
    const store = new PayloadStore(ports);
    const location = await store.append({ tenant, group: "g", id: "a" }, text("a"));
    const scan = await segments.scan(tenant, location.segment);
    const frame = scan.frames[0];
    const stray = { kind: "payloads", timeMs: 1, page: frame?.page ?? text(""), blocks: [] } as const;
    const copy = await segments.append(tenant, { ...stray, group: "g", sequence: 1 });
    const orphan = await segments.append(tenant, { ...stray, group: "h", sequence: 1 });

    const { faults } = await verifyStore(ports, {});

    const kinds = (segment: string) => faults.filter((fault) => fault.segment === segment).map(({ kind }) => kind);
    expect(kinds(location.segment)).toEqual([]);
    expect(kinds(copy.segment)).toContain("duplicate");
    expect(kinds(orphan.segment)).toContain("unindexed");
  });
});

describe("the segments alone", () => {
  it("make a store: copied to another folder and rebuilt, they serve every payload", async () => {
    const { fs, files } = await sixSegments();
    const store = await open(fs);
    await store.delete({ tenant, id: "a" });
    await store.append({ tenant, id: "b" }, text("newer"));
    await store.close();
    const elsewhere = new PowerLossFileSystem({ random: seededRandom(2) });
    for (const file of fs.files()) if (file.includes("/segments/")) elsewhere.writeFile(file, fs.readFile(file));
    expect(files.length).toBeLessThan(elsewhere.files().length + 1);

    await expect(open(elsewhere)).rejects.toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("paylode rebuild"),
    });
    const copied = await open(elsewhere, true);

    expect(await copied.get({ tenant, id: "a" })).toBeUndefined();
    expect(await copied.get({ tenant, id: "b" })).toEqual(text("newer"));
    for (const id of ["c", "d", "e", "f"]) expect(await copied.get({ tenant, id })).toEqual(text(id));
    expect(await copied.size({ tenant })).toBe(5);
    expect((await copied.verify()).faults).toEqual([]);
  });

  it("make the index anew while the store is open, and the counts stay exact", async () => {
    const { fs } = await sixSegments();
    const store = await open(fs);
    await store.append({ tenant, id: "b" }, text("newer"));
    const before = await store.stats({ tenant });

    const writes = Promise.all(["x", "y"].map((id) => store.append({ tenant, id }, text(id))));
    const { pages, damage } = await store.rebuildIndex();
    await writes;

    expect(pages).toBeGreaterThanOrEqual(7);
    expect(damage).toEqual([]);
    expect(await store.size({ tenant })).toBe(8);
    await store.delete({ tenant, id: "x" });
    await store.delete({ tenant, id: "y" });
    expect(await store.stats({ tenant })).toEqual(before);
    expect((await store.verify()).faults).toEqual([]);
    await store.close();
    expect((await open(fs)).recovery).toMatchObject({ checkpoint: "loaded", framesReplayed: 0 });
  });
});
