import type { EntryPlace } from "../page/page.ts";
import type { CodecCode } from "../ports/codec.ts";
import type { Totals } from "../ports/offset-index.ts";
import type { DamageNotes } from "./damage-notes.ts";

type Counters = { -readonly [Name in keyof Totals]: Totals[Name] };

const codecCounter: Readonly<Record<CodecCode, "none" | "lz4" | "zstd">> = { 0: "none", 1: "lz4", 2: "zstd" };

/** What each tenant has, kept up to date by every commit, so that reading it costs the same for any number of payloads. */
export class TenantTotals {
  readonly #byTenant = new Map<string, Counters>();

  of(tenant: string): Totals {
    return { ...(this.#byTenant.get(tenant) ?? emptyTotals()) };
  }

  add(tenant: string, places: readonly EntryPlace[]): void {
    const totals = this.#counters(tenant);
    totals.payloads += places.length;
    for (const place of places) count(totals, place, 1);
  }

  /** @param payloads  how many are dead; more than `entries` where a page could not be read */
  subtract(tenant: string, entries: readonly { readonly place: EntryPlace }[], payloads: number): void {
    const totals = this.#counters(tenant);
    totals.payloads -= payloads;
    for (const { place } of entries) count(totals, place, -1);
  }

  inexact(tenant: string): void {
    this.#counters(tenant).exact = false;
  }

  /** As they are now, whatever is committed while they are saved. */
  entries(): (readonly [string, Totals])[] {
    return Array.from(this.#byTenant, ([tenant, totals]) => [tenant, { ...totals }] as const);
  }

  restore(entries: readonly (readonly [string, Totals])[]): void {
    this.#byTenant.clear();
    for (const [tenant, totals] of entries) this.#byTenant.set(tenant, { ...totals });
  }

  #counters(tenant: string): Counters {
    let totals = this.#byTenant.get(tenant);
    if (!totals) this.#byTenant.set(tenant, (totals = emptyTotals()));
    return totals;
  }
}

/** What a tenant has by an index, and whether no page is lost that might say otherwise. */
export function totalsOf(
  index: { readonly tenantTotals: TenantTotals; readonly damageNotes: DamageNotes },
  tenant: string,
): Totals {
  const totals = index.tenantTotals.of(tenant);
  return { ...totals, exact: totals.exact && !index.damageNotes.haveLost(tenant) };
}

function emptyTotals(): Counters {
  return { payloads: 0, rawBytes: 0, storedBytes: 0, none: 0, lz4: 0, zstd: 0, exact: true };
}

function count(totals: Counters, { entry, storedShare, codec }: EntryPlace, by: 1 | -1): void {
  totals.rawBytes += by * entry.bytes;
  totals.storedBytes += by * storedShare;
  totals[codecCounter[codec]] += by;
}
