import { isPayloadStoreError } from "./errors.ts";
import { decodePlacedPage, etagBytes, type PageEntry } from "./page/page.ts";
import { PayloadReader } from "./payload-reader.ts";
import { headOf } from "./payload-head.ts";
import type { Codecs } from "./ports/codec.ts";
import type { Digest } from "./ports/digest.ts";
import type { OffsetIndex } from "./ports/offset-index.ts";
import type { FramePlace, SegmentStore } from "./ports/segment-store.ts";
import type { UploadReader } from "./ports/upload-store.ts";
import { UploadBlocks } from "./upload-blocks.ts";
import { FrameReader } from "./segment/read-frame.ts";
import type { ScannedFrame } from "./segment/scan.ts";

export type FaultKind =
  /** Bytes of a segment fail a check. */
  | "damaged"
  /** The index names a page that no segment holds. */
  | "dangling"
  /** A segment holds a whole page that the index does not know. */
  | "unindexed"
  /** Two frames hold the same page. */
  | "duplicate";

export interface Fault {
  readonly kind: FaultKind;
  readonly tenant: string;
  readonly segment: string;
  /** Offset in the segment, in bytes. */
  readonly start: number;
  readonly reason: string;
}

export interface VerifyReport {
  readonly segments: number;
  readonly frames: number;
  /** Payloads read back and compared with their SHA-256, also overwritten and deleted ones. */
  readonly payloads: number;
  readonly bytes: number;
  /**
   * Frames that no page refers to: their commits lost a race, or were never finished. Only where several processes write;
   * one that writes alone leaves none, and there they are faults.
   */
  readonly unreferenced: number;
  readonly faults: readonly Fault[];
}

export interface VerifyOptions {
  readonly onProgress?:
    | ((done: { readonly segments: number; readonly ofSegments: number; readonly bytes: number }) => void)
    | undefined;
}

/** Reads every segment, frame and payload, compares each with its checksums, and the index with what is there. */
export async function verifyStore(
  ports: {
    readonly segments: SegmentStore;
    readonly index: OffsetIndex;
    readonly codecs: Codecs;
    readonly digest: Digest;
    readonly uploads?: UploadReader | undefined;
  },
  options: VerifyOptions,
): Promise<VerifyReport> {
  const { segments, index, codecs, digest } = ports;
  const frameReader = new FrameReader(segments, digest);
  const uploads = ports.uploads && new UploadBlocks(ports.uploads, digest);
  const readerOf = (tenant: string) => new PayloadReader(tenant, { frames: frameReader, codecs, uploads });
  const faults: Fault[] = [];
  const total = { segments: 0, frames: 0, payloads: 0, bytes: 0, unreferenced: 0 };

  const indexed = new Map<string, Set<number>>();
  for await (const { tenant, place } of index.all()) {
    if (place.inline) {
      total.frames += 1;
      total.bytes += place.held?.length ?? 0;
      const damage = await verifyInline(tenant, place, { frameReader, reader: readerOf(tenant), digest, total });
      if (damage !== undefined)
        faults.push({ kind: "damaged", tenant, segment: place.segment, start: 0, reason: damage });
      continue;
    }
    const path = `${tenant}/${place.segment}`;
    const offsets = indexed.get(path);
    if (offsets) offsets.add(place.offset);
    else indexed.set(path, new Set([place.offset]));
  }

  for (const { tenant, segment, start, reason } of index.shared ? index.damage() : []) {
    faults.push({ kind: "damaged", tenant, segment, start, reason });
  }

  const all = await segments.segments();
  for (const { tenant, segment, bytes } of all) {
    const scan = await segments.scan(tenant, segment);
    const known = indexed.get(`${tenant}/${segment}`) ?? new Set<number>();
    indexed.delete(`${tenant}/${segment}`);
    for (const { start, reason } of scan.damage) faults.push({ kind: "damaged", tenant, segment, start, reason });
    if (scan.brokenFooter) faults.push({ kind: "damaged", tenant, segment, ...scan.brokenFooter });
    const end = scan.sealed ? scan.size : scan.acknowledgedBytes;
    for (const frame of scan.frames.filter(({ offset }) => offset < end)) {
      if (index.shared && !known.has(frame.offset)) {
        total.unreferenced += 1;
        continue;
      }
      total.frames += 1;
      const fault = (kind: FaultKind, reason: string) =>
        faults.push({ kind, tenant, segment, start: frame.offset, reason });
      if (!known.delete(frame.offset)) {
        const page = `page ${frame.sequence} of group ${JSON.stringify(frame.group)}`;
        const indexedAt = (await index.record(tenant, frame.group, frame.sequence))?.place;
        if (!indexedAt) fault("unindexed", `${page} is not in the index`);
        // A page that is found here by now was committed since the verification began.
        else if (indexedAt.segment !== segment || indexedAt.offset !== frame.offset) {
          fault("duplicate", `${page} lies in segment ${indexedAt.segment} as well`);
        }
      }
      const damage = await verifyFrame({ ...frame, segment }, readerOf(tenant), digest, total);
      if (damage !== undefined) fault("damaged", damage);
    }
    const lost = scan.damage.map(({ start, end }) => ({ start, end }));
    for (const offset of known) {
      // Already reported as damaged bytes.
      if (lost.some(({ start, end }) => offset >= start && offset < end)) continue;
      faults.push({
        kind: "dangling",
        tenant,
        segment,
        start: offset,
        reason: "the index names a frame that is not there",
      });
    }
    total.segments += 1;
    total.bytes += bytes;
    options.onProgress?.({ segments: total.segments, ofSegments: all.length, bytes: total.bytes });
  }
  for (const [path, offsets] of indexed) {
    const [tenant = "", segment = ""] = path.split("/");
    faults.push({
      kind: "dangling",
      tenant,
      segment,
      start: 0,
      reason: `the segment is gone; the index names ${offsets.size} frames of it`,
    });
  }
  return { ...total, faults };
}

/** @returns what is wrong with a frame that the index keeps, if anything. */
async function verifyInline(
  tenant: string,
  place: FramePlace,
  tools: { frameReader: FrameReader; reader: PayloadReader; digest: Digest; total: { payloads: number } },
): Promise<string | undefined> {
  const { frameReader, reader, digest, total } = tools;
  try {
    const { header, page } = await frameReader.head(tenant, place);
    const frame = { ...place, group: header.group, sequence: header.sequence, page };
    return await verifyFrame(frame, reader, digest, total);
  } catch (error) {
    if (!isPayloadStoreError(error)) throw error;
    return error.message;
  }
}

/** @returns what is wrong with the frame's payloads, if anything. */
async function verifyFrame(
  frame: FramePlace & Pick<ScannedFrame, "group" | "page" | "sequence">,
  reader: PayloadReader,
  digest: Digest,
  total: { payloads: number },
): Promise<string | undefined> {
  const decoded = decodePlacedPage(frame.page);
  if (!decoded.ok) return decoded.damage;
  for (const found of decoded.value.places) {
    const { entry } = found;
    const { location } = headOf({ group: frame.group, sequence: frame.sequence, timeMs: 0, place: frame }, found);
    try {
      const hash = digest.sha256Parts();
      for await (const piece of reader.stream(location, undefined, { place: frame, found })) hash.update(piece);
      if (hash.end().slice(0, 2 * etagBytes) !== entry.etag)
        return `payload ${describe(frame.group, entry)} differs from its SHA-256`;
      total.payloads += 1;
    } catch (error) {
      if (!isPayloadStoreError(error)) throw error;
      return `payload ${describe(frame.group, entry)}: ${error.message}`;
    }
  }
  return undefined;
}

function describe(group: string, entry: PageEntry): string {
  return `${JSON.stringify(group)} ${JSON.stringify(entry.id)}`;
}
