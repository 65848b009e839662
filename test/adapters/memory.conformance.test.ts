import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { openMemory } from "../../core/entries/memory.ts";
import { offsetIndexSuite, payloadStoreSuite, segmentStoreSuite } from "../conformance/index.ts";
import { arrayIndex } from "../support/array-index.ts";
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
    return { segments, index: arrayIndex(segments), end: () => segments.close() };
  },
});
