import { DiskOffsetIndex } from "../adapters/disk/disk-offset-index.ts";
import { DiskSegmentStore } from "../adapters/disk/disk-segment-store.ts";
import { diskError } from "../adapters/disk/disk-error.ts";
import type { FileSystem } from "../adapters/disk/file-system.ts";
import { ensureDirectory } from "../adapters/disk/files.ts";
import { FollowingOffsetIndex } from "../adapters/disk/following-offset-index.ts";
import { Layout } from "../adapters/disk/layout.ts";
import { NodeFileSystem } from "../adapters/disk/node-file-system.ts";
import { recover, type Recovery } from "../adapters/disk/recover.ts";
import { setAside } from "../adapters/disk/set-aside.ts";
import { StoreLock } from "../adapters/disk/store-lock.ts";
import { createStoreFile, readStoreFile, type StoreFile } from "../adapters/disk/store-file.ts";
import { systemClock } from "../adapters/node/clock.ts";
import { nodeDigest } from "../adapters/node/digest.ts";
import { SystemRandom } from "../adapters/node/random.ts";
import { PayloadStoreError } from "../errors.ts";
import { limits } from "../limits.ts";
import { PayloadStore, type PayloadStoreOptions, type PayloadStorePorts } from "../payload-store.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import { SegmentNames } from "../segment/name.ts";
import { FrameReader } from "../segment/read-frame.ts";
import { resolve } from "node:path";
import { nodeCodecs } from "./node-codecs.ts";

export * from "../index.ts";
export type { Recovery } from "../adapters/disk/recover.ts";

export interface DiskOptions extends PayloadStoreOptions {
  /** The store's folder. Made if it is not there, unless `readOnly`. */
  readonly directory: string;
  /**
   * `safe`, the default: an append resolves once its bytes are on the disk. `balanced` and `fast` resolve before that, by
   * at most 100 and 1,000 ms: a power cut loses what was acknowledged in that time, a killed process loses nothing.
   */
  readonly durability?: Durability | undefined;
  /** `memory`: the index in typed arrays, saved as a checkpoint. */
  readonly index?: "memory" | undefined;
  /** Opens beside a process that writes, and sees what it acknowledges. Takes no lock and changes nothing. */
  readonly readOnly?: boolean | undefined;
  /** Sets the saved index aside and makes it, and a damaged `store.json`, anew from the segments. */
  readonly rebuild?: boolean | undefined;
  /** A segment file is sealed once it is this long, in bytes; 64 MiB by default. */
  readonly segmentBytesMax?: number | undefined;
}

export type Durability = "safe" | "balanced" | "fast";

/** How long an acknowledged append may not be durable, in milliseconds. */
const syncWithinMs: Readonly<Record<Durability, number>> = { safe: 0, balanced: 100, fast: 1000 };

/** What a test puts in place of the machine. */
export interface Machine {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly pid: number;
}

/** A store in one folder. */
export class DiskStore extends PayloadStore {
  readonly #lock: StoreLock | undefined;
  #released: Promise<void> | undefined;
  /** What opening found and did. */
  readonly recovery: Recovery;

  constructor(ports: PayloadStorePorts, options: PayloadStoreOptions, lock: StoreLock | undefined, recovery: Recovery) {
    super(ports, options);
    this.#lock = lock;
    this.recovery = recovery;
  }

  /** Tells other processes where this one serves the store: `LOCKED` errors name the URL. */
  async announce(holder: { readonly url: string }): Promise<void> {
    await this.#lock?.announce(holder);
  }

  override close(): Promise<void> {
    this.#released ??= super.close().finally(() => this.#lock?.release());
    return this.#released;
  }
}

/**
 * Opens the store in a folder, or makes one. One process writes it at a time, any number reads.
 *
 * @throws {PayloadStoreError} `LOCKED` while another process writes it, with its pid and URL; `CORRUPT`,
 *   `UNSUPPORTED_VERSION`; `INVALID` for an option that is unknown; `NOT_FOUND` with `readOnly` where there is no store
 *
 * Cost: one read of the saved index, and of what came after it; the payloads are not read.
 */
export async function openDisk(options: DiskOptions, machine: Partial<Machine> = {}): Promise<DiskStore> {
  checkOptions(options);
  const fs = machine.fs ?? new NodeFileSystem();
  const clock = machine.clock ?? systemClock;
  const random = machine.random ?? new SystemRandom();
  const layout = new Layout(resolve(options.directory));
  const digest = nodeDigest;
  const readOnly = options.readOnly ?? false;
  const ports = { fs, layout, clock, random, digest };

  let lock: StoreLock | undefined;
  try {
    if (readOnly && !fs.stat(layout.root)) throw noStore(layout);
    if (!readOnly) {
      await ensureDirectory(fs, layout.root, "new store");
      lock = await StoreLock.acquire(fs, layout, machine.pid ?? process.pid);
      if (options.rebuild) await setAside(ports);
    }
    let store: StoreFile | undefined = readStoreFile(ports);
    if (!store && readOnly) throw noStore(layout);
    if (!store) {
      store = await createStoreFile(ports);
    }
    if (!readOnly) await ensureDirectory(fs, layout.segments, "new store folder");

    const names = new SegmentNames(clock, random);
    const segmentBytesMax = options.segmentBytesMax ?? limits.segmentBytesMax;
    const segments = new DiskSegmentStore({
      ...ports,
      names,
      segmentBytesMax,
      syncWithinMs: syncWithinMs[options.durability ?? "safe"],
    });
    for (const { segment } of await segments.segments()) names.seen(segment);
    const { index, checkpoint } = openIndex(ports, segments, store);
    const writing = { segments, index, codecs: nodeCodecs, clock, random, digest };
    if (!readOnly)
      return new DiskStore(writing, options, lock, await recover({ ...ports, segments, index }, checkpoint));

    const following = new FollowingOffsetIndex({ inner: index, segments, fs, layout, nowMs: () => clock.nowMs() });
    const nothing = {
      segmentsScanned: 0,
      framesReplayed: 0,
      tailFramesKept: 0,
      tornBytes: 0,
      quarantined: [],
      damage: index.damage(),
    };
    return new DiskStore({ ...writing, index: following }, options, undefined, { checkpoint, ...nothing });
  } catch (error) {
    lock?.release();
    throw diskError(error, `opening ${layout.root} failed`);
  }
}

type IndexPorts = Pick<Machine, "fs"> & { readonly layout: Layout; readonly digest: typeof nodeDigest };

/** A damaged checkpoint is as good as none: the segments are read instead, and the next one takes its place. */
function openIndex(
  { fs, layout, digest }: IndexPorts,
  segments: DiskSegmentStore,
  { secret }: StoreFile,
): { index: DiskOffsetIndex; checkpoint: Recovery["checkpoint"] } {
  const make = () => {
    const reader = new FrameReader(segments, digest);
    return new DiskOffsetIndex({
      fs,
      layout,
      digest,
      secret,
      reader,
      durable: (tenant, segment) => segments.durable(tenant, segment),
      flush: () => segments.flush(),
    });
  };
  const index = make();
  const loaded = index.load();
  return loaded.kind === "damaged" ? { index: make(), checkpoint: "damaged" } : { index, checkpoint: loaded.kind };
}

function checkOptions(options: DiskOptions): void {
  const { durability = "safe", index = "memory" } = options;
  if (!Object.hasOwn(syncWithinMs, durability)) throw invalid("durability", `"safe", "balanced" or "fast"`, durability);
  if (index !== "memory") throw invalid("index", `"memory"`, index);
  if (typeof options.directory !== "string" || options.directory === "") {
    throw new PayloadStoreError("INVALID", "directory must name a folder", { details: { field: "directory" } });
  }
  if (options.readOnly && options.rebuild) {
    throw new PayloadStoreError("INVALID", "a store that is opened read-only cannot be rebuilt", {
      details: { field: "rebuild" },
    });
  }
}

function invalid(field: string, expected: string, found: unknown): PayloadStoreError {
  return new PayloadStoreError("INVALID", `${field} must be ${expected}; got ${JSON.stringify(found)}`, {
    details: { field },
  });
}

function noStore(layout: Layout): PayloadStoreError {
  return new PayloadStoreError("NOT_FOUND", `there is no store in ${layout.root}`, {
    details: { directory: layout.root },
  });
}
