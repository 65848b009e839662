import type { EntryPlace } from "./page/page.ts";
import type { Location } from "./payload.ts";
import type { FramePlace, SegmentStore } from "./ports/segment-store.ts";

/** A payload that is to be read, and the frame that holds its page. */
export interface Wanted {
  readonly location: Location;
  readonly place: FramePlace;
  readonly found: EntryPlace;
}

/** How far neighbours are read together. */
export interface Stretches {
  /** Bytes between two payloads that are read rather than asked around. */
  readonly gapBytesMax: number;
  /** Bytes of one read, unless one payload alone is longer. */
  readonly readBytesMax: number;
}

/** Where a read may be a request: that costs more than a MiB of bytes. */
export const requestedStretches: Stretches = { gapBytesMax: 1_048_576, readBytesMax: 8_388_608 };

/**
 * Where a read is a call of the file system that holds up this thread: it costs less than 16 KiB of bytes, and 256 KiB of them take
 * some 0.1 ms. Payloads of a group that lie among others' are not read with these.
 */
export const calledStretches: Stretches = { gapBytesMax: 16_384, readBytesMax: 262_144 };

/**
 * Reads neighbours together. For each payload in turn answers a place that holds its blocks: its frame where that is held
 * already, else what one read took of its segment from there on.
 *
 * Cost: one read for each {@link Stretches.readBytesMax} of a segment; so much memory.
 */
export class Coalescing {
  readonly #segments: SegmentStore;
  readonly #tenant: string;
  readonly #wanted: readonly Wanted[];
  readonly #stretches: Stretches;
  readonly #room: Uint8Array | undefined;
  #read: FramePlace | undefined;

  /** @param room  memory that what is read may lie in, until the next payload that is not held */
  constructor(
    segments: SegmentStore,
    tenant: string,
    wanted: readonly Wanted[],
    stretches: Stretches = requestedStretches,
    room?: Uint8Array,
  ) {
    this.#room = room;
    this.#stretches = stretches;
    this.#segments = segments;
    this.#tenant = tenant;
    this.#wanted = wanted;
  }

  /** @param i  which of those wanted; they are best asked for in their order */
  place(i: number): FramePlace | Promise<FramePlace> {
    const { location, place, found } = this.#wanted[i]!;
    const alone = found.upload !== undefined || location.stored > this.#stretches.readBytesMax;
    if (location.stored === 0 || alone || holds(place, location)) return place;
    if (this.#read && holds(this.#read, location)) return this.#read;
    const { segment, offset } = location;
    const bytes = this.#endFrom(i) - offset;
    const into = bytes <= (this.#room?.length ?? 0) ? this.#room?.subarray(0, bytes) : undefined;
    const read = this.#segments.read(this.#tenant, segment, offset, bytes, into);
    const hold = (held: Uint8Array): FramePlace => (this.#read = { segment, offset, headBytes: 0, held });
    return read instanceof Promise ? read.then(hold) : hold(read);
  }

  /** Where the read that begins with payload `i` ends. */
  #endFrom(i: number): number {
    const { gapBytesMax, readBytesMax } = this.#stretches;
    const first = this.#wanted[i]!.location;
    let end = first.offset + first.stored;
    for (let next = i + 1; next < this.#wanted.length; next++) {
      const { location, place } = this.#wanted[next]!;
      const { segment, offset, stored } = location;
      if (stored === 0 || holds(place, location)) continue;
      const near = segment === first.segment && offset >= first.offset && offset <= end + gapBytesMax;
      if (!near || offset + stored > first.offset + readBytesMax) break;
      end = Math.max(end, offset + stored);
    }
    return end;
  }
}

function holds({ segment, offset, held }: FramePlace, location: Location): boolean {
  if (!held || segment !== location.segment) return false;
  return location.offset >= offset && location.offset + location.stored <= offset + held.length;
}
