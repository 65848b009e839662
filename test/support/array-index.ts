import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { ArrayOffsetIndex } from "../../core/index/array-offset-index.ts";
import { KeyHasher } from "../../core/index/key-hasher.ts";
import type { SegmentStore } from "../../core/ports/segment-store.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";

/** An index in memory over segments. */
export function arrayIndex(
  segments: SegmentStore,
  hasher: KeyHasher = new KeyHasher(new Uint8Array(16).fill(7)),
): ArrayOffsetIndex {
  return new ArrayOffsetIndex(new FrameReader(segments, nodeDigest), hasher, (bytes) => nodeDigest.crc32(bytes));
}
