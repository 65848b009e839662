import { expect, test } from "vitest";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { localCompaction } from "../../core/entries/local-compaction.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import { ArrayOffsetIndex } from "../../core/index/array-offset-index.ts";
import { KeyHasher } from "../../core/index/key-hasher.ts";
import { PayloadStore } from "../../core/payload-store.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { ManualClock } from "../support/manual-clock.ts";

const tenant = "acme";

// What memory flipped between hash and checksum: every checksum of the segment holds.
test.each([
  ["that shares a block with others", ["a", "b", "c"], 900],
  ["that is alone", ["a"], 900],
  ["that has many blocks", ["a"], 9_000_000],
])(
  "a payload %s and differs from its SHA-256 is not written again under checksums that hold",
  async (_what, ids, length) => {
    let lies = false;
    const digest = {
      ...nodeDigest,
      sha256: (bytes: Uint8Array) => (lies ? nodeDigest.sha256(new Uint8Array(1)) : nodeDigest.sha256(bytes)),
    };
    const shared = { clock: new ManualClock(), random: new SystemRandom(), digest };
    const segments = new MemorySegmentStore(shared);
    const frames = new FrameReader(segments, digest);
    const index = new ArrayOffsetIndex(frames, new KeyHasher(shared.random.bytes(16)), (bytes) => digest.crc32(bytes));
    const ports = { ...shared, segments, index, codecs: nodeCodecs };
    const store = new PayloadStore({ ...ports, compaction: localCompaction(ports) });
    await store.append({ tenant, group: "well", id: "a" }, noise(900, 1));
    lies = true;
    const items = ids.map((id, i) => ({ id, bytes: noise(length, i) }));
    const [{ segment } = { segment: "" }] = await store.appendMany({ tenant, group: "differs" }, items);
    lies = false;

    const { skipped, segments: emptied } = await store.compact({ graceMs: 0, mustGo: () => true });

    expect(skipped).toMatchObject([{ tenant, segment, group: "differs", reason: expect.stringContaining("SHA-256") }]);
    expect(emptied).toHaveLength(1);
    expect((await segments.segments()).map((one) => one.segment)).toContain(segment);
  },
);
