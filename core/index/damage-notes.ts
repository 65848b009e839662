import { utf8 } from "../bytes.ts";
import type { FramePlace } from "../ports/segment-store.ts";
import type { SegmentDamage } from "../segment/scan.ts";

/**
 * The damage an index was built around. A lost page may have held the newest value of an id, or hidden it: an answer that
 * such a page could change is not given.
 */
export class DamageNotes {
  readonly #crc32: (bytes: Uint8Array) => number;
  readonly #byTenant = new Map<string, SegmentDamage[]>();

  constructor(crc32: (bytes: Uint8Array) => number) {
    this.#crc32 = crc32;
  }

  /** @returns whether it was not known yet. */
  add(damage: SegmentDamage): boolean {
    const notes = this.#byTenant.get(damage.tenant) ?? [];
    if (notes.some((note) => note.segment === damage.segment && note.start === damage.start)) return false;
    this.#byTenant.set(damage.tenant, [...notes, damage]);
    return true;
  }

  all(): readonly SegmentDamage[] {
    return [...this.#byTenant.values()].flat();
  }

  concern(tenant: string): boolean {
    return this.#byTenant.has(tenant);
  }

  /**
   * The first damage that may hold a page of the group newer than the given one, `undefined` if there is none.
   * @param sequence  of the newest page that decides the question; 0 if there is none
   * @param place  of that page
   */
  about(tenant: string, group: string, sequence: number, place: FramePlace | undefined): SegmentDamage | undefined {
    return this.#byTenant.get(tenant)?.find((note) => {
      if (note.frames === 0) return false;
      if (note.group !== undefined) return note.group === group && (note.sequence ?? Infinity) > sequence;
      if (note.groupCrc !== undefined && note.groupCrc !== this.#crc32(utf8(group))) return false;
      return !place || !liesBehind(place, note);
    });
  }

  /** The highest sequence of the group that is known to be lost: it is not given out again. */
  lastSequence(tenant: string, group: string): number {
    let last = 0;
    for (const note of this.#byTenant.get(tenant) ?? []) {
      if (note.group === group && note.sequence !== undefined && note.sequence > last) last = note.sequence;
    }
    return last;
  }
}

/** A tenant's segments are written one after the other, so of two pages of a group the one that lies behind is newer. */
function liesBehind(place: FramePlace, damage: SegmentDamage): boolean {
  return place.segment === damage.segment ? place.offset >= damage.end : place.segment > damage.segment;
}
