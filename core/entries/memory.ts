import { MemoryErasureLedger } from "../adapters/memory/memory-erasure-ledger.ts";
import { MemorySegmentStore } from "../adapters/memory/memory-segment-store.ts";
import { systemClock } from "../adapters/node/clock.ts";
import { nodeDigest } from "../adapters/node/digest.ts";
import { SystemRandom } from "../adapters/node/random.ts";
import { ArrayOffsetIndex } from "../index/array-offset-index.ts";
import { KeyHasher } from "../index/key-hasher.ts";
import { checkKnown } from "../known-options.ts";
import { PayloadStore, storeOptions, type PayloadStoreOptions } from "../payload-store.ts";
import { FrameReader } from "../segment/read-frame.ts";
import { localCompaction } from "./local-compaction.ts";
import { nodeCodecs } from "./node-codecs.ts";

export * from "../index.ts";

/**
 * Opens an empty store in memory, which ends with its process: for tests and for trying things out.
 * @throws {PayloadStoreError} `INVALID` for an option that is unknown
 */
export function openMemory(options: PayloadStoreOptions = {}): PayloadStore {
  checkKnown(options, storeOptions);
  const random = new SystemRandom();
  const segments = new MemorySegmentStore({ clock: systemClock, random, digest: nodeDigest });
  const index = new ArrayOffsetIndex(new FrameReader(segments, nodeDigest), new KeyHasher(random.bytes(16)), (bytes) =>
    nodeDigest.crc32(bytes),
  );
  const ports = { segments, index, codecs: nodeCodecs, clock: systemClock, random, digest: nodeDigest };
  return new PayloadStore(
    {
      ...ports,
      erasures: new MemoryErasureLedger(),
      compaction: localCompaction(ports, { rules: { smallCountMin: Infinity } }),
    },
    options,
  );
}
