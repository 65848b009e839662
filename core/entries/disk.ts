import { openDiskIndex, type DiskIndexKind } from "../adapters/disk/disk-index.ts";
import { DiskErasureLedger } from "../adapters/disk/disk-erasure-ledger.ts";
import { DiskSegmentStore } from "../adapters/disk/disk-segment-store.ts";
import { DiskUploads } from "../adapters/disk/disk-uploads.ts";
import { diskError } from "../adapters/disk/disk-error.ts";
import type { FileSystem } from "../adapters/disk/file-system.ts";
import { ensureDirectory } from "../adapters/disk/files.ts";
import { FollowingOffsetIndex } from "../adapters/disk/following-offset-index.ts";
import type { IndexGrowth } from "../adapters/disk/index-growth.ts";
import { Layout } from "../adapters/disk/layout.ts";
import { NodeFileSystem } from "../adapters/disk/node-file-system.ts";
import { LossesFile } from "../adapters/disk/losses-file.ts";
import { HeadRoom, RecentHeads } from "../adapters/disk/recent-heads.ts";
import { recover, type Recovery } from "../adapters/disk/recover.ts";
import { type Repairing, repairStore } from "../adapters/disk/repair.ts";
import { mendStoreFile } from "../adapters/disk/mend-store-file.ts";
import { StoreLock } from "../adapters/disk/store-lock.ts";
import { createStoreFile, readStoreFile } from "../adapters/disk/store-file.ts";
import { systemClock } from "../adapters/node/clock.ts";
import { nodeDigest } from "../adapters/node/digest.ts";
import { SystemRandom } from "../adapters/node/random.ts";
import { BlockCache } from "../block-cache.ts";
import { PayloadStoreError } from "../errors.ts";
import { limits } from "../limits.ts";
import { indexBounds, type IndexBounds } from "../lsm/index-bounds.ts";
import { checkKnown } from "../known-options.ts";
import { PayloadStore, storeOptions, type PayloadStoreOptions, type PayloadStorePorts } from "../payload-store.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { RepairOptions, RepairReport } from "../repair/report.ts";
import { SegmentNames } from "../segment/name.ts";
import type { SegmentDamage } from "../segment/scan.ts";
import type { VerifyOptions } from "../verify/report.ts";
import { resolve } from "node:path";
import { localCompaction } from "./local-compaction.ts";
import { nodeCodecs } from "./node-codecs.ts";

export * from "../index.ts";
export type { IndexGrowth } from "../adapters/disk/index-growth.ts";
export type { Recovery } from "../adapters/disk/recover.ts";
export type { Loss } from "../repair/loss.ts";
export type { MendedFile, RepairOptions, RepairReport } from "../repair/report.ts";

export interface DiskOptions extends PayloadStoreOptions {
  /** The store's folder. Made if it is not there, unless `readOnly`. */
  readonly directory: string;
  /**
   * `safe`, the default: an append resolves once its bytes are on the disk. `balanced` and `fast` resolve before that, by
   * at most 100 and 1,000 ms: a power cut loses what was acknowledged in that time, a killed process loses nothing.
   */
  readonly durability?: Durability | undefined;
  /**
   * `disk-hash`, the default: typed arrays while the store is small, files with 11 bits of memory a key beyond.
   * `memory`: typed arrays, saved as a checkpoint, whatever the size. A store that was written with one opens with the other.
   */
  readonly index?: DiskIndexKind | undefined;
  /** Called when the store has reached 1, 5 and 10 million payloads, once each, with what its on-disk index takes. */
  readonly onIndexGrowth?: ((growth: IndexGrowth) => void) | undefined;
  /** Opens beside a process that writes, and sees what it acknowledges. Takes no lock and changes nothing. */
  readonly readOnly?: boolean | undefined;
  /** Called before each segment that opening looks at, with how many of how many are done: with `rebuild` it reads all of them. */
  readonly onProgress?: ((done: { readonly segments: number; readonly ofSegments: number }) => void) | undefined;
  /** Sets the saved index aside and makes it, and a damaged `store.json`, anew from the segments. */
  readonly rebuild?: boolean | undefined;
  /** Memory for what was read last, in bytes, 32 MiB by default; 0 keeps nothing. Reads take it as they need it. */
  readonly cacheBytes?: number | undefined;
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
  /** Makes the parts of an on-disk index small. */
  readonly indexBounds?: Partial<IndexBounds>;
}

/** What a rebuild found. */
export interface Rebuild {
  /** Commits that the segments hold. */
  readonly pages: number;
  readonly damage: readonly SegmentDamage[];
}

interface DiskParts {
  readonly lock?: StoreLock | undefined;
  readonly recovery: Recovery;
  /** Makes a new index from the segments and puts it in the place of the old one. */
  readonly rebuild: () => Promise<Rebuild>;
  readonly repair: (store: Repairing, options: RepairOptions) => Promise<RepairReport>;
}

/** A store in one folder. */
export class DiskStore extends PayloadStore {
  readonly #parts: DiskParts;
  #released: Promise<void> | undefined;
  /** What opening found and did. */
  readonly recovery: Recovery;

  constructor(ports: PayloadStorePorts, options: PayloadStoreOptions, parts: DiskParts) {
    super(ports, options);
    this.#parts = parts;
    this.recovery = parts.recovery;
  }

  /** Tells other processes where this one serves the store: `LOCKED` errors name the URL. */
  async announce(holder: { readonly url: string }): Promise<void> {
    await this.#parts.lock?.announce(holder);
  }

  /**
   * Makes the index anew from the segments, which suffice, and saves it. Reads go on meanwhile, writes wait.
   * Cost: reads every page of the store, no payload.
   */
  rebuildIndex(): Promise<Rebuild> {
    return this.withoutWrites(() => this.#parts.rebuild());
  }

  /**
   * Sets damage aside, and serves the rest: damaged segments go to `quarantine/`, and others of the same names, without what is
   * damaged, take their places. What was lost stays `CORRUPT` until it is accepted, also when the index is made anew.
   * docs/operations.md. Writes wait while it works on segments.
   *
   * @throws {PayloadStoreError} `UNAVAILABLE`; it may be done again
   * Cost: reads everything, writes the damaged segments twice; the index anew with `acceptLoss`.
   */
  async repair(options: RepairOptions = {}): Promise<RepairReport> {
    const repairing = {
      inside: this.inside,
      verify: (wish: VerifyOptions) => this.verify(wish),
      withoutWrites: <T>(work: () => Promise<T>) => this.withoutWrites(work),
    };
    try {
      return await this.#parts.repair(repairing, options);
    } catch (error) {
      throw diskError(error, "the repair failed; what it did is kept, and it may be done again");
    }
  }

  override close(): Promise<void> {
    this.#released ??= super.close().finally(() => this.#parts.lock?.release());
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
      if (options.rebuild) await mendStoreFile(ports);
    }
    const known = readStoreFile(ports);
    if (!known && readOnly) throw noStore(layout);
    const { secret } = known ?? (await createStoreFile(ports));
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
    const losses = LossesFile.open(ports);
    const { index, checkpoint, rebuild, readSaved, reopen } = await openDiskIndex({
      ...ports,
      losses,
      anew: options.rebuild,
      segments,
      secret,
      kind: options.index ?? "disk-hash",
      bounds: { ...indexBounds, ...machine.indexBounds },
      readOnly,
      onGrowth: (growth) => options.onIndexGrowth?.(growth),
    });
    // Also those that are gone: cursors of a find tell by names what is behind them, whatever the clock says.
    for (const { segment } of index.segmentStates()) names.seen(segment);
    const uploads = new DiskUploads({ fs, layout });
    const caches = cachesOf(options.cacheBytes ?? limits.cacheBytes);
    const erasures = new DiskErasureLedger(ports);
    const writing = { segments, uploads, erasures, codecs: nodeCodecs, clock, random, digest, losses, ...caches };
    if (readOnly) {
      const following = new FollowingOffsetIndex({
        inner: index,
        segments,
        fs,
        layout,
        readSaved,
        reopen,
        nowMs: () => clock.nowMs(),
      });
      // It plans, and no more; so does a repair.
      const compaction = localCompaction({ ...writing, index });
      const planned = { ...ports, ...writing, index, rebuild: refuseReadOnly };
      return new DiskStore({ ...writing, index: following, compaction }, options, {
        recovery: { ...nothingDone, checkpoint, damage: index.damage() },
        rebuild: refuseReadOnly,
        repair: (repairing, wish) => (wish.dryRun === true ? repairStore(planned, repairing, wish) : refuseReadOnly()),
      });
    }
    const { onProgress } = options;
    const recovery = await recover({ ...ports, segments, index, codecs: nodeCodecs, onProgress }, checkpoint);
    const compaction = localCompaction({ ...writing, index });
    return new DiskStore({ ...writing, index, compaction }, options, {
      lock,
      recovery,
      rebuild: async () => ({ pages: await rebuild(), damage: index.damage() }),
      repair: (repairing, wish) => repairStore({ ...ports, ...writing, index, rebuild }, repairing, wish),
    });
  } catch (error) {
    lock?.release();
    throw diskError(error, `opening ${layout.root} failed`);
  }
}

/**
 * Up to three quarters for heads, and what they leave for blocks: of a commit's payloads, all need its head, and a kilobyte of it
 * spares random reads more than one of blocks does.
 */
function cachesOf(cacheBytes: number): Pick<PayloadStorePorts, "heads" | "blocks"> {
  if (cacheBytes === 0) return { heads: new HeadRoom(), blocks: new BlockCache(nodeCodecs, 0) };
  const blocks: BlockCache = new BlockCache(nodeCodecs, Math.floor(cacheBytes / 4), () => cacheBytes - heads.bytes);
  const heads: RecentHeads = new RecentHeads(Math.floor((3 * cacheBytes) / 4), () => blocks.giveWay());
  return { heads, blocks };
}

const nothingDone = { segmentsScanned: 0, framesReplayed: 0, tailFramesKept: 0, tornBytes: 0, quarantined: [] };

const known: Readonly<Record<keyof DiskOptions, true>> = {
  directory: true,
  durability: true,
  index: true,
  onIndexGrowth: true,
  rebuild: true,
  onProgress: true,
  cacheBytes: true,
  segmentBytesMax: true,
  ...storeOptions,
};

function checkOptions(options: DiskOptions): void {
  checkKnown(options, known);
  const { durability = "safe", index = "disk-hash" } = options;
  if (!Object.hasOwn(syncWithinMs, durability)) throw invalid("durability", `"safe", "balanced" or "fast"`, durability);
  if (index !== "memory" && index !== "disk-hash") throw invalid("index", `"memory" or "disk-hash"`, index);
  const { segmentBytesMax = limits.segmentBytesMax, cacheBytes = limits.cacheBytes } = options;
  if (!Number.isSafeInteger(cacheBytes) || cacheBytes < 0) throw invalid("cacheBytes", "a whole number", cacheBytes);
  if (!Number.isSafeInteger(segmentBytesMax) || segmentBytesMax < 1 || segmentBytesMax > limits.segmentBytesMax) {
    throw invalid("segmentBytesMax", `1–${limits.segmentBytesMax} bytes`, segmentBytesMax);
  }
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

function refuseReadOnly(): Promise<never> {
  return Promise.reject(new PayloadStoreError("INVALID", "the store was opened read-only"));
}

function noStore(layout: Layout): PayloadStoreError {
  return new PayloadStoreError("NOT_FOUND", `there is no store in ${layout.root}`, {
    details: { directory: layout.root },
  });
}
