import type { CommitLanes, DecidedDraft, PageDraft } from "../commit-lanes.ts";
import { PayloadStoreError } from "../errors.ts";
import { isExpired } from "../expiry.ts";
import type { PlacedPayload } from "../group-view.ts";
import type { Lookup } from "../lookup.ts";
import {
  decodePage,
  type FirstPlace,
  type MergedPages,
  type MergedRequest,
  type PageEntry,
  type Tier,
} from "../page/page.ts";
import type { Basis, OffsetIndex, PageRecord } from "../ports/offset-index.ts";
import { isStrayFrame } from "../segment/stray.ts";
import type { RetentionRules } from "../retention.ts";
import { countExpired, type Expired, noneExpired } from "./expired-count.ts";
import type { GrowingBases } from "./growing-bases.ts";
import type { MergeRoom } from "./merge-room.ts";
import { type BlockTools, mergedBlocks } from "./merged-blocks.ts";

/** What merging the pages of a group needs. */
export interface MergeTools extends BlockTools {
  readonly index: OffsetIndex;
  readonly lanes: CommitLanes;
  readonly lookup: Lookup;
  readonly retention: RetentionRules;
  readonly nowMs: () => number;
}

export interface MergeWish {
  /** Pages up to this sequence have to be merged. */
  readonly through: number;
  /** Whether pages that lie in a segment may be merged too, where the group is small. */
  readonly mayMerge: (segment: string) => boolean;
  readonly requests: readonly MergedRequest[];
  readonly tier: Tier;
  readonly bases: GrowingBases;
  /** What payloads of all groups may take while they are merged. */
  readonly room: MergeRoom;
  /** Whether there is time and room for one page more. Throws when it is to end. */
  readonly mayGoOn: () => boolean;
}

export interface Merged {
  readonly pages: number;
  readonly payloads: number;
  /** Bytes of blocks that were written. */
  readonly bytes: number;
  readonly expired: Readonly<Expired>;
  /** Segments that it was written to. */
  readonly into: ReadonlySet<string>;
  /** False where it ended early, and the rest is left for another time. */
  readonly isWhole: boolean;
}

/** Payloads of one merged page: what it holds is in memory once, raw, and once encoded. */
export const mergedBytesMax = 8_388_608;

/** Its page is decoded and taken into the index in one go: some 5 ms. */
const mergedPayloadsMax = 1_000;

/** Writers that overwrite what is being merged make it begin again, so often. */
const attemptsMax = 4;

/**
 * Writes the live payloads of a group's older pages again, in the group's order, and commits them as pages of their own
 * that hide the older ones. Nothing of the group changes for readers.
 *
 * Cost: a commit for each {@link mergedBytesMax} of payloads; reads what is alive, and the heads of all pages.
 * @throws {PayloadStoreError} `CORRUPT` when something that is alive is damaged: it is left where it lies; `CONFLICT` when
 *   writers changed the group again and again
 */
export async function mergeGroup(
  tools: MergeTools,
  { tenant, group }: { readonly tenant: string; readonly group: string },
  wish: MergeWish,
): Promise<Merged> {
  const merged = { pages: 0, payloads: 0, bytes: 0, expired: noneExpired(), into: new Set<string>() };
  let { requests } = wish;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    if (!wish.mayGoOn()) return { ...merged, isWhole: false };
    await tools.pause();
    const { view, records, basis } = await tools.lookup.view(tenant, group, tools.pause);
    const nowMs = tools.nowMs();
    const { live = [], over = [] } = Object.groupBy(view.places(), ({ found }) =>
      isExpired(found.entry, nowMs) ? "over" : "live",
    );
    const upTo = newestToMerge(records, live, basis, wish);
    if (upTo === 0 && requests.length === 0) return { ...merged, isWhole: true };
    const chunk = nextChunk(live, upTo);
    const made = { ...chunk, requests, tier: wish.tier };
    const { draft, committed } = await wish.room.within(bytesInMemory(chunk.payloads), async () => {
      const draft = await draftOf(tools, tenant, made, wish.bases);
      const committed = await tools.lanes
        .decide(tenant, group, () => stillHolds(tools, { tenant, group }, draft, basis), "compaction")
        .catch((error: unknown) => {
          // The segment that it rests in was sealed meanwhile: it is made anew for the next one.
          if (isStrayFrame(error)) return undefined;
          throw error;
        });
      return { draft, committed };
    });
    if (!committed) continue;
    await wish.bases.wrote(tenant, committed.place, draft.blocks);
    merged.pages += 1;
    merged.into.add(committed.place.segment);
    merged.payloads += draft.entries.length;
    for (const { body } of draft.blocks) merged.bytes += body.length;
    for (const { page, found } of over) {
      if (page.sequence > chunk.through) continue;
      countExpired(merged.expired, tools.retention, tenant, found.entry, found.entry.origin?.timeMs ?? page.timeMs);
    }
    requests = [];
    if (chunk.through >= wish.through) return { ...merged, isWhole: true };
    // There is more of it: it went on, so it may be disturbed anew.
    attempt = -1;
  }
  throw new PayloadStoreError(
    "CONFLICT",
    `group ${JSON.stringify(group)} changed ${attemptsMax} times while it was merged`,
  );
}

/** What lies in an upload stays there. */
function bytesInMemory(payloads: readonly PlacedPayload[]): number {
  return payloads.reduce((sum, { found }) => sum + (found.upload === undefined ? found.entry.bytes : 0), 0);
}

/** The newest page that is merged: all that may be of a group that fits one page, else what has to be. */
function newestToMerge(
  records: readonly PageRecord[],
  live: readonly PlacedPayload[],
  basis: Basis,
  wish: MergeWish,
): number {
  const bytes = live.reduce((sum, { found }) => sum + found.entry.bytes, 0);
  const isSmall = bytes <= mergedBytesMax && live.length <= mergedPayloadsMax;
  // Without a payload nothing keeps its newest page from going too.
  if (live.length === 0) return basis.sequence;
  const mayGo = records.find(({ place }) => isSmall && wish.mayMerge(place.segment))?.sequence ?? 0;
  // A segment may hold a page that is about to be committed: what the index does not know yet is not hidden.
  const mustGo = Math.min(wish.through, basis.sequence);
  return Math.max(mayGo, records.some(({ sequence }) => sequence <= mustGo) ? mustGo : 0);
}

interface Chunk {
  readonly payloads: readonly PlacedPayload[];
  readonly through: number;
  readonly order: readonly FirstPlace[];
}

/** The payloads of the oldest pages, as many as fit one page, and up to which page they are all there is. */
function nextChunk(live: readonly PlacedPayload[], upTo: number): Chunk {
  const oldestFirst = live.toSorted((a, b) => a.page.sequence - b.page.sequence);
  const payloads: PlacedPayload[] = [];
  let bytes = 0;
  let next: PlacedPayload | undefined;
  for (const payload of oldestFirst) {
    const { found } = payload;
    bytes += found.entry.bytes;
    const isFull = payloads.length === mergedPayloadsMax || bytes > mergedBytesMax;
    // What lies in an upload has a page to itself.
    const isApart = found.upload !== undefined || payloads[0]?.found.upload !== undefined;
    next = payload;
    if (payload.page.sequence > upTo || (payloads.length > 0 && (isFull || isApart))) break;
    payloads.push(payload);
    next = undefined;
  }
  const through = next ? Math.min(upTo, next.page.sequence - 1) : upTo;
  const taken = new Set(payloads);
  const order = live.filter((payload) => payload.sequence <= through && !taken.has(payload));
  return {
    // In the order of the group, so that who reads it all reads on.
    payloads: live.filter((payload) => taken.has(payload)),
    through,
    order: order.map(({ sequence, position, found }) => ({ id: found.entry.id, sequence, position })),
  };
}

async function draftOf(
  tools: MergeTools,
  tenant: string,
  { payloads, ...merged }: Chunk & { readonly requests: readonly MergedRequest[]; readonly tier: Tier },
  bases: GrowingBases,
): Promise<MergeDraft> {
  const entries = payloads.map(({ found: { entry }, page, sequence, position }): PageEntry => ({
    ...entry,
    origin: { timeMs: entry.origin?.timeMs ?? page.timeMs, sequence, position },
  }));
  const [first] = payloads;
  if (first?.found.upload !== undefined) {
    const upload = { name: first.found.upload, blocks: first.found.blocks };
    return { entries, merged, blocks: [], upload };
  }
  const base = bases.of(tenant);
  const as = { tier: merged.tier, base, forBase: bases.wants(tenant) };
  const blocks = await mergedBlocks(tools, tenant, payloads, as);
  const restsIn = blocks.some(({ resting }) => resting) ? base?.segment : undefined;
  return { entries, merged, blocks, restsIn };
}

type MergeDraft = PageDraft & { readonly merged: MergedPages };

/**
 * Whether what was read to make a draft is still so, in the lane, where nothing else changes the group: pages that came
 * since must not say anything of its payloads.
 */
async function stillHolds(
  { index, frames }: MergeTools,
  { tenant, group }: { readonly tenant: string; readonly group: string },
  draft: MergeDraft,
  basis: Basis,
): Promise<DecidedDraft | undefined> {
  const now = await index.records(tenant, group);
  const ids = new Set([...draft.entries, ...draft.merged.order].map(({ id }) => id));
  for (const { sequence, place } of now.records) {
    if (sequence <= basis.sequence) break;
    const page = await frames.look(tenant, place, (head) => decodePage(head.page));
    if (!page.ok || page.value.clearsGroup || page.value.merged) return undefined;
    if (page.value.deleted.some((id) => ids.has(id)) || page.value.entries.some(({ id }) => ids.has(id)))
      return undefined;
  }
  return { draft, basis: now.basis };
}
