import { placeEntries, type EntryPlace, type Page } from "../../core/page/page.ts";
import type { GroupSummary, PageRecord, Totals } from "../../core/ports/offset-index.ts";

interface Live {
  readonly sequence: number;
  readonly place: EntryPlace;
}

/** The contract of an index in the fewest words, without a clever thought: lists of pages that are read anew each time. */
export class IndexModel {
  readonly #groups = new Map<string, { readonly tenant: string; readonly group: string; readonly pages: Page[] }>();
  readonly records: PageRecord[] = [];

  lastSequence(tenant: string, group: string): number {
    return this.#groups.get(nameOf(tenant, group))?.pages.length ?? 0;
  }

  commit(record: PageRecord, page: Page): void {
    const { tenant, group } = record;
    const name = nameOf(tenant, group);
    const known = this.#groups.get(name) ?? { tenant, group, pages: [] };
    known.pages.push(page);
    this.#groups.set(name, known);
    this.records.push(record);
  }

  /** The live payloads of a group, by id. */
  live(tenant: string, group: string): Map<string, Live> {
    const live = new Map<string, Live>();
    for (const [i, page] of (this.#groups.get(nameOf(tenant, group))?.pages ?? []).entries()) {
      if (page.clearsGroup) live.clear();
      for (const [id, { sequence }] of live) if (sequence <= (page.merged?.through ?? 0)) live.delete(id);
      for (const id of page.deleted) live.delete(id);
      const places = placeEntries(page);
      if (!places.ok) throw new Error(places.damage);
      for (const place of places.value) live.set(place.entry.id, { sequence: i + 1, place });
    }
    return live;
  }

  groups(tenant: string): GroupSummary[] {
    return [...this.#groups.values()]
      .filter((group) => group.tenant === tenant)
      .map(({ group }) => ({ group, payloads: this.live(tenant, group).size }))
      .filter(({ payloads }) => payloads > 0);
  }

  totals(tenant: string): Totals {
    const totals = { payloads: 0, rawBytes: 0, storedBytes: 0, none: 0, lz4: 0, zstd: 0, exact: true };
    for (const { tenant: owner, group } of this.#groups.values()) {
      if (owner !== tenant) continue;
      for (const { place } of this.live(tenant, group).values()) {
        totals.payloads += 1;
        totals.rawBytes += place.entry.bytes;
        totals.storedBytes += place.storedShare;
        totals[place.codec === 0 ? "none" : place.codec === 1 ? "lz4" : "zstd"] += 1;
      }
    }
    return totals;
  }
}

function nameOf(tenant: string, group: string): string {
  return `${tenant}/${group}`;
}
