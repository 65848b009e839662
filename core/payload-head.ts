import type { EntryPlace } from "./page/page.ts";
import type { PayloadHead } from "./payload.ts";
import type { FramePlace } from "./ports/segment-store.ts";

/** What a page says of an entry, as callers see it. */
export function headOf(group: string, timeMs: number, place: FramePlace, found: EntryPlace): PayloadHead {
  const { entry, offset, storedBytes, codec, start } = found;
  return {
    group,
    id: entry.id,
    bytes: entry.bytes,
    etag: entry.etag,
    contentType: entry.contentType,
    attributes: entry.attributes,
    timeMs,
    location: {
      version: 0,
      segment: place.segment,
      offset: place.offset + place.headBytes + offset,
      stored: storedBytes,
      codec,
      start,
      length: entry.bytes,
    },
  };
}
