import type { SegmentDamage } from "../segment/scan.ts";
import type { Records } from "../ports/offset-index.ts";
import type { DamageNotes } from "./damage-notes.ts";

/** Damage that may have taken a page of a tenant of which payloads would be alive, `undefined` if there is none. */
export function lostPages(
  index: { readonly damageNotes: DamageNotes; readonly records: (tenant: string, group: string) => Records },
  tenant: string,
): SegmentDamage | undefined {
  const nameless = index.damageNotes.nameless(tenant);
  if (nameless) return nameless;
  for (const group of index.damageNotes.groups(tenant)) {
    const { incomplete } = index.records(tenant, group);
    if (incomplete) return incomplete;
  }
  return undefined;
}
