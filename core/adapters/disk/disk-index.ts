import { littleEndian } from "../../index/checkpoint.ts";
import type { RecoverableIndex } from "../../index/recoverable-index.ts";
import { limits } from "../../limits.ts";
import type { IndexBounds } from "../../lsm/index-bounds.ts";
import type { Digest } from "../../ports/digest.ts";
import type { Random } from "../../ports/random.ts";
import { FrameReader } from "../../segment/read-frame.ts";
import { diskError } from "./disk-error.ts";
import { DiskHashIndex } from "./disk-hash-index.ts";
import { DiskOffsetIndex } from "./disk-offset-index.ts";
import type { DiskSegmentStore } from "./disk-segment-store.ts";
import type { FileSystem } from "./file-system.ts";
import { removeFile } from "./files.ts";
import type { IndexGrowth } from "./index-growth.ts";
import type { Layout } from "./layout.ts";
import { replayAll, type Recovery } from "./recover.ts";
import { SwitchingOffsetIndex, type Switching } from "./switching-offset-index.ts";

/** `memory`: typed arrays, whatever the size. `disk-hash`: typed arrays while they are small, then files. */
export type DiskIndexKind = "memory" | "disk-hash";

export interface DiskIndexOptions {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly digest: Digest;
  readonly random: Random;
  readonly segments: DiskSegmentStore;
  /** The store's secret, from `store.json`. */
  readonly secret: Uint8Array;
  readonly kind: DiskIndexKind;
  readonly bounds: IndexBounds;
  /** Never writes; takes the index that is there, of whichever kind. */
  readonly readOnly: boolean;
  readonly onGrowth: (growth: IndexGrowth) => void;
}

export interface OpenedIndex {
  readonly index: SwitchingOffsetIndex;
  readonly checkpoint: Recovery["checkpoint"];
  /** Makes the index anew from the segments and saves it. @returns how many pages they hold */
  readonly rebuild: () => Promise<number>;
}

/** Opens the index of a store as it was saved. Damage is said: the segments are read instead, and the next save takes its place. */
export async function openDiskIndex(options: DiskIndexOptions): Promise<OpenedIndex> {
  const { fs, layout, segments, kind, bounds, readOnly } = options;
  const parts = {
    ...options,
    reader: new FrameReader(segments, options.digest),
    durable: (tenant: string, segment: string) => segments.durable(tenant, segment),
    flush: () => segments.flush(),
    stop: (error: unknown) => segments.stop(diskError(error, "the index has no room and could not be saved")),
    onDamage: () => index.renewInTime(),
  };
  const newPlain = () => new DiskOffsetIndex(parts);
  const newHash = () => new DiskHashIndex(parts);
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
      removeFile(fs, layout.checkpoint);
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
      pagesReplayed = await replayAll(segments, fresh, before);
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
  const found = openSaved(kinds, isLarge && !readOnly);
  const index: SwitchingOffsetIndex = new SwitchingOffsetIndex(found.index, switching, options.random);
  return {
    index,
    checkpoint: found.checkpoint,
    rebuild: async () => {
      await index.renew();
      return pagesReplayed;
    },
  };
}

/** @param isLarge  the store will not fit typed arrays, so they are left out where no index was saved */
function openSaved(
  { newPlain, newHash }: { readonly newPlain: () => DiskOffsetIndex; readonly newHash?: () => DiskHashIndex },
  isLarge: boolean,
): { readonly index: RecoverableIndex; readonly checkpoint: Recovery["checkpoint"] } {
  const hash = newHash?.();
  let checkpoint: Recovery["checkpoint"] = hash?.load().kind ?? "none";
  if (hash && checkpoint === "loaded") return { index: hash, checkpoint };
  if (checkpoint === "none") {
    const plain = newPlain();
    checkpoint = plain.load().kind;
    if (checkpoint === "loaded") return { index: plain, checkpoint };
  }
  return { index: newHash && isLarge ? newHash() : newPlain(), checkpoint };
}

/** What is there is not read again; the next save takes its place. */
export function setManifestAside(fs: FileSystem, layout: Layout): void {
  if (fs.stat(layout.manifest)) fs.rename(layout.manifest, `${layout.manifest}.damaged`);
}
