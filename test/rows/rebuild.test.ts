import { describe, expect, test } from "vitest";
import { rebuildTable } from "../../core/adapters/aws/rebuild.ts";
import { MemoryRowTable } from "../../core/adapters/memory/memory-row-table.ts";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import { PayloadStore } from "../../core/index.ts";
import { RowOffsetIndex } from "../../core/rows/row-offset-index.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { collect } from "../conformance/expectations.ts";
import { text } from "../conformance/sample-bytes.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

/** Suspected: a page for which there was no room is left out, or committed out of its turn. */
describe("a table that is made anew from segments", () => {
  test.each([
    ["all pages are kept", undefined],
    ["some are", 600],
    ["none is, and each is read again", 0],
  ])("has every page in its place, where %s", async (_what, pageBytesMax) => {
    const { random } = simulatedMachine(new PowerLossFileSystem({ random: seededRandom(1) }), 1);
    const ports = { clock: new ManualClock(), random, digest: nodeDigest };
    const segments = new MemorySegmentStore(ports);
    const newIndex = () =>
      new RowOffsetIndex({
        ...ports,
        rows: new MemoryRowTable(ports),
        frames: new FrameReader(segments, nodeDigest),
        secret: new Uint8Array(16).fill(7),
        sleep: async () => {},
      });
    const open = (index: RowOffsetIndex) => new PayloadStore({ ...ports, codecs: nodeCodecs, segments, index });
    const store = open(newIndex());
    const group = (g: number) => ({ tenant: "t", group: `g${g}` });
    for (let i = 0; i < 30; i++) await store.append({ ...group(i % 3), id: `${i % 12}` }, text(`version ${i}`));
    await store.delete({ ...group(0), id: "3" });

    const index = newIndex();
    const rebuilt = await rebuildTable(segments, index, nodeDigest, {}, pageBytesMax);

    expect(rebuilt).toEqual({ pages: 31, groups: 3, damage: [] });
    const again = open(index);
    for (let g = 0; g < 3; g++) {
      expect(await collect(again.contents(group(g)))).toEqual(await collect(store.contents(group(g))));
    }
    expect(await again.has({ ...group(0), id: "3" })).toBe(false);
  });
});
