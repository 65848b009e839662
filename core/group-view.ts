import { PayloadStoreError } from "./errors.ts";
import { isExpired } from "./expiry.ts";
import type { EntryPlace, PlacedEntries } from "./page/page.ts";
import { headOf, type PlacedPage } from "./payload-head.ts";
import type { ListedPayload } from "./payload.ts";
import type { FramePlace } from "./ports/segment-store.ts";

interface Live extends Position {
  page: PlacedPage;
  found: EntryPlace;
}

/** Where an id first stood since it was last absent: its place in the order, and its cursor. */
interface Position {
  sequence: number;
  position: number;
}

/** A payload of a group, and the frame that holds it. */
export interface ViewedPayload {
  readonly listed: ListedPayload;
  readonly place: FramePlace;
  readonly found: EntryPlace;
}

/** A payload of a group as its pages tell it. */
export interface PlacedPayload extends Readonly<Position> {
  readonly page: PlacedPage;
  readonly found: EntryPlace;
}

/** A group as its pages make it, added oldest first. */
export class GroupView {
  /** In the order of {@link Position}, unless pages were merged. */
  readonly #live = new Map<string, Live>();
  /** Places that a merged page told of payloads which come in later pages. */
  readonly #firsts = new Map<string, Position>();
  #isSorted = true;
  readonly #nowMs: number;

  /** @param nowMs  what has expired by then is absent; by default nothing is */
  constructor(nowMs: number = -Infinity) {
    this.#nowMs = nowMs;
  }

  /** @param decoded  what the page there decodes to */
  add(placed: PlacedPage, { page, places }: PlacedEntries): void {
    const { sequence } = placed;
    if (page.clearsGroup) {
      this.#live.clear();
      this.#firsts.clear();
    }
    for (const id of page.deleted) {
      this.#live.delete(id);
      this.#firsts.delete(id);
    }
    if (page.merged) this.#isSorted = false;
    for (const [index, found] of places.entries()) {
      const first = found.entry.origin ?? { sequence, position: index };
      let live = this.#live.get(found.entry.id);
      // What takes the place of a payload that had expired comes behind all that were there.
      if (live && isExpired(live.found.entry, found.entry.origin?.timeMs ?? placed.timeMs)) {
        this.#live.delete(found.entry.id);
        live = undefined;
      }
      if (live) {
        Object.assign(live, { page: placed, found });
        moveTo(live, first);
      } else {
        const told = this.#firsts.get(found.entry.id);
        const place = told && byPosition(told, first) < 0 ? told : first;
        this.#live.set(found.entry.id, { ...positionOf(place), page: placed, found });
        this.#firsts.delete(found.entry.id);
      }
    }
    for (const { id, ...first } of page.merged?.order ?? []) {
      const live = this.#live.get(id);
      if (live) moveTo(live, first);
      else this.#firsts.set(id, positionOf(first));
    }
  }

  /** Places that merged pages told of payloads which no page has brought so far. */
  firsts(): ReadonlyMap<string, Readonly<Position>> {
    return this.#firsts;
  }

  /** Where the payloads lie, in order, those that have expired too. */
  places(): readonly PlacedPayload[] {
    const live = [...this.#live.values()];
    return this.#isSorted ? live : live.toSorted(byPosition);
  }

  /**
   * The payloads that have not expired, in order.
   * @param after  a cursor of an earlier answer, also when its payload is gone meanwhile
   * @param limit  at most so many
   */
  payloads(after?: string, limit: number = Infinity): readonly ViewedPayload[] {
    const payloads: ViewedPayload[] = [];
    const behind = after === undefined ? undefined : parseCursor(after);
    for (const { sequence, position, page, found } of this.places()) {
      if (payloads.length >= limit) break;
      if (isExpired(found.entry, this.#nowMs)) continue;
      if (behind && (sequence < behind.sequence || (sequence === behind.sequence && position <= behind.position)))
        continue;
      const cursor = `${sequence.toString(36)}-${position.toString(36)}`;
      payloads.push({ listed: { ...headOf(page, found), cursor }, place: page.place, found });
    }
    return payloads;
  }
}

/** A merged page tells an earlier place than a page that came after the pages it stands for. */
function moveTo(live: Live, first: Readonly<Position>): void {
  if (byPosition(first, live) < 0) Object.assign(live, positionOf(first));
}

function positionOf({ sequence, position }: Readonly<Position>): Position {
  return { sequence, position };
}

function byPosition(a: Readonly<Position>, b: Readonly<Position>): number {
  return a.sequence - b.sequence || a.position - b.position;
}

function parseCursor(cursor: string): { sequence: number; position: number } {
  const match = /^([0-9a-z]{1,10})-([0-9a-z]{1,10})$/.exec(cursor);
  if (!match)
    throw new PayloadStoreError("INVALID", "`after` is not a cursor that a list answered", {
      details: { field: "after" },
    });
  return { sequence: Number.parseInt(match[1] ?? "", 36), position: Number.parseInt(match[2] ?? "", 36) };
}
