import { DiskHashIndex } from "../../core/adapters/disk/disk-hash-index.ts";
import { DiskSegmentStore } from "../../core/adapters/disk/disk-segment-store.ts";
import { Layout } from "../../core/adapters/disk/layout.ts";
import type { PayloadStoreOptions } from "../../core/payload-store.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import type { IndexBounds } from "../../core/lsm/index-bounds.ts";
import { SegmentNames } from "../../core/segment/name.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import type { OffsetIndexUnderTest } from "../conformance/offset-index.suite.ts";
import type { StoreUnderTest } from "../conformance/payload-store.suite.ts";
import { diskUnderTest } from "./disk-under-test.ts";
import { simulatedMachine } from "./machine.ts";
import { PowerLossFileSystem } from "./power-loss-file-system.ts";
import { seededRandom } from "./seeded-random.ts";

/** A small index writes itself again and again, so its syncs say nothing. */
export const hashStoreSupports = { reopen: true, readers: true, syncs: false };

/** Opens a store whose index goes to the disk as the bounds say. */
export async function openHashStore(
  options: PayloadStoreOptions | undefined,
  bounds: Partial<IndexBounds>,
): Promise<StoreUnderTest> {
  const machine = simulatedMachine(new PowerLossFileSystem({ random: seededRandom(3) }), 3);
  const { store, reopen, openReader, end } = await diskUnderTest(
    { ...options, directory: "/store", segmentBytesMax: 16_384, index: "disk-hash" },
    { ...machine, indexBounds: bounds },
    async () => {},
  );
  return { store, reopen, openReader, end };
}

/** An on-disk index alone, in a simulated file system. */
export async function openHashIndex(bounds: IndexBounds): Promise<OffsetIndexUnderTest> {
  const { fs, clock, random } = simulatedMachine(new PowerLossFileSystem({ random: seededRandom(2) }), 2);
  const ports = { fs, layout: new Layout("/store"), clock, random, digest: nodeDigest };
  const names = new SegmentNames(clock, random);
  const segments = new DiskSegmentStore({ ...ports, names, segmentBytesMax: 4096, syncWithinMs: 0 });
  const index = new DiskHashIndex({
    ...ports,
    bounds,
    readOnly: false,
    reader: new FrameReader(segments, nodeDigest),
    secret: new Uint8Array(16).fill(9),
    durable: (tenant, segment) => segments.durable(tenant, segment),
    flush: () => segments.flush(),
    stop: unexpected,
    onDamage: () => unexpected(new Error("the index is damaged")),
    onGrowth: () => {},
  });
  return { index, segments, end: () => segments.close() };
}

function unexpected(error: unknown): never {
  throw error;
}
