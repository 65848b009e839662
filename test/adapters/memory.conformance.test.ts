import { MemoryOffsetIndex } from "../../core/adapters/memory/memory-offset-index.ts";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { openMemory } from "../../core/entries/memory.ts";
import { ArrayOffsetIndex } from "../../core/index/array-offset-index.ts";
import { KeyHasher } from "../../core/index/key-hasher.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { offsetIndexSuite, payloadStoreSuite, segmentStoreSuite } from "../conformance/index.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { simulatedMachine } from "../support/machine.ts";
import { seededRandom } from "../support/seeded-random.ts";

const newSegments = () => {
  const { clock, random } = simulatedMachine(new PowerLossFileSystem({ random: seededRandom(1) }), 1);
  return new MemorySegmentStore({ clock, random, digest: nodeDigest });
};

await payloadStoreSuite({
  name: "memory",
  supports: { reopen: false, readers: false, syncs: false },
  open: async (options) => {
    const store = openMemory(options);
    return { store, end: () => store.close() };
  },
});

await segmentStoreSuite({
  name: "memory",
  digest: nodeDigest,
  open: async () => {
    const segments = newSegments();
    return { segments, end: () => segments.close() };
  },
});

await offsetIndexSuite({
  name: "memory",
  digest: nodeDigest,
  open: async () => {
    const segments = newSegments();
    return { segments, index: new MemoryOffsetIndex(), end: () => segments.close() };
  },
});

await offsetIndexSuite({
  name: "typed arrays",
  digest: nodeDigest,
  open: async () => {
    const segments = newSegments();
    const hasher = new KeyHasher(new Uint8Array(16).fill(7));
    const reader = new FrameReader(segments, nodeDigest);
    const index = new ArrayOffsetIndex(reader, hasher, (bytes) => nodeDigest.crc32(bytes));
    return { segments, index, end: () => segments.close() };
  },
});
