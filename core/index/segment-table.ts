import type { EntryPlace } from "../page/page.ts";
import type { SegmentState } from "../ports/offset-index.ts";
import { countExpiring, type Expiring, firstExpiryMs } from "./expiring.ts";

/** How much of a segment the index has taken in: everything below `bytes`, which is `frames` frames. */
export interface Coverage {
  readonly bytes: number;
  readonly frames: number;
  /** Whether the segment has its footer: then it does not grow any more. */
  readonly sealed: boolean;
}

export interface IndexedSegment {
  readonly tenant: string;
  readonly name: string;
  /** Frames of it that were taken in or are known to be lost. */
  frames: number;
  covered: Coverage;
  /** Shares of blocks of all payloads that were taken in from it, and heads of pages without payloads, in bytes. */
  stored: number;
  /** The same of those that are alive, by {@link Tier}. */
  readonly live: [number, number, number];
  /** Those of the payloads that expire, if there are any. */
  expiring?: Expiring;
  /** Since when nothing in it is needed any more, milliseconds since 1970. */
  supersededMs?: number;
  /** The file is gone, or about to be. */
  removed?: true;
  /** It holds bytes that no page names: a tail whose frames were appended again. */
  torn?: true;
}

/** The segments that pages lie in, numbered densely, and how far each is covered. */
export class SegmentTable {
  #segments: IndexedSegment[] = [];
  readonly #ordinals = new Map<string, number>();

  /** Counts one more frame of a segment; returns the segment's ordinal. */
  count(tenant: string, name: string, frames = 1): number {
    const ordinal = this.#ordinal(tenant, name);
    this.#segments[ordinal]!.frames += frames;
    return ordinal;
  }

  /** Payloads that a page of a segment brought. One that brought none only hides, and is itself soon not needed. */
  add(ordinal: number, places: readonly EntryPlace[], headBytes: number): void {
    const segment = this.#segments[ordinal]!;
    if (places.length === 0) segment.stored += headBytes;
    for (const { entry, storedShare, tier, upload } of places) {
      if (upload !== undefined) continue;
      segment.stored += storedShare;
      segment.live[tier] += storedShare;
      const { expiresMs } = entry;
      if (expiresMs !== undefined) countExpiring((segment.expiring ??= []), segment.name, expiresMs, storedShare, 1);
    }
  }

  /** A payload of a segment that is dead now. */
  subtract(ordinal: number, { entry, storedShare, tier, upload }: EntryPlace): void {
    if (upload !== undefined) return;
    const segment = this.#segments[ordinal]!;
    segment.live[tier] -= storedShare;
    const { expiresMs } = entry;
    if (expiresMs !== undefined) countExpiring((segment.expiring ??= []), segment.name, expiresMs, -storedShare, -1);
  }

  /** Before then no payload of these segments expires, milliseconds since 1970; `undefined` if none ever does. */
  firstExpiryMs(ordinals: Iterable<number>): number | undefined {
    let first: number | undefined;
    for (const ordinal of ordinals) {
      const { expiring, name } = this.#segments[ordinal]!;
      const ms = firstExpiryMs(expiring, name);
      if (ms !== undefined) first = Math.min(first ?? ms, ms);
    }
    return first;
  }

  find(tenant: string, name: string): IndexedSegment | undefined {
    const ordinal = this.#ordinals.get(`${tenant}/${name}`);
    return ordinal === undefined ? undefined : this.#segments[ordinal];
  }

  supersede(tenant: string, name: string, nowMs: number): void {
    this.#segments[this.#ordinal(tenant, name)]!.supersededMs ??= nowMs;
  }

  markRemoved(tenant: string, name: string): void {
    this.#segments[this.#ordinal(tenant, name)]!.removed = true;
  }

  markTorn(tenant: string, name: string): void {
    this.#segments[this.#ordinal(tenant, name)]!.torn = true;
  }

  torn(tenant: string): readonly string[] {
    const segments = this.#segments.filter((segment) => segment.torn && segment.tenant === tenant && !segment.removed);
    return segments.map(({ name }) => name);
  }

  isRemoved(ordinal: number): boolean {
    return this.#segments[ordinal]!.removed === true;
  }

  cover(tenant: string, name: string, covered: Coverage): void {
    const segment = this.#segments[this.#ordinal(tenant, name)]!;
    segment.covered = covered;
    segment.frames = covered.frames;
  }

  covered(tenant: string, name: string): Coverage | undefined {
    return this.find(tenant, name)?.covered;
  }

  name(ordinal: number): string {
    return this.#segments[ordinal]!.name;
  }

  tenant(ordinal: number): string {
    return this.#segments[ordinal]!.tenant;
  }

  all(): readonly IndexedSegment[] {
    return this.#segments;
  }

  states(): SegmentState[] {
    return this.#segments.map(stateOf);
  }

  state(tenant: string, name: string): SegmentState | undefined {
    const segment = this.find(tenant, name);
    return segment && stateOf(segment);
  }

  /** The segments as they are now, whatever is committed while they are saved. */
  copy(): IndexedSegment[] {
    return this.#segments.map(copyOf);
  }

  restore(segments: readonly IndexedSegment[]): void {
    this.#segments = segments.map(copyOf);
    this.#ordinals.clear();
    for (const [ordinal, { tenant, name }] of segments.entries()) this.#ordinals.set(`${tenant}/${name}`, ordinal);
  }

  #ordinal(tenant: string, name: string): number {
    const path = `${tenant}/${name}`;
    const known = this.#ordinals.get(path);
    if (known !== undefined) return known;
    this.#ordinals.set(path, this.#segments.length);
    const covered = { bytes: 0, frames: 0, sealed: false };
    this.#segments.push({ tenant, name, frames: 0, covered, stored: 0, live: [0, 0, 0] });
    return this.#segments.length - 1;
  }
}

/** A copy, beside a table that goes on counting. */
function copyOf(segment: IndexedSegment): IndexedSegment {
  const expiring: Expiring | undefined = segment.expiring?.map(([byMs, bytes, payloads]) => [byMs, bytes, payloads]);
  return { ...segment, live: [...segment.live], ...(expiring ? { expiring } : {}) };
}

function stateOf({ tenant, name, covered, stored, live, supersededMs, removed }: IndexedSegment): SegmentState {
  const [young, day, month] = live;
  return {
    tenant,
    segment: name,
    bytes: covered.bytes,
    sealed: covered.sealed,
    stored,
    live: young + day + month,
    supersededMs,
    removed,
  };
}
