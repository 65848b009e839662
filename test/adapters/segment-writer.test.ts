import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DiskSegmentStore } from "../../core/adapters/disk/disk-segment-store.ts";
import { FooterMemory } from "../../core/adapters/disk/footer-memory.ts";
import { Layout } from "../../core/adapters/disk/layout.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { limits } from "../../core/limits.ts";
import type { FrameDraft } from "../../core/segment/frame.ts";
import { SegmentNames } from "../../core/segment/name.ts";
import { scanSegment } from "../../core/segment/scan.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { CountingFileSystem } from "../support/counting-file-system.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

const tenant = "acme";
const directory = "/store";

interface Opened {
  readonly disk: PowerLossFileSystem;
  readonly fs: CountingFileSystem;
  readonly segments: DiskSegmentStore;
  readonly framesSynced: () => number;
}

interface Given {
  readonly disk?: PowerLossFileSystem;
  readonly segmentBytesMax?: number;
  readonly footerBytesMax?: number;
}

let processes = 0;

async function open(given: Given = {}): Promise<Opened> {
  const { disk = new PowerLossFileSystem({ random: seededRandom(1) }), segmentBytesMax = limits.segmentBytesMax } =
    given;
  const fs = new CountingFileSystem(disk);
  if (!fs.stat(directory)) {
    disk.writeFile(`${directory}/segments/none`, new Uint8Array(0));
    disk.unlink(`${directory}/segments/none`);
  }
  const { clock, random } = simulatedMachine(fs, (processes += 1));
  const ports = { fs, layout: new Layout(directory), clock, random, digest: nodeDigest };
  const names = new SegmentNames(clock, random);
  const footers = new FooterMemory(given.footerBytesMax ?? limits.growingFootersBytesMax);
  const segments = new DiskSegmentStore({ ...ports, names, segmentBytesMax, syncWithinMs: 0, footers });
  return { disk, fs, segments, framesSynced: () => fs.syncsFor.get("frames") ?? 0 };
}

function frame(sequence: number, bytes = 100, group = `g${sequence % 7}`): FrameDraft {
  const block = { codec: 0, rawBytes: bytes, body: noise(bytes, sequence) } as const;
  const page = noise(40, sequence + 1);
  return { kind: "payloads", group, sequence, timeMs: 1_750_000_000_000, page, blocks: [block] };
}

function merged(sequence: number, bytes?: number): FrameDraft {
  return { ...frame(sequence, bytes), mayWait: true };
}

/** Sequences of the frames that a machine has after its power was cut, of twenty ways in which that may end: the fewest. */
async function leftAfterPowerLoss(disk: PowerLossFileSystem, segment: string): Promise<readonly number[]> {
  let fewest: readonly number[] | undefined;
  for (let cut = 0; cut < 20; cut++) {
    const bytes = disk.powerLoss().readFile(`${directory}/segments/${tenant}/${segment}.seg`);
    const read = (at: number, length: number) => bytes.subarray(at, at + length);
    const { frames, damage } = await scanSegment({ tenant, segment, size: bytes.length, read }, nodeDigest);
    expect(damage).toEqual([]);
    const sequences = frames.map(({ sequence }) => sequence);
    if (fewest === undefined || sequences.length < fewest.length) fewest = sequences;
  }
  return fewest!;
}

describe("frames that may wait for a sync", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  test("take none of their own, and go with that of the next frame that may not", async () => {
    const { disk, segments, framesSynced } = await open();
    const { segment } = await segments.append(tenant, frame(1));
    for (let i = 2; i <= 20; i++) await segments.append(tenant, merged(i));
    expect(framesSynced()).toBe(1);
    expect((await leftAfterPowerLoss(disk, segment)).length).toBeLessThan(20);

    await segments.append(tenant, frame(21));

    expect(framesSynced()).toBe(2);
    expect(await leftAfterPowerLoss(disk, segment)).toHaveLength(21);
    await vi.advanceTimersByTimeAsync(10 * limits.mergedSyncWithinMs);
    await segments.close();
    expect(framesSynced(), "nothing waited any more").toBe(2);
  });

  test("are read, scanned and told to followers as any others", async () => {
    const { segments } = await open();
    const { segment } = await segments.append(tenant, frame(1));
    const place = await segments.append(tenant, merged(2));

    const { frames, acknowledgedBytes, durableBytes, size } = await segments.scan(tenant, segment);

    expect(frames.map(({ sequence }) => sequence)).toEqual([1, 2]);
    expect(acknowledgedBytes).toBe(size);
    expect(durableBytes).toBeLessThanOrEqual(place.offset);
    await segments.close();
  });

  test.each(["a while", "a flush", "a seal", "closing", "too many bytes"] as const)(
    "are durable after %s",
    async (what) => {
      const { disk, segments, framesSynced } = await open();
      const { segment } = await segments.append(tenant, frame(1));
      await segments.append(tenant, merged(2));
      if (what === "a while") await vi.advanceTimersByTimeAsync(limits.mergedSyncWithinMs);
      if (what === "a flush") await segments.flush();
      if (what === "a seal") await segments.seal(tenant);
      if (what === "closing") await segments.close();
      if (what === "too many bytes") await segments.append(tenant, merged(3, limits.mergedUnsyncedBytesMax));
      await setImmediate();

      expect(framesSynced()).toBe(2);
      expect((await leftAfterPowerLoss(disk, segment)).slice(0, 2)).toEqual([1, 2]);
      await segments.close();
    },
  );

  test("that begin a segment are synced, with its name", async () => {
    const { disk, segments, framesSynced } = await open();
    const { segment } = await segments.append(tenant, merged(1));

    expect(framesSynced()).toBe(1);
    expect(await leftAfterPowerLoss(disk, segment)).toEqual([1]);
    await segments.close();
  });

  test("are durable, and their segment sealed, before the next one begins", async () => {
    const { disk, segments } = await open({ segmentBytesMax: 4096 });
    const first = await segments.append(tenant, frame(1));
    let last = first;
    for (let i = 2; last.segment === first.segment; i++) last = await segments.append(tenant, merged(i));

    const { length } = await leftAfterPowerLoss(disk, first.segment);

    expect(length).toBeGreaterThan(10);
    expect((await segments.scan(tenant, first.segment)).frames).toHaveLength(length);
    expect((await segments.scan(tenant, first.segment)).sealed).toBe(true);
    await segments.close();
  });

  test("end the writer when their sync fails, and nothing is taken for durable", async () => {
    const { disk, segments } = await open();
    await segments.append(tenant, frame(1));
    await segments.append(tenant, merged(2));
    disk.failNextSync((_path, reason) => reason === "frames");

    await expect(segments.flush()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(segments.append(tenant, merged(3))).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(segments.close()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
});

describe("the footer of a segment", () => {
  /** What the footer says is what the frames say. */
  async function expectSealed({ disk }: Opened, segment: string, count: number): Promise<void> {
    const bytes = disk.readFile(`${directory}/segments/${tenant}/${segment}.seg`);
    const read = (at: number, length: number) => bytes.subarray(at, at + length);
    const source = { tenant, segment, size: bytes.length, read };
    const [footer, frames] = [
      await scanSegment(source, nodeDigest),
      await scanSegment(source, nodeDigest, undefined, "frames"),
    ];
    expect(footer.sealed).toBe(true);
    expect(footer.damage).toEqual([]);
    expect(footer.frames).toEqual(frames.frames);
    expect(footer.frames).toHaveLength(count);
  }

  /** A store that an earlier process has left growing. */
  async function resumed(count: number): Promise<Opened & { readonly segment: string }> {
    const before = await open();
    const { segment } = await before.segments.append(tenant, frame(1));
    await Promise.all(Array.from({ length: count - 1 }, (_, i) => before.segments.append(tenant, frame(i + 2))));
    await before.segments.close();
    const opened = await open({ disk: before.disk });
    const { marker, size, framesBefore, groupCrcBefore } = await opened.segments.scan(tenant, segment);
    const growing = { segment, marker: marker!, bytes: size, frames: framesBefore, groupCrcBefore, durableBytes: size };
    opened.segments.resume(tenant, growing);
    opened.fs.segmentReads = 0;
    return { ...opened, segment };
  }

  test("is written without a read of what this process has written", async () => {
    const opened = await open();
    const { fs, segments } = opened;
    const { segment } = await segments.append(tenant, frame(1));
    await Promise.all(
      Array.from({ length: 999 }, (_, i) => segments.append(tenant, i % 3 ? frame(i + 2) : merged(i + 2))),
    );

    await segments.seal(tenant);

    expect(fs.segmentReads).toBe(0);
    await expectSealed(opened, segment, 1000);
    await segments.close();
  });

  test("is made of what is read while frames are appended behind it, where an earlier process began the segment", async () => {
    const opened = await resumed(2000);
    const { fs, segments, segment } = opened;
    const order: string[] = [];
    const sealed = segments.seal(tenant).then(() => order.push("sealed"));
    for (let i = 0; i < 5; i++) {
      await segments.append(tenant, frame(2001 + i));
      order.push("appended");
    }
    await sealed;

    expect(order).toEqual([...Array<string>(5).fill("appended"), "sealed"]);
    expect(fs.segmentReads).toBeGreaterThan(0);
    await expectSealed(opened, segment, 2005);
    await segments.close();
  });

  test("is made so too of one that is full when no memory is left for footers, which grows on until it is read", async () => {
    const opened = await open({ segmentBytesMax: 300_000, footerBytesMax: 2000 });
    const { segments } = opened;
    const { segment } = await segments.append(tenant, frame(1));
    let next = segment;
    let appended = 1;
    for (; next === segment; appended++) ({ segment: next } = await segments.append(tenant, frame(appended + 1)));

    const found = (await segments.segments()).find((each) => each.segment === segment)!;
    expect(found.bytes).toBeGreaterThan(300_000);
    expect(found.bytes).toBeLessThan(2.2 * 300_000);
    await expectSealed(opened, segment, appended - 1);
    await segments.close();
  });

  test("is left out where a frame was lost before this process came", async () => {
    const { disk, segment, segments } = await resumed(200);
    const bytes = disk.readFile(`${directory}/segments/${tenant}/${segment}.seg`);
    bytes[5000]! ^= 1;
    bytes[5100]! ^= 1;
    bytes[5200]! ^= 1;
    disk.writeFile(`${directory}/segments/${tenant}/${segment}.seg`, bytes);

    await segments.seal(tenant);

    const { sealed, damage } = await segments.scan(tenant, segment);
    expect(damage).not.toEqual([]);
    expect(sealed).toBe(false);
    const { segment: next } = await segments.append(tenant, frame(300));
    expect(next).not.toBe(segment);
    await segments.close();
  });
});
