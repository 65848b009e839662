import { hex } from "../../bytes.ts";
import { PayloadStoreError } from "../../errors.ts";
import { rowTimes } from "../../compaction/row-times.ts";
import { decodePage } from "../../page/page.ts";
import { limits } from "../../limits.ts";
import type { OffsetIndex } from "../../ports/offset-index.ts";
import type { FramePlace, SegmentStore } from "../../ports/segment-store.ts";
import type { SegmentDamage } from "../../segment/scan.ts";
import { segmentTimeMs } from "../../segment/name.ts";
import { FrameReader } from "../../segment/read-frame.ts";
import type { Digest } from "../../ports/digest.ts";

export interface TableRebuild {
  /** Commits that were found in segments and are in the table now. */
  readonly pages: number;
  readonly groups: number;
  readonly damage: readonly SegmentDamage[];
}

export interface RebuildOptions {
  /** Goes on with a rebuild that was interrupted: the table may hold what that one committed. */
  readonly resume?: boolean | undefined;
}

interface FoundFrame {
  readonly sequence: number;
  /** Of the page: a local store may hold a page twice, when a recovery appended it again. */
  readonly commitId: string;
  readonly place: FramePlace;
  /** Of a merged page: older pages up to this sequence are not needed. */
  readonly through: number;
  /** The page, where there was room to keep it: else it is read again when its turn comes. */
  readonly page?: Uint8Array | undefined;
}

/** Rows put at the same time. */
const puttingMax = 16;

/**
 * Commits every frame of every segment to an empty index. One that lost its race for good, or was never committed, cannot be
 * told from the others and is taken in.
 *
 * @param pageBytesMax  pages that it keeps between reading the segments and committing them, in bytes
 * Cost: a GET for each 8 MiB of the segments, and one for each page beyond those that there is room to keep; a write for each page.
 */
export async function rebuildTable(
  segments: SegmentStore,
  index: OffsetIndex,
  digest: Digest,
  options: RebuildOptions = {},
  pageBytesMax: number = limits.rebuildPageBytesMax,
): Promise<TableRebuild> {
  if (options.resume !== true) {
    for await (const { tenant, group } of index.all()) throw notEmpty(tenant, group);
  }
  const damage: SegmentDamage[] = [];
  const groups = new Map<string, Map<string, FoundFrame>>();
  let keptBytes = 0;
  for (const { tenant, segment } of await segments.segments()) {
    const scan = await segments.scan(tenant, segment);
    damage.push(...scan.damage);
    const end = scan.sealed ? scan.size : scan.acknowledgedBytes;
    for (const { group, sequence, offset, headBytes, page } of scan.frames) {
      if (offset >= end) continue;
      const name = `${tenant}/${group}`;
      const found = groups.get(name) ?? new Map<string, FoundFrame>();
      const commitId = commitIdOf(page);
      const read = decodePage(page);
      const through = read.ok ? (read.value.merged?.through ?? 0) : 0;
      const keeps = keptBytes + page.length <= pageBytesMax;
      if (keeps) keptBytes += page.length;
      const place = { segment, offset, headBytes };
      // Of a page that is held twice the newer frame counts.
      found.set(commitId, { sequence, commitId, place, through, page: keeps ? page : undefined });
      groups.set(name, found);
    }
  }
  const frames = new FrameReader(segments, digest);
  const pageOf = async (tenant: string, { place, page: kept }: FoundFrame) => {
    const page = decodePage(kept ?? (await frames.head(tenant, place)).page);
    if (page.ok) return page.value;
    throw new PayloadStoreError("CORRUPT", `segment ${tenant}/${place.segment}: ${page.damage}`);
  };
  let pages = 0;
  const commitAll = async ([name, found]: [string, Map<string, FoundFrame>]) => {
    const at = name.indexOf("/");
    const [tenant, group] = [name.slice(0, at), name.slice(at + 1)];
    for (const [i, frame] of inOrder(needed([...found.values()])).entries()) {
      const record = { tenant, group, sequence: i + 1, place: frame.place };
      const outcome = await index.commit(record, await pageOf(tenant, frame));
      if (outcome.kind === "taken") throw notEmpty(tenant, group);
      pages += 1;
    }
  };
  const waiting = [...groups].values();
  await Promise.all(
    Array.from({ length: puttingMax }, async () => {
      for (const group of waiting) await commitAll(group);
    }),
  );
  return { pages, groups: groups.size, damage };
}

/**
 * Leaves out frames that a merged page took the place of. One that a single writer made knows them by their sequences. Where several
 * write, a frame says which sequence was hoped for; but then none that was younger than {@link rowTimes.restMs} was taken.
 *
 * @param found  by their segments, oldest first
 */
export function needed<Frame extends Pick<FoundFrame, "sequence" | "through" | "place">>(
  found: readonly Frame[],
): readonly Frame[] {
  return found.filter(({ sequence, place }, i) => {
    const restedMs = segmentTimeMs(place.segment) + rowTimes.restMs;
    return !found
      .slice(i + 1)
      .some(
        (merged) =>
          sequence <= merged.through &&
          (merged.sequence > merged.through || segmentTimeMs(merged.place.segment) >= restedMs),
      );
  });
}

/**
 * The frames of a group as they were committed, as far as they tell: in the order of their segments' names, which is that of
 * their writers' clocks, but none before as many as its writer knew of. A frame's sequence is what was hoped for when it was
 * stored: it may have become a later one. Where frames are missing, which lay in rows alone, names decide by themselves.
 *
 * @param found  by their segments, oldest first
 */
export function inOrder<Frame extends { readonly sequence: number }>(found: readonly Frame[]): readonly Frame[] {
  const waiting = [...found];
  const ordered: Frame[] = [];
  while (waiting.length > 0) {
    const next = waiting.findIndex(({ sequence }) => sequence <= ordered.length + 1);
    if (next < 0) return found;
    ordered.push(...waiting.splice(next, 1));
  }
  return ordered;
}

/** The commit id follows version and flags: docs/format.md §7. */
function commitIdOf(page: Uint8Array): string {
  return hex(page.subarray(2, 18));
}

function notEmpty(tenant: string, group: string): PayloadStoreError {
  const message = `the table holds group ${JSON.stringify(group)} of tenant ${tenant} already: rebuild into an empty table`;
  return new PayloadStoreError("EXISTS", message, { details: { tenant, group } });
}
