import { littleEndian } from "../../index/checkpoint.ts";
import { carryRemovals } from "../../index/carry-marks.ts";
import type { RecoverableIndex } from "../../index/recoverable-index.ts";
import type { SegmentTable } from "../../index/segment-table.ts";
import { limits } from "../../limits.ts";
import type { IndexBounds } from "../../lsm/index-bounds.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Digest } from "../../ports/digest.ts";
import type { Random } from "../../ports/random.ts";
import { FrameReader } from "../../segment/read-frame.ts";
import type { SegmentDamage } from "../../segment/scan.ts";
import { diskError } from "./disk-error.ts";
import { DiskHashIndex } from "./disk-hash-index.ts";
import { DiskOffsetIndex } from "./disk-offset-index.ts";
import type { DiskSegmentStore } from "./disk-segment-store.ts";
import type { FileSystem } from "./file-system.ts";
import { removeFile } from "./files.ts";
import type { IndexGrowth } from "./index-growth.ts";
import type { Layout } from "./layout.ts";
import type { LossesFile } from "./losses-file.ts";
import { HeadRoom } from "./recent-heads.ts";
import { replayAll, type Recovery } from "./recover.ts";
import { SwitchingOffsetIndex, type Switching } from "./switching-offset-index.ts";

/** `memory`: typed arrays, whatever the size. `disk-hash`: typed arrays while they are small, then files. */
export type DiskIndexKind = "memory" | "disk-hash";

export interface DiskIndexOptions {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly digest: Digest;
  readonly random: Random;
  readonly clock: Clock;
  readonly segments: DiskSegmentStore;
  /** The store's secret, from `store.json`. */
  readonly secret: Uint8Array;
  readonly kind: DiskIndexKind;
  readonly bounds: IndexBounds;
  /** Never writes; takes the index that is there, of whichever kind. */
  readonly readOnly: boolean;
  readonly onGrowth: (growth: IndexGrowth) => void;
  /** What repairs found lost. */
  readonly losses: LossesFile;
  /** Sets what is saved aside, and begins with an empty index. What it knew to be missing is not forgotten. */
  readonly anew?: boolean | undefined;
}

export interface OpenedIndex {
  readonly index: SwitchingOffsetIndex;
  readonly checkpoint: Recovery["checkpoint"];
  /** The segments as they are saved now, by whoever writes. */
  readonly readSaved: () => SegmentTable;
  /** Makes the index anew from the segments and saves it. @returns how many pages they hold */
  readonly rebuild: () => Promise<number>;
  /** Takes up the index as it is saved now, or an empty one: for a reader that can go on with its own no more. */
  readonly reopen: () => Promise<void>;
}

/** Opens the index of a store as it was saved. Damage is said: the segments are read instead, and the next save takes its place. */
export async function openDiskIndex(options: DiskIndexOptions): Promise<OpenedIndex> {
  const { fs, layout, segments, kind, bounds, readOnly, losses } = options;
  const parts = {
    ...options,
    reader: new FrameReader(segments, options.digest, new HeadRoom()),
    durable: (tenant: string, segment: string) => segments.durable(tenant, segment),
    flush: () => segments.flush(),
    stop: (error: unknown) => segments.stop(diskError(error, "the index has no room and could not be saved")),
    onDamage: () => index.renewInTime(),
  };
  const accepting = <Index extends RecoverableIndex>(index: Index): Index => {
    index.acceptLosses(losses.accepted());
    return index;
  };
  const newPlain = () => accepting(new DiskOffsetIndex(parts));
  const newHash = () => accepting(new DiskHashIndex(parts));
  let growAt = bounds.plainKeysMax;
  let pagesReplayed = 0;

  const keysOf = ({ groupTable, idTable, termTable }: DiskOffsetIndex) =>
    groupTable.size + idTable.size + termTable.count;
  const switching: Switching = {
    isGrown: (current) =>
      kind === "disk-hash" &&
      littleEndian &&
      !readOnly &&
      current instanceof DiskOffsetIndex &&
      keysOf(current) > growAt,

    async grow(plain) {
      if (!(plain instanceof DiskOffsetIndex)) return plain;
      await plain.settled();
      const grown = await replayed(newHash(), plain).catch((error: unknown) => {
        growAt = keysOf(plain) * 1.25;
        throw error;
      });
      try {
        removeFile(fs, layout.checkpoint);
      } catch {
        // Where there is a manifest it is not read, and the next start removes it.
      }
      // What was lost before the plain index was made is not in the segments any more.
      for (const damage of plain.damage()) grown.noteDamage(damage);
      return grown;
    },

    async renew(old) {
      if (old instanceof DiskHashIndex) await old.retire();
      else if (old instanceof DiskOffsetIndex) await old.settled();
      try {
        if (!readOnly) setManifestAside(fs, layout);
        return await replayed(old instanceof DiskHashIndex && !readOnly ? newHash() : newPlain(), old);
      } catch (error) {
        // A page that is stored and that no index knows would be taken for another's sequence.
        if (old instanceof DiskHashIndex)
          segments.stop(diskError(error, "the index is damaged and could not be made anew"));
        throw error;
      }
    },

    letGo: (old) => {
      if (old instanceof DiskHashIndex) old.letGo();
    },

    giveUp: () => setManifestAside(fs, layout),
  };

  /** Fills an index from the segments, and saves it. */
  const replayed = async <Index extends DiskOffsetIndex | DiskHashIndex>(
    fresh: Index,
    before: RecoverableIndex,
  ): Promise<Index> => {
    try {
      const saved = readOnly ? readSaved() : undefined;
      const isRemoved = (tenant: string, segment: string) =>
        [before.segments, saved].some((table) => table?.find(tenant, segment)?.removed);
      pagesReplayed = await replayAll(segments, fresh, before, isRemoved);
      // A segment that goes meanwhile may be back after a power cut: what is saved has to say that it goes.
      carryRemovals(before, fresh);
      const lost = await lostWith(segments, before, isRemoved);
      for (const damage of [...losses.unaccepted(), ...lost]) fresh.noteDamage(damage);
      if (!readOnly) await fresh.checkpoint();
      return fresh;
    } catch (error) {
      if (fresh instanceof DiskHashIndex) {
        await fresh.retire();
        fresh.letGo();
      }
      throw error;
    }
  };

  const stored = (await segments.segments()).reduce((sum, { bytes }) => sum + bytes, 0);
  const isLarge = stored > limits.segmentBytesMax;
  const kinds = (kind === "disk-hash" || readOnly) && littleEndian ? { newPlain, newHash } : { newPlain };
  const missing = options.anew ? await setSavedAside(options, kinds) : [];
  const readSaved = () => {
    const saved = openSaved(options, kinds, false).index;
    switching.letGo(saved);
    return saved.segments;
  };
  const open = (known: readonly SegmentDamage[]) => {
    const saved = openSaved(options, kinds, isLarge && !readOnly);
    if (saved.checkpoint !== "loaded")
      for (const damage of [...known, ...losses.unaccepted()]) saved.index.noteDamage(damage);
    return saved;
  };
  const found = open(missing);
  if (!readOnly) await dropOthers(options, found);
  const index: SwitchingOffsetIndex = new SwitchingOffsetIndex(found.index, switching, options.random);
  return {
    index,
    checkpoint: found.checkpoint,
    readSaved,
    reopen: () => index.takeUp(() => open([]).index),
    rebuild: async () => {
      await index.renew();
      return pagesReplayed;
    },
  };
}

interface IndexKinds {
  readonly newPlain: () => DiskOffsetIndex;
  readonly newHash?: () => DiskHashIndex;
}

interface SavedIndex {
  readonly index: RecoverableIndex;
  readonly checkpoint: Recovery["checkpoint"];
}

/**
 * Where there are both, the manifest counts: it was written later, or says the same.
 * @param isLarge  the store will not fit typed arrays, so they are left out where no index was saved
 */
function openSaved({ fs, layout }: DiskIndexOptions, { newPlain, newHash }: IndexKinds, isLarge: boolean): SavedIndex {
  const hash = newHash?.();
  let checkpoint: Recovery["checkpoint"] = hash?.load().kind ?? "none";
  if (hash && checkpoint === "loaded") return { index: hash, checkpoint };
  if (checkpoint === "none" && !fs.stat(layout.manifest)) {
    const plain = newPlain();
    checkpoint = plain.load().kind;
    if (checkpoint === "loaded") return { index: plain, checkpoint };
  }
  return { index: newHash && isLarge ? newHash() : newPlain(), checkpoint };
}

/**
 * Leaves no saved index but the one that was opened, for good. Another one may be older than a segment's removal, and than the
 * groups of which nothing was left then: their pages are numbered from 1 again. Were it read after a power cut, it would
 * take what was committed since for what it knows.
 */
async function dropOthers({ fs, layout }: DiskIndexOptions, { index, checkpoint }: SavedIndex): Promise<void> {
  if (!fs.stat(layout.index)) return;
  for (const file of [layout.manifest, layout.checkpoint]) {
    const isOpened = checkpoint === "loaded" && index instanceof DiskHashIndex === (file === layout.manifest);
    if (isOpened || !fs.stat(file)) continue;
    if (checkpoint === "damaged") fs.rename(file, `${file}.damaged`);
    else fs.unlink(file);
  }
  // Also of what a process before this one has moved or removed, and was ended.
  await fs.syncDirectory(layout.index, "old index");
}

/** What an index knows to be lost in segments that are gone: the others tell by themselves what they have lost. */
async function lostWith(
  segments: DiskSegmentStore,
  before: RecoverableIndex,
  isRemoved: (tenant: string, segment: string) => boolean,
): Promise<SegmentDamage[]> {
  const there = new Set((await segments.segments()).map(({ tenant, segment }) => `${tenant}/${segment}`));
  const isGone = ({ tenant, segment }: { tenant: string; segment: string }) => !there.has(`${tenant}/${segment}`);
  const known = before.damage().filter(isGone);
  const gone = before.segmentStates().filter((state) => {
    const isNeeded = !isRemoved(state.tenant, state.segment) && state.supersededMs === undefined && state.bytes > 0;
    return (
      isNeeded &&
      isGone(state) &&
      !known.some(({ tenant, segment }) => tenant === state.tenant && segment === state.segment)
    );
  });
  const reason = "the segment is gone";
  return [
    ...known,
    ...gone.map(({ tenant, segment, bytes }) => ({ tenant, segment, start: 0, end: bytes, reason, frames: undefined })),
  ];
}

/** Moves the saved index out of the way, as `….damaged`. @returns what it knew to be lost */
async function setSavedAside(options: DiskIndexOptions, kinds: IndexKinds): Promise<SegmentDamage[]> {
  const { fs, layout, segments } = options;
  const { index } = openSaved(options, kinds, false);
  const isRemoved = (tenant: string, segment: string) => index.segments.find(tenant, segment)?.removed === true;
  const lost = await lostWith(segments, index, isRemoved);
  if (index instanceof DiskHashIndex) index.letGo();
  setManifestAside(fs, layout);
  if (fs.stat(layout.checkpoint)) fs.rename(layout.checkpoint, `${layout.checkpoint}.damaged`);
  return lost;
}

/** What is there is not read again; the next save takes its place. */
export function setManifestAside(fs: FileSystem, layout: Layout): void {
  if (fs.stat(layout.manifest)) fs.rename(layout.manifest, `${layout.manifest}.damaged`);
}
