import { invariant } from "../../invariant.ts";
import { placeEntries, type EntryPlace, type Page } from "../../page/page.ts";
import type {
  Basis,
  CommitOutcome,
  GroupCount,
  GroupSummary,
  OffsetIndex,
  PageRecord,
  Records,
  Totals,
} from "../../ports/offset-index.ts";
import type { SegmentDamage } from "../../segment/scan.ts";

interface GroupPages {
  readonly tenant: string;
  readonly group: string;
  /** Oldest first; the page's sequence is its position plus 1. */
  readonly records: PageRecord[];
  /** Pages by the idempotent request they answer. */
  readonly requests: Map<string, PageRecord>;
  /** Live payloads by id: the page that decides, and what it counts for. */
  readonly live: Map<string, { record: PageRecord; place: EntryPlace }>;
}

/** The index as plain maps: the same contract in the fewest words, for tests and for stores that end with their process. */
export class MemoryOffsetIndex implements OffsetIndex {
  readonly #groups = new Map<string, GroupPages>();

  async commit(record: PageRecord, page: Page): Promise<CommitOutcome> {
    const known = this.#groups.get(nameOf(record.tenant, record.group));
    const last = known?.records.length ?? 0;
    if (record.sequence !== last + 1) {
      const there = known?.records[record.sequence - 1]?.place;
      const same = there?.segment === record.place.segment && there.offset === record.place.offset;
      return same ? { kind: "committed" } : { kind: "taken", last };
    }
    const places = placeEntries(page);
    invariant(places.ok, "a committed page places its entries");
    const { tenant, group } = record;
    const pages: GroupPages = known ?? { tenant, group, records: [], requests: new Map(), live: new Map() };
    if (!known) this.#groups.set(nameOf(tenant, group), pages);
    pages.records.push(record);
    if (page.request) pages.requests.set(page.request.key, record);
    if (page.clearsGroup) pages.live.clear();
    for (const id of page.deleted) pages.live.delete(id);
    for (const place of places.value) pages.live.set(place.entry.id, { record, place });
    return { kind: "committed" };
  }

  async lastSequence(tenant: string, group: string): Promise<number> {
    return this.#basis(tenant, group).sequence;
  }

  async record(tenant: string, group: string, sequence: number): Promise<PageRecord | undefined> {
    return this.#groups.get(nameOf(tenant, group))?.records[sequence - 1];
  }

  async records(tenant: string, group: string, id?: string): Promise<Records> {
    const pages = this.#groups.get(nameOf(tenant, group));
    const basis = this.#basis(tenant, group);
    if (!pages) return { records: [], basis };
    if (id === undefined) return { records: pages.records.toReversed(), basis };
    const live = pages.live.get(id);
    return { records: live ? [live.record] : [], basis };
  }

  async requests(tenant: string, group: string, key: string): Promise<Records> {
    const record = this.#groups.get(nameOf(tenant, group))?.requests.get(key);
    return { records: record ? [record] : [], basis: this.#basis(tenant, group) };
  }

  async count(tenant: string, group: string): Promise<GroupCount> {
    const payloads = this.#groups.get(nameOf(tenant, group))?.live.size ?? 0;
    return { payloads, basis: this.#basis(tenant, group) };
  }

  async *groups(tenant: string): AsyncGenerator<GroupSummary> {
    for (const pages of this.#groups.values()) {
      if (pages.tenant === tenant && pages.live.size > 0) yield { group: pages.group, payloads: pages.live.size };
    }
  }

  async *all(): AsyncGenerator<PageRecord> {
    for (const pages of this.#groups.values()) yield* pages.records;
  }

  async totals(tenant: string): Promise<Totals> {
    const totals = { payloads: 0, rawBytes: 0, storedBytes: 0, none: 0, lz4: 0, zstd: 0, exact: true };
    for (const pages of this.#groups.values()) {
      if (pages.tenant !== tenant) continue;
      for (const { place } of pages.live.values()) {
        totals.payloads += 1;
        totals.rawBytes += place.entry.bytes;
        totals.storedBytes += place.storedShare;
        totals[place.codec === 0 ? "none" : place.codec === 1 ? "lz4" : "zstd"] += 1;
      }
    }
    return totals;
  }

  damage(): readonly SegmentDamage[] {
    return [];
  }

  async checkpoint(): Promise<void> {}

  async close(): Promise<void> {}

  #basis(tenant: string, group: string): Basis {
    return { sequence: this.#groups.get(nameOf(tenant, group))?.records.length ?? 0, knownMs: 0 };
  }
}

function nameOf(tenant: string, group: string): string {
  return `${tenant}/${group}`;
}
