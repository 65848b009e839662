import { expect, test } from "vitest";
import { DiskSegmentStore } from "../../core/adapters/disk/disk-segment-store.ts";
import { Layout } from "../../core/adapters/disk/layout.ts";
import { takeIn } from "../../core/adapters/disk/take-in.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SegmentNames } from "../../core/segment/name.ts";
import { collect } from "../conformance/expectations.ts";
import { IndexWork } from "../conformance/index-work.ts";
import { arrayIndex } from "../support/array-index.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

/** Suspected: who makes an index anew from a large segment holds up all others until it is done. */
test("taking a segment into an index gives others a turn for each 32 KiB of pages, and takes all of it in", async () => {
  const fs = new PowerLossFileSystem({ random: seededRandom(1), syncTakes: "immediate" });
  const { clock, random } = simulatedMachine(fs, 1);
  const segments = new DiskSegmentStore({
    fs,
    layout: new Layout("/store"),
    digest: nodeDigest,
    names: new SegmentNames(clock, random),
    clock,
    random,
    segmentBytesMax: 10_000_000,
    syncWithinMs: 0,
  });
  const work = new IndexWork(arrayIndex(segments), segments, nodeDigest);
  const puts = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`an id of thirty-two bytes ${i}`, 0]));
  for (let i = 0; i < 20; i++) await work.commit("t", `g${i % 2}`, { puts });
  const [{ segment } = { segment: "" }] = await segments.segments();
  const scan = await segments.scan("t", segment);
  const pageBytes = scan.frames.reduce((sum, { page }) => sum + page.length, 0);
  const fresh = arrayIndex(segments);
  const takenAtPause: number[] = [];

  const taken = await takeIn(fresh, scan, scan.frames, async () => {
    const records = await collect(fresh.all());
    takenAtPause.push(records.length);
  });

  expect(taken).toBe(20);
  expect(takenAtPause.length).toBeGreaterThan(pageBytes / 65_536);
  expect(takenAtPause).toEqual(takenAtPause.toSorted((a, b) => a - b));
  expect(takenAtPause[0]).toBeLessThan(10);
  await new IndexWork(fresh, segments, nodeDigest, work.model).expectSame(
    ["t"],
    ["g0", "g1"],
    Object.keys(puts).slice(0, 9),
  );
});
