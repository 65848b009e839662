import { MemoryRowTable } from "../../core/adapters/memory/memory-row-table.ts";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { systemClock } from "../../core/adapters/node/clock.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import { PayloadStore } from "../../core/payload-store.ts";
import { RowOffsetIndex } from "../../core/rows/row-offset-index.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { offsetIndexSuite, payloadStoreSuite } from "../conformance/index.ts";

/** The protocol of rows without a server: tables in memory, with pages of a few rows. */
function freshPorts() {
  const shared = { clock: systemClock, random: new SystemRandom(), digest: nodeDigest };
  const segments = new MemorySegmentStore(shared);
  const rows = new MemoryRowTable({ ...shared, pageRowsMax: 7 });
  const frames = new FrameReader(segments, nodeDigest);
  const openIndex = () =>
    new RowOffsetIndex({ ...shared, rows, frames, secret: new Uint8Array(16).fill(7), sleep: async () => {} });
  return { ...shared, segments, openIndex };
}

await offsetIndexSuite({
  name: "rows in memory",
  digest: nodeDigest,
  writers: "many",
  scale: 0.2,
  open: async () => {
    const { segments, openIndex } = freshPorts();
    return { segments, index: openIndex(), end: () => segments.close() };
  },
});

await payloadStoreSuite({
  name: "rows in memory",
  supports: { reopen: false, readers: false, syncs: false },
  finds: false,
  scale: 0.2,
  open: async (options) => {
    const { openIndex, ...ports } = freshPorts();
    const store = new PayloadStore({ ...ports, index: openIndex(), codecs: nodeCodecs }, options);
    return { store, end: () => store.close() };
  },
});
