import type { CommitLanes, DecidedDraft } from "../commit-lanes.ts";
import { isPayloadStoreError } from "../errors.ts";
import { GroupView, type PlacedPayload } from "../group-view.ts";
import { limits } from "../limits.ts";
import { findInPage } from "../page/find-in-page.ts";
import { decodePlacedPage } from "../page/page.ts";
import type { RecoverableIndex } from "../index/recoverable-index.ts";
import type { FramePlace } from "../ports/segment-store.ts";
import type { FrameHead, FrameReader } from "../segment/read-frame.ts";

/** What of a group is lost although some of it may be read. */
export interface LostOf {
  readonly isPageLost: (place: FramePlace) => boolean;
  /** Of a page that is whole. */
  readonly isPayloadLost: (payload: PlacedPayload) => boolean;
}

export interface PinTools {
  readonly index: RecoverableIndex;
  readonly frames: FrameReader;
  readonly lanes: CommitLanes;
}

/**
 * Commits what only the index still knows of a group that has lost pages: ids that were overwritten or deleted by a page that is
 * lost are deleted once more, and so are those whose bytes are damaged. Made of its whole pages alone, the group would bring
 * older values back.
 *
 * @returns the ids that are deleted now
 */
export async function pinGroup(tools: PinTools, tenant: string, group: string, lost: LostOf): Promise<string[]> {
  const gone: string[] = [];
  for (;;) {
    let deleted: string[] = [];
    await tools.lanes.decide(tenant, group, async (): Promise<DecidedDraft | undefined> => {
      deleted = (await stale(tools, tenant, group, lost)).slice(0, limits.commitPayloadsMax);
      if (deleted.length === 0) return undefined;
      const { basis } = await tools.index.count(tenant, group);
      return { draft: { deleted, entries: [], blocks: [] }, basis };
    });
    gone.push(...deleted);
    if (deleted.length < limits.commitPayloadsMax) return gone;
  }
}

/** Ids that the whole pages show, and that the index does not lead to. */
async function stale({ index, frames }: PinTools, tenant: string, group: string, lost: LostOf): Promise<string[]> {
  const view = new GroupView();
  // Also what is hidden: the page that hides it may be lost.
  for (const { sequence, place } of [...index.history(tenant, group)].toReversed()) {
    const head = lost.isPageLost(place) ? undefined : await readableHead(frames, tenant, place);
    if (head?.header.group !== group) continue;
    const read = decodePlacedPage(head.page);
    if (read.ok) view.add({ group, sequence, timeMs: head.header.timeMs, place }, read.value);
  }
  const found: string[] = [];
  for (const payload of view.places()) {
    const { id } = payload.found.entry;
    const isLed = await leadsTo({ index, frames }, { tenant, group, id }, payload.page.place);
    if (!isLed || lost.isPayloadLost(payload)) found.push(id);
  }
  return found;
}

/** Whether a look-up comes to a page, before any other that says something of the id or cannot be read. */
async function leadsTo(
  { index, frames }: Pick<PinTools, "index" | "frames">,
  { tenant, group, id }: { readonly tenant: string; readonly group: string; readonly id: string },
  wanted: FramePlace,
): Promise<boolean> {
  for (const { place } of (await index.records(tenant, group, id)).records) {
    if (place.segment === wanted.segment && place.offset === wanted.offset) return true;
    const head = await readableHead(frames, tenant, place);
    const answer = head && findInPage(head.page, id);
    if (!answer?.ok || answer.value.kind !== "silent") return false;
  }
  return false;
}

/** @returns a page's frame, `undefined` where it is damaged or gone */
export async function readableHead(
  frames: FrameReader,
  tenant: string,
  place: FramePlace,
): Promise<FrameHead | undefined> {
  try {
    return await frames.head(tenant, place);
  } catch (error) {
    if (isPayloadStoreError(error, "CORRUPT") || isPayloadStoreError(error, "GONE")) return undefined;
    throw error;
  }
}
