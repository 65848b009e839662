import type { EntryPlace } from "./page/page.ts";
import type { Location, PayloadHead } from "./payload.ts";
import type { FramePlace } from "./ports/segment-store.ts";

/** A committed page, as its payloads are found in it. */
export interface PlacedPage {
  readonly group: string;
  readonly sequence: number;
  readonly timeMs: number;
  readonly place: FramePlace;
}

/** What a page says of an entry, as callers see it. */
export function headOf(page: PlacedPage, found: EntryPlace): PayloadHead {
  const { entry } = found;
  return {
    group: page.group,
    id: entry.id,
    bytes: entry.bytes,
    etag: entry.etag,
    contentType: entry.contentType,
    attributes: entry.attributes,
    timeMs: entry.origin?.timeMs ?? page.timeMs,
    expiresMs: entry.expiresMs,
    location: locationOf(page, found),
  };
}

export function locationOf({ group, sequence, place }: PlacedPage, found: EntryPlace): Location {
  const { entry, offset, storedBytes, codec, start, upload } = found;
  const location: Location = {
    version: 0,
    segment: upload ?? place.segment,
    offset: upload === undefined ? place.offset + place.headBytes + offset : offset,
    stored: storedBytes,
    codec,
    start,
    length: entry.bytes,
  };
  return place.inline || upload !== undefined ? { ...location, page: { group, sequence } } : location;
}
