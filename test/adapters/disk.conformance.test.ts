import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { DiskOffsetIndex } from "../../core/adapters/disk/disk-offset-index.ts";
import { DiskSegmentStore } from "../../core/adapters/disk/disk-segment-store.ts";
import { Layout } from "../../core/adapters/disk/layout.ts";
import { NodeFileSystem } from "../../core/adapters/disk/node-file-system.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { limits } from "../../core/limits.ts";
import { SegmentNames } from "../../core/segment/name.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { offsetIndexSuite, payloadStoreSuite, segmentStoreSuite } from "../conformance/index.ts";
import { diskUnderTest } from "../support/disk-under-test.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

const supports = { reopen: true, readers: true, syncs: true };
const nothingToRemove = async () => {};

await payloadStoreSuite({
  name: "disk",
  supports,
  open: async (options) => {
    const directory = await mkdtemp(path.join(tmpdir(), "paylode-"));
    return diskUnderTest({ ...options, directory }, { fs: new NodeFileSystem() }, () =>
      rm(directory, { recursive: true }),
    );
  },
});

await payloadStoreSuite({
  name: "disk with segments of 16 KiB",
  supports,
  scale: 0.2,
  open: async (options) => {
    const machine = simulatedMachine(new PowerLossFileSystem({ random: seededRandom(1) }), 1);
    return diskUnderTest({ ...options, directory: "/store", segmentBytesMax: 16_384 }, machine, nothingToRemove);
  },
});

const openSegments = (segmentBytesMax: number) => {
  const { fs, clock, random } = simulatedMachine(new PowerLossFileSystem({ random: seededRandom(2) }), 2);
  const layout = new Layout("/store");
  const ports = { fs, layout, clock, random, digest: nodeDigest };
  const names = new SegmentNames(clock, random);
  return { ports, segments: new DiskSegmentStore({ ...ports, names, segmentBytesMax, syncWithinMs: 0 }) };
};

for (const [name, segmentBytesMax] of [
  ["disk", limits.segmentBytesMax],
  ["disk with segments of 1 KiB", 1024],
] as const) {
  await segmentStoreSuite({
    name,
    digest: nodeDigest,
    open: async () => {
      const { segments } = openSegments(segmentBytesMax);
      return { segments, end: () => segments.close() };
    },
  });
}

await offsetIndexSuite({
  name: "disk",
  digest: nodeDigest,
  open: async () => {
    const { ports, segments } = openSegments(4096);
    const index = new DiskOffsetIndex({
      ...ports,
      reader: new FrameReader(segments, nodeDigest),
      secret: new Uint8Array(16).fill(9),
      durable: (tenant, segment) => segments.durable(tenant, segment),
      flush: () => segments.flush(),
    });
    return { index, segments, end: () => segments.close() };
  },
});
