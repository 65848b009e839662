import { describe, expect, test } from "vitest";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import { PayloadStore } from "../../core/payload-store.ts";
import { SegmentBinding } from "../../core/segment/binding.ts";
import { encodeFooter } from "../../core/segment/footer.ts";
import { scanSegment } from "../../core/segment/scan.ts";
import { type FaultKind, orphanMs, type VerifyReport } from "../../core/verify/report.ts";
import { verifyStore } from "../../core/verify/verify-store.ts";
import { arrayIndex } from "../support/array-index.ts";
import { opened, writtenStore } from "../support/damaged-store.ts";

const tenant = "t";
const text = (name: string) => new TextEncoder().encode(`the payload ${name} `.repeat(20));

/** Only these kinds, each as often. */
function expectCounts(report: VerifyReport, expected: Partial<Record<FaultKind, number>>): void {
  const found = Object.fromEntries(Object.entries(report.counts).filter(([, count]) => count > 0));
  expect(found, JSON.stringify(report.faults, undefined, 1)).toEqual(expected);
  expect(report.faults).toHaveLength(Object.values(expected).reduce((sum, count) => sum + count, 0));
}

/** A store in memory of three groups, each of two pages, an overwrite and a delete among them. */
async function inMemory(nowMs: () => number = () => 1_750_000_000_000) {
  const clock = { nowMs };
  const random = { bytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)) };
  const segments = new MemorySegmentStore({ clock, random, digest: nodeDigest });
  const index = arrayIndex(segments);
  const ports = { segments, index, codecs: nodeCodecs, clock, random, digest: nodeDigest };
  const store = new PayloadStore(ports);
  for (const group of ["a", "b", "c"]) {
    await store.append({ tenant, group, id: "1" }, text("old"));
    await store.appendMany({ tenant, group }, [
      { id: "1", bytes: text("new") },
      { id: "2", bytes: text(group) },
    ]);
  }
  await store.delete({ tenant, group: "c", id: "2" });
  return { store, ports };
}

describe("a store in memory that has exactly one fault", () => {
  test("of none: every id is looked up, every payload read", async () => {
    const { ports } = await inMemory();

    const report = await verifyStore(ports, {});

    expectCounts(report, {});
    expect(report).toMatchObject({ segments: 7, frames: 7, payloads: 9, ids: 5, unreferenced: 0, accepted: 0 });
  });

  test("an id that the index has lost is unreachable", async () => {
    const { ports } = await inMemory();
    const { index } = ports;
    const records = index.records.bind(index);
    index.records = (of, group, id) =>
      group === "b" && id === "2" ? { ...records(of, group, id), records: [] } : records(of, group, id);

    const report = await verifyStore(ports, {});

    expectCounts(report, { unreachable: 1 });
    expect(report.faults[0]?.reason).toContain('"b" "2"');
  });

  test("an id that the index leads to an older page for is unreachable", async () => {
    const { ports } = await inMemory();
    const { index } = ports;
    const records = index.records.bind(index);
    index.records = (of, group, id) => {
      const asked = records(of, group, id);
      return group === "a" && id === "1" ? { ...asked, records: records(of, group).records.slice(-1) } : asked;
    };

    expectCounts(await verifyStore(ports, {}), { unreachable: 1 });
  });

  test("a page that the index names and nobody has is dangling", async () => {
    const { ports } = await inMemory();
    const [first] = await ports.segments.segments();
    await ports.segments.remove(tenant, first!.segment);

    const report = await verifyStore(ports, {});

    expect(report.counts.dangling).toBe(1);
    expect(new Set(report.faults.map(({ kind }) => kind))).toEqual(new Set(["dangling"]));
  });

  test("a segment that compaction removes meanwhile is none", async () => {
    const { store, ports } = await inMemory();
    const { segments, index } = ports;
    const { segment: hidden } = await store.append({ tenant, group: "d", id: "1" }, text("d"));
    await store.deleteGroup({ tenant, group: "d" });
    const scan = segments.scan.bind(segments);
    segments.scan = async (of, segment, start) => {
      if (segment === hidden) {
        index.supersede(of, segment, 1);
        index.markRemoved(of, segment);
        await segments.remove(of, segment);
      }
      return scan(of, segment, start);
    };

    expectCounts(await verifyStore(ports, {}), {});
  });

  test("a segment that is superseded waits, and is not read", async () => {
    const { ports } = await inMemory();
    const [first] = await ports.segments.segments();
    ports.index.supersede(tenant, first!.segment, 1);

    const report = await verifyStore(ports, {});

    expectCounts(report, {});
    expect(report.superseded).toEqual({ segments: 1, bytes: first!.bytes });
  });

  test("an upload that nothing refers to is an orphan once it is old", async () => {
    let nowMs = 1_750_000_000_000;
    const { ports } = await inMemory(() => nowMs);
    const [first] = await ports.segments.segments();
    const uploads = {
      size: async () => 10,
      read: async () => new Uint8Array(10),
      list: async () => [{ tenant, name: first!.segment, bytes: 10 }],
    };

    const young = await verifyStore({ ...ports, uploads }, {});
    nowMs += orphanMs + 1;
    const old = await verifyStore({ ...ports, uploads }, {});

    expectCounts(young, {});
    expect(young.young).toEqual({ segments: 1, bytes: 10 });
    expectCounts(old, { orphan: 1 });
  });
});

describe("a folder that has exactly one fault", () => {
  test("a footer that does not list a frame, although its checksums hold, is told by its frames", async () => {
    const { fs, files } = await writtenStore(1);
    const file = files[2]!;
    const segment = file.split("/").at(-1)!.replace(".seg", "");
    const bytes = fs.readFile(file);
    const source = {
      tenant,
      segment,
      size: bytes.length,
      read: (at: number, length: number) => bytes.subarray(at, at + length),
    };
    const scan = await scanSegment(source, nodeDigest);
    expect(scan.frames.length).toBeGreaterThan(2);
    const kept = scan.frames.toSpliced(1, 1);
    const footer = encodeFooter(
      { frames: kept, voids: [] },
      scan.marker!,
      bytes.length,
      new SegmentBinding(nodeDigest, segment),
    );
    fs.writeFile(file, Uint8Array.from([...bytes, ...footer]));
    const store = await opened(fs, 50);

    const report = await store.verify();

    expect(report.counts).toMatchObject({ footer: 1, damaged: 0, unindexed: 0, duplicate: 0 });
    await store.repair();
    expectCounts(await store.verify(), {});
    await store.close();
  });

  test.each([
    ["a bit of a page", 200, { damaged: 1 }],
    ["a bit of the footer", -45, { damaged: 1 }],
    ["a bit of the header", 20, { damaged: 1 }],
  ] as const)("%s is damaged, once", async (_what, at, expected) => {
    const { fs, files } = await writtenStore(2);
    const bytes = fs.readFile(files[1]!);
    bytes[at < 0 ? bytes.length + at : at]! ^= 1;
    fs.writeFile(files[1]!, bytes);
    const store = await opened(fs, 50);

    expectCounts(await store.verify(), expected);
    await store.close();
  });

  test("a flipped bit of the saved index is no fault: it is made anew", async () => {
    const { fs } = await writtenStore(3);
    const file = fs.files().find((name) => name.includes("/index/"))!;
    const bytes = fs.readFile(file);
    bytes[Math.floor(bytes.length / 2)]! ^= 1;
    fs.writeFile(file, bytes);
    const store = await opened(fs, 50);

    expect(store.recovery.checkpoint).toBe("damaged");
    expectCounts(await store.verify(), {});
    await store.close();
  });
});
