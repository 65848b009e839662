import { PayloadStoreError } from "./errors.ts";
import { decodePlacedPage, type EntryPlace } from "./page/page.ts";
import { headOf } from "./payload-head.ts";
import type { ListedPayload } from "./payload.ts";
import type { FramePlace } from "./ports/segment-store.ts";

interface Live {
  /** Where the id first stood since it was last absent: its place in the order, and its cursor. */
  readonly sequence: number;
  readonly position: number;
  timeMs: number;
  place: FramePlace;
  found: EntryPlace;
}

/** A group as its pages make it, added oldest first. */
export class GroupView {
  readonly #group: string;
  readonly #live = new Map<string, Live>();

  constructor(group: string) {
    this.#group = group;
  }

  /** @throws {PayloadStoreError} `CORRUPT` when the page is malformed */
  add(sequence: number, timeMs: number, place: FramePlace, bytes: Uint8Array): void {
    const decoded = decodePlacedPage(bytes);
    if (!decoded.ok)
      throw new PayloadStoreError(
        "CORRUPT",
        `segment ${place.segment}, frame at byte ${place.offset}: ${decoded.damage}`,
      );
    const { page, places } = decoded.value;
    if (page.clearsGroup) this.#live.clear();
    for (const id of page.deleted) this.#live.delete(id);
    for (const [position, found] of places.entries()) {
      const live = this.#live.get(found.entry.id);
      if (live) Object.assign(live, { timeMs, place, found });
      else this.#live.set(found.entry.id, { sequence, position, timeMs, place, found });
    }
  }

  /** @param after  a cursor of an earlier answer, also when its payload is gone meanwhile */
  *payloads(after?: string): Generator<ListedPayload> {
    const behind = after === undefined ? undefined : parseCursor(after);
    for (const { sequence, position, timeMs, place, found } of this.#live.values()) {
      if (behind && (sequence < behind.sequence || (sequence === behind.sequence && position <= behind.position)))
        continue;
      yield {
        ...headOf(this.#group, timeMs, place, found),
        cursor: `${sequence.toString(36)}-${position.toString(36)}`,
      };
    }
  }
}

function parseCursor(cursor: string): { sequence: number; position: number } {
  const match = /^([0-9a-z]{1,10})-([0-9a-z]{1,10})$/.exec(cursor);
  if (!match)
    throw new PayloadStoreError("INVALID", "`after` is not a cursor that a list answered", {
      details: { field: "after" },
    });
  return { sequence: Number.parseInt(match[1] ?? "", 36), position: Number.parseInt(match[2] ?? "", 36) };
}
