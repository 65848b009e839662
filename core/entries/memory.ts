import { MemoryOffsetIndex } from "../adapters/memory/memory-offset-index.ts";
import { MemorySegmentStore } from "../adapters/memory/memory-segment-store.ts";
import { systemClock } from "../adapters/node/clock.ts";
import { nodeDigest } from "../adapters/node/digest.ts";
import { SystemRandom } from "../adapters/node/random.ts";
import { PayloadStore, type PayloadStoreOptions } from "../payload-store.ts";
import { nodeCodecs } from "./node-codecs.ts";

export * from "../index.ts";

/** Opens an empty store in memory, which ends with its process: for tests and for trying things out. */
export function openMemory(options: PayloadStoreOptions = {}): PayloadStore {
  const random = new SystemRandom();
  const segments = new MemorySegmentStore({ clock: systemClock, random, digest: nodeDigest });
  return new PayloadStore(
    { segments, index: new MemoryOffsetIndex(), codecs: nodeCodecs, clock: systemClock, random, digest: nodeDigest },
    options,
  );
}
