import { isPayloadStoreError } from "../errors.ts";
import type { Lookup } from "../lookup.ts";
import type { OffsetIndex, Records } from "../ports/offset-index.ts";
import type { FramePlace } from "../ports/segment-store.ts";

/** Ids that are looked up at once, where asking once is cheaper. */
const idsAtOnce = 1000;

export interface GroupCheck {
  /** Ids that are alive, by the group's pages. */
  readonly ids: number;
  /** Ids that the index does not lead to, and what it says instead. */
  readonly lost: readonly { readonly id: string; readonly place: FramePlace; readonly reason: string }[];
}

/** How often a group is looked at again that changed meanwhile. */
const attemptsMax = 5;

/**
 * Makes a group of its pages, and looks up each id that is alive as a reader would.
 *
 * @throws {PayloadStoreError} `CORRUPT` where pages of the group are damaged or missing
 * Cost: the heads of the group's pages, and a look-up an id.
 */
export async function checkGroup(parts: Parts, tenant: string, group: string): Promise<GroupCheck> {
  for (let attempt = 1; ; attempt++) {
    const { ids, lost, sequence } = await checkOnce(parts, tenant, group);
    const isCalm = lost.length === 0 || (await parts.index.lastSequence(tenant, group)) === sequence;
    if (isCalm || attempt === attemptsMax) return { ids, lost: isCalm ? lost : [] };
  }
}

interface Parts {
  readonly index: OffsetIndex;
  readonly lookup: Lookup;
}

async function checkOnce(
  { index, lookup }: Parts,
  tenant: string,
  group: string,
): Promise<GroupCheck & { readonly sequence: number }> {
  const { view, basis } = await lookup.view(tenant, group);
  const { sequence } = basis;
  const live = view.places();
  const lost: { id: string; place: FramePlace; reason: string }[] = [];
  for (let at = 0; at < live.length; at += idsAtOnce) {
    const some = live.slice(at, at + idsAtOnce);
    const ids = some.map(({ found }) => found.entry.id);
    const answers = await index.recordsOf?.(tenant, group, ids);
    for (const [i, id] of ids.entries()) {
      const { place } = some[i]!.page;
      const asked: Records = answers?.[i] ?? (await index.records(tenant, group, id));
      if (isAt(asked.records[0]?.place, place)) continue;
      const reason = await found(lookup, { tenant, group, id }, place);
      if (reason !== undefined) lost.push({ id, place, reason });
    }
  }
  const { payloads } = await index.count(tenant, group);
  const [first] = live;
  if (payloads !== live.length && first && !index.shared)
    lost.push({
      id: first.found.entry.id,
      place: first.page.place,
      reason: `the index counts ${payloads} payloads, its pages have ${live.length}`,
    });
  return { ids: live.length, lost, sequence };
}

/** What a look-up says otherwise, where more than one page may decide: two ids may share their hash. */
async function found(
  lookup: Lookup,
  key: { readonly tenant: string; readonly group: string; readonly id: string },
  place: FramePlace,
): Promise<string | undefined> {
  try {
    const { value } = await lookup.find(key);
    if (isAt(value?.place, place)) return undefined;
    return value
      ? `the index leads to segment ${value.place.segment}, byte ${value.place.offset}`
      : "the index knows no such id";
  } catch (error) {
    if (!isPayloadStoreError(error, "CORRUPT") && !isPayloadStoreError(error, "GONE")) throw error;
    return error.message;
  }
}

function isAt(a: FramePlace | undefined, b: FramePlace): boolean {
  return a?.segment === b.segment && a.offset === b.offset;
}
