import { utf8 } from "../bytes.ts";
import type { FramePlace } from "../ports/segment-store.ts";
import { isAccepted } from "../repair/loss.ts";
import type { SegmentDamage } from "../segment/scan.ts";

/**
 * The damage an index was built around. A lost page may have held the newest value of an id, or hidden it: an answer that
 * such a page could change is not given.
 */
export class DamageNotes {
  readonly #crc32: (bytes: Uint8Array) => number;
  readonly #known = new Set<string>();
  readonly #byTenant = new Map<string, SegmentDamage[]>();
  #accepted: readonly SegmentDamage[] = [];

  constructor(crc32: (bytes: Uint8Array) => number) {
    this.#crc32 = crc32;
  }

  /** @returns whether it was not known yet. */
  add(damage: SegmentDamage): boolean {
    const place = placeOf(damage);
    if (this.#known.has(place) || isAccepted(this.#accepted, damage)) return false;
    this.#known.add(place);
    const notes = this.#byTenant.get(damage.tenant);
    if (notes) notes.push(damage);
    else this.#byTenant.set(damage.tenant, [damage]);
    return true;
  }

  /** Losses that are not noted any more. @returns whether one was. */
  accept(losses: readonly SegmentDamage[]): boolean {
    this.#accepted = losses;
    const before = this.all();
    this.#known.clear();
    this.#byTenant.clear();
    for (const note of before) this.add(note);
    return this.all().length < before.length;
  }

  /** A newer page stands for the group's pages up to this sequence: that they are missing is no damage. */
  explain(tenant: string, group: string, through: number): void {
    const notes = this.#byTenant.get(tenant);
    if (!notes) return;
    const left = notes.filter((note) => {
      const explained = isGap(note) && note.group === group && (note.sequence ?? Infinity) <= through;
      if (explained) this.#known.delete(placeOf(note));
      return !explained;
    });
    if (left.length > 0) this.#byTenant.set(tenant, left);
    else this.#byTenant.delete(tenant);
  }

  /** Whether pages of the tenant are lost. */
  haveLost(tenant: string): boolean {
    return this.#byTenant.get(tenant)?.some(({ frames }) => frames !== 0) ?? false;
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

  /**
   * The highest sequence that the group may have had: those of lost pages are not given out again, so that a segment which is
   * restored finds them free.
   *
   * @param committed  the group's newest page, with its place; 0 if there is none
   */
  lastSequence(tenant: string, group: string, committed: number, place: FramePlace | undefined): number {
    let last = committed;
    for (const note of this.#byTenant.get(tenant) ?? []) {
      if (note.frames === 0) continue;
      if (note.group !== undefined) {
        if (note.group === group) last = Math.max(last, note.sequence ?? 0);
        continue;
      }
      // Damage that nothing attributes is not counted: every group would skip sequences for one that lost a page.
      if (note.groupCrc === undefined || note.groupCrc !== this.#crc32(utf8(group))) continue;
      if (!place || !liesBehind(place, note)) last += note.frames ?? 1;
    }
    return last;
  }

  /** Damage that may have taken a group's every page, so that nothing else names the group. */
  nameless(tenant: string): SegmentDamage | undefined {
    return this.#byTenant.get(tenant)?.find((note) => note.frames !== 0 && note.group === undefined);
  }

  /** Groups that are known to have lost pages. */
  groups(tenant: string): readonly string[] {
    const notes = this.#byTenant.get(tenant) ?? [];
    return notes.flatMap(({ group, frames }) => (group !== undefined && frames !== 0 ? [group] : []));
  }
}

function placeOf({ tenant, segment, start }: SegmentDamage): string {
  return `${tenant}/${segment}:${start}`;
}

/** Pages that are known to be missing only since a later one follows. */
export function isGap({ start, end, group }: SegmentDamage): boolean {
  return start === end && group !== undefined;
}

/** A tenant's segments are written one after the other, so of two pages of a group the one that lies behind is newer. */
function liesBehind(place: FramePlace, damage: SegmentDamage): boolean {
  return place.segment === damage.segment ? place.offset >= damage.end : place.segment > damage.segment;
}
