import { isPayloadStoreError } from "../errors.ts";
import { decodePlacedPage, etagBytes, type EntryPlace } from "../page/page.ts";
import { headOf } from "../payload-head.ts";
import type { PayloadReader } from "../payload-reader.ts";
import type { Digest } from "../ports/digest.ts";
import type { FramePlace } from "../ports/segment-store.ts";
import type { ScannedFrame } from "../segment/scan.ts";

export type CheckedFrame = FramePlace & Pick<ScannedFrame, "group" | "page" | "sequence">;

export interface DamagedPayload {
  readonly id: string;
  readonly reason: string;
}

export interface FrameCheck {
  /** Payloads that are what was stored. */
  readonly payloads: number;
  /** What is wrong with the page itself; its payloads are then not known. */
  readonly page?: string;
  readonly damaged: readonly DamagedPayload[];
}

/**
 * Reads every payload of a frame and compares it with the SHA-256 that its page keeps.
 * @throws {PayloadStoreError} `GONE` when the segment is no more; `UNAVAILABLE`
 */
export async function checkFrame(frame: CheckedFrame, reader: PayloadReader, digest: Digest): Promise<FrameCheck> {
  const read = decodePlacedPage(frame.page);
  if (!read.ok) return { payloads: 0, page: read.damage, damaged: [] };
  const damaged: DamagedPayload[] = [];
  for (const found of read.value.places) {
    const reason = await damageOf(frame, found, reader, digest);
    if (reason !== undefined) damaged.push({ id: found.entry.id, reason });
  }
  return { payloads: read.value.places.length - damaged.length, damaged };
}

async function damageOf(
  frame: CheckedFrame,
  found: EntryPlace,
  reader: PayloadReader,
  digest: Digest,
): Promise<string | undefined> {
  const { location } = headOf({ group: frame.group, sequence: frame.sequence, timeMs: 0, place: frame }, found);
  try {
    const hash = digest.sha256Parts();
    for await (const piece of reader.stream(location, undefined, { place: frame, found })) hash.update(piece);
    return hash.end().slice(0, 2 * etagBytes) === found.entry.etag ? undefined : "it differs from its SHA-256";
  } catch (error) {
    // An upload that is gone is no matter of the segment.
    const isLost =
      isPayloadStoreError(error, "CORRUPT") || (found.upload !== undefined && isPayloadStoreError(error, "GONE"));
    if (!isLost) throw error;
    return error.message;
  }
}
