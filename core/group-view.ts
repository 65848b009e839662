import { PayloadStoreError } from "./errors.ts";
import { decodePlacedPage, type EntryPlace } from "./page/page.ts";
import { headOf, type PlacedPage } from "./payload-head.ts";
import type { ListedPayload } from "./payload.ts";
import type { FramePlace } from "./ports/segment-store.ts";

interface Live {
  /** Where the id first stood since it was last absent: its place in the order, and its cursor. */
  readonly sequence: number;
  readonly position: number;
  page: PlacedPage;
  found: EntryPlace;
}

/** A payload of a group, and the frame that holds it. */
export interface ViewedPayload {
  readonly listed: ListedPayload;
  readonly place: FramePlace;
  readonly found: EntryPlace;
}

/** A group as its pages make it, added oldest first. */
export class GroupView {
  readonly #live = new Map<string, Live>();

  /** @throws {PayloadStoreError} `CORRUPT` when the page is malformed */
  add(placed: PlacedPage, bytes: Uint8Array): void {
    const decoded = decodePlacedPage(bytes);
    if (!decoded.ok) {
      const { segment, offset } = placed.place;
      throw new PayloadStoreError("CORRUPT", `segment ${segment}, frame at byte ${offset}: ${decoded.damage}`);
    }
    const { page, places } = decoded.value;
    const { sequence } = placed;
    if (page.clearsGroup) this.#live.clear();
    for (const id of page.deleted) this.#live.delete(id);
    for (const [position, found] of places.entries()) {
      const live = this.#live.get(found.entry.id);
      if (live) Object.assign(live, { page: placed, found });
      else this.#live.set(found.entry.id, { sequence, position, page: placed, found });
    }
  }

  /** Where the payloads lie, in order. */
  *places(): Generator<{ readonly page: PlacedPage; readonly found: EntryPlace }> {
    yield* this.#live.values();
  }

  /** @param after  a cursor of an earlier answer, also when its payload is gone meanwhile */
  *payloads(after?: string): Generator<ViewedPayload> {
    const behind = after === undefined ? undefined : parseCursor(after);
    for (const { sequence, position, page, found } of this.#live.values()) {
      if (behind && (sequence < behind.sequence || (sequence === behind.sequence && position <= behind.position)))
        continue;
      const cursor = `${sequence.toString(36)}-${position.toString(36)}`;
      yield { listed: { ...headOf(page, found), cursor }, place: page.place, found };
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
