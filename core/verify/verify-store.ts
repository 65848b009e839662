import { isPayloadStoreError, throwIfAborted } from "../errors.ts";
import { Lookup } from "../lookup.ts";
import { PayloadReader } from "../payload-reader.ts";
import type { Clock } from "../ports/clock.ts";
import type { Codecs } from "../ports/codec.ts";
import type { Digest } from "../ports/digest.ts";
import type { OffsetIndex, PageRecord } from "../ports/offset-index.ts";
import type { FramePlace, SegmentStore, SegmentSummary } from "../ports/segment-store.ts";
import type { UploadReader } from "../ports/upload-store.ts";
import { decodePage } from "../page/page.ts";
import { lossAt, type LossList } from "../repair/loss.ts";
import { segmentTimeMs } from "../segment/name.ts";
import { FrameReader } from "../segment/read-frame.ts";
import { type ScannedFrame, scanSegment, type SegmentScan, type SegmentSource } from "../segment/scan.ts";
import { UploadBlocks } from "../upload-blocks.ts";
import { chunkedReads } from "./chunked.ts";
import { checkFrame } from "./check-frame.ts";
import { checkGroup } from "./check-group.ts";
import { compareFooter } from "./compare-footer.ts";
import { shortOf } from "./short-of.ts";
import { countFaults, type Fault, type FaultKind, orphanMs, type VerifyOptions, type VerifyReport } from "./report.ts";

/** What has expired is looked up as well: until compaction its bytes are as good as others. */
const neverLater = { nowMs: () => -Infinity };

export interface VerifyPorts {
  readonly segments: SegmentStore;
  readonly index: OffsetIndex;
  readonly codecs: Codecs;
  readonly digest: Digest;
  readonly clock: Clock;
  readonly uploads?: UploadReader | undefined;
  readonly losses?: LossList | undefined;
}

/** Where the index says that pages lie in a segment; of an index with several writers, whose. */
type Indexed = Map<number, PageRecord | undefined>;

/**
 * Proves that every committed id can be read, and that every object is needed, in its grace, or reported: reads every segment,
 * frame and payload, compares each with its checksums, the footers with the frames, the index with the segments, and what
 * a look-up of each living id finds with what the segments say.
 *
 * What is committed or compacted meanwhile is no fault.
 */
export async function verifyStore(ports: VerifyPorts, options: VerifyOptions): Promise<VerifyReport> {
  return new Verification(ports, options).run();
}

class Verification {
  readonly #ports: VerifyPorts;
  readonly #options: VerifyOptions;
  readonly #frames: FrameReader;
  readonly #lookup: Lookup;
  readonly #readerOf: (tenant: string, frames?: FrameReader) => PayloadReader;
  readonly #faults: Fault[] = [];
  readonly #total = { segments: 0, frames: 0, payloads: 0, bytes: 0, ids: 0, unreferenced: 0, accepted: 0 };
  readonly #young = { segments: 0, bytes: 0 };
  readonly #superseded = { segments: 0, bytes: 0 };
  /** Segments that are kept for those who still read them. */
  readonly #replaced: SegmentSummary[] = [];
  #keptUploads: Promise<ReadonlySet<string>> | undefined;
  readonly #indexed = new Map<string, Indexed>();
  readonly #uploads = new Set<string>();
  /** Groups that could not be made of their pages, and why. */
  readonly #unmade: Fault[] = [];

  constructor(ports: VerifyPorts, options: VerifyOptions) {
    const { segments, index, codecs, digest } = ports;
    this.#ports = ports;
    this.#options = options;
    this.#frames = new FrameReader(segments, digest);
    this.#lookup = new Lookup(index, this.#frames, neverLater);
    const uploads = ports.uploads && new UploadBlocks(ports.uploads, digest);
    this.#readerOf = (tenant, frames = this.#frames) => new PayloadReader(tenant, { frames, codecs, uploads });
  }

  async run(): Promise<VerifyReport> {
    const { index, segments } = this.#ports;
    await this.#readIndex().catch(async (error: unknown) => {
      // A folder's index that was found damaged on the way was made anew.
      if (this.#ports.index.shared || !isPayloadStoreError(error, "UNAVAILABLE")) throw error;
      this.#indexed.clear();
      await this.#readIndex();
    });
    const notes = index.damage();
    if (index.shared) for (const note of notes) this.#fault("damaged", note, note.reason);

    const all = await segments.segments();
    for (const summary of all) {
      throwIfAborted(this.#options.signal);
      await this.#segment(summary);
      const { segments: done, bytes } = this.#total;
      this.#options.onProgress?.({ segments: done + this.#superseded.segments, ofSegments: all.length, bytes });
    }
    await this.#segmentsThatAreGone();
    await this.#orphanUploads();
    // A group whose pages are damaged is told by them. Where nothing else is, this is the fault.
    if (this.#faults.length === 0 && this.#total.accepted === 0) this.#faults.push(...this.#unmade);
    const damaged = new Set(notes.map(({ tenant, segment }) => `${tenant}/${segment}`));
    return {
      ...this.#total,
      young: this.#young,
      superseded: this.#superseded,
      notCompacted: all.map(pathOf).filter((path) => damaged.has(path)),
      counts: countFaults(this.#faults),
      faults: this.#faults,
    };
  }

  /** Where every page lies. The index of several processes is asked for each group here, while it is at it. */
  async #readIndex(): Promise<void> {
    const { index } = this.#ports;
    let group: string | undefined;
    for await (const record of index.all()) {
      const { tenant, place } = record;
      if (index.shared && `${tenant}/${record.group}` !== group) {
        group = `${tenant}/${record.group}`;
        await this.#group(tenant, record.group, place);
      }
      if (place.inline) {
        await this.#inline(tenant, place);
        continue;
      }
      const path = pathOf({ tenant, segment: place.segment });
      const known = this.#indexed.get(path) ?? new Map<number, PageRecord | undefined>();
      known.set(place.offset, index.shared ? record : undefined);
      this.#indexed.set(path, known);
    }
  }

  async #inline(tenant: string, place: FramePlace): Promise<void> {
    this.#total.frames += 1;
    this.#total.bytes += place.held?.length ?? 0;
    try {
      const { header, page } = await this.#frames.head(tenant, place);
      const frame = { ...place, group: header.group, sequence: header.sequence, page };
      const damage = await this.#frame(tenant, frame, this.#readerOf(tenant));
      if (damage !== undefined) this.#fault("damaged", { tenant, segment: place.segment, start: 0 }, damage);
    } catch (error) {
      if (!isPayloadStoreError(error, "CORRUPT")) throw error;
      this.#fault("damaged", { tenant, segment: place.segment, start: 0 }, error.message);
    }
  }

  async #segment(summary: SegmentSummary): Promise<void> {
    const { tenant, segment, bytes } = summary;
    const { segments, index, digest } = this.#ports;
    const path = pathOf(summary);
    const known = this.#indexed.get(path) ?? new Map<number, PageRecord | undefined>();
    this.#indexed.delete(path);
    if (this.#isReplaced(summary) || (known.size === 0 && index.isReplaced?.(tenant, segment) === true)) {
      this.#keep(bytes);
      this.#replaced.push(summary);
      return;
    }
    if (index.shared && known.size === 0 && this.#isYoung(segment)) {
      this.#young.segments += 1;
      this.#young.bytes += bytes;
    }
    try {
      // Where a read is a request, all of it is read in long pieces.
      const chunked = index.shared && chunkedReads(segments, summary);
      const read = chunked || this.#reads(summary);
      const source = { tenant, segment, size: bytes, read };
      const scan = chunked ? await scanSegment(source, digest) : await segments.scan(tenant, segment);
      if (scan.sealed) await this.#footer({ ...source, size: scan.size }, scan);
      const frames =
        chunked && new FrameReader({ read: (_tenant, _segment, at, length) => chunked(at, length) }, digest);
      await this.#scanned(scan, known, this.#readerOf(tenant, frames || undefined));
    } catch (error) {
      if (!isPayloadStoreError(error, "GONE")) throw error;
      // Compacted meanwhile, if the index agrees.
      this.#indexed.set(path, known);
      return;
    }
    this.#total.segments += 1;
    this.#total.bytes += bytes;
  }

  #reads({ tenant, segment, bytes: size }: SegmentSummary): SegmentSource["read"] {
    return (offset, bytes) => this.#ports.segments.read(tenant, segment, offset, Math.min(bytes, size - offset));
  }

  async #footer(source: SegmentSource, scan: SegmentScan): Promise<void> {
    const { tenant, segment } = scan;
    for (const { start, reason } of await compareFooter(source, this.#ports.digest, scan))
      this.#fault("footer", { tenant, segment, start }, reason);
  }

  async #scanned(scan: SegmentScan, known: Indexed, reader: PayloadReader): Promise<void> {
    const { index } = this.#ports;
    const { tenant, segment } = scan;
    for (const damage of scan.damage) this.#fault("damaged", damage, damage.reason);
    if (scan.brokenFooter) this.#fault("damaged", { tenant, segment, ...scan.brokenFooter }, scan.brokenFooter.reason);
    const short = scan.brokenFooter ? undefined : shortOf(index.segmentState?.(tenant, segment), scan);
    if (short !== undefined) this.#fault("damaged", { tenant, segment, start: scan.acknowledgedBytes }, short);
    const isOrphan = index.shared && known.size === 0 && scan.frames.length > 0 && !this.#isYoung(segment);
    if (isOrphan) this.#fault("orphan", { tenant, segment, start: 0 }, "no page refers to the segment");
    const end = scan.sealed ? scan.size : scan.acknowledgedBytes;
    for (const frame of scan.frames) {
      if (frame.offset >= end) continue;
      if (index.shared && !known.has(frame.offset)) {
        this.#total.unreferenced += 1;
        continue;
      }
      this.#total.frames += 1;
      const isNamed = known.delete(frame.offset);
      if (!index.shared) await this.#named(scan, frame, isNamed);
      const damage = await this.#frame(tenant, { ...frame, segment }, reader);
      if (damage !== undefined) this.#fault("damaged", { tenant, segment, start: frame.offset }, damage);
    }
    for (const offset of known.keys()) {
      // Already told as damaged bytes.
      if (scan.damage.some((lost) => offset >= lost.start && offset < lost.end)) continue;
      this.#fault("dangling", { tenant, segment, start: offset }, "the index names a frame that is not there");
    }
  }

  /** Whether the index finds a frame by its name; and its group, where it is the newest of it. */
  async #named({ tenant, segment }: SegmentScan, frame: ScannedFrame, isNamed: boolean): Promise<void> {
    const { index } = this.#ports;
    const { group, sequence, offset } = frame;
    const page = `page ${sequence} of group ${JSON.stringify(group)}`;
    const isLast = (await index.lastSequence(tenant, group)) === sequence;
    if (!isNamed || isLast) {
      const place = (await index.record(tenant, group, sequence))?.place;
      const at = { tenant, segment, start: offset };
      if (!place) this.#fault("unindexed", at, `${page} is not in the index`);
      // A page that is found here by now was committed since the verification began.
      else if (place.segment !== segment || place.offset !== offset)
        this.#fault("duplicate", at, `${page} lies in segment ${place.segment} as well`);
    }
    if (isLast) await this.#group(tenant, group, { segment, offset, headBytes: frame.headBytes });
  }

  async #group(tenant: string, group: string, at: FramePlace): Promise<void> {
    try {
      const { ids, lost } = await checkGroup({ index: this.#ports.index, lookup: this.#lookup }, tenant, group);
      this.#total.ids += ids;
      for (const { id, place, reason } of lost) {
        const where = { tenant, segment: place.segment, start: place.offset };
        this.#fault("unreachable", where, `${JSON.stringify(group)} ${JSON.stringify(id)}: ${reason}`);
      }
    } catch (error) {
      if (!isPayloadStoreError(error, "CORRUPT") && !isPayloadStoreError(error, "GONE")) throw error;
      const reason = `${JSON.stringify(group)}: ${error.message}`;
      this.#unmade.push({ kind: "unreachable", tenant, segment: at.segment, start: at.offset, reason });
    }
  }

  /** @returns what is wrong with the frame's payloads, if anything; those that were written down as lost are counted. */
  async #frame(
    tenant: string,
    frame: FramePlace & Pick<ScannedFrame, "group" | "page" | "sequence">,
    reader: PayloadReader,
  ): Promise<string | undefined> {
    const page = decodePage(frame.page);
    if (page.ok && page.value.upload !== undefined) this.#uploads.add(`${tenant}/${page.value.upload}`);
    const checked = await checkFrame(frame, reader, this.#ports.digest);
    this.#total.payloads += checked.payloads;
    if (checked.page !== undefined) return checked.page;
    const [first] = checked.damaged;
    if (!first) return undefined;
    const others = checked.damaged.length === 1 ? "" : ` (and ${checked.damaged.length - 1} more)`;
    return `payload ${JSON.stringify(frame.group)} ${JSON.stringify(first.id)}${others}: ${first.reason}`;
  }

  /** Pages of the index that lie in segments which nobody has met. */
  async #segmentsThatAreGone(): Promise<void> {
    for (const [path, known] of this.#indexed) {
      const [tenant = "", segment = ""] = path.split("/");
      if (this.#isReplaced({ tenant, segment })) continue;
      let frames = known.size;
      for (const record of known.values()) {
        // Replaced since it was read.
        if (record && !(await this.#stillSays(record))) frames -= 1;
      }
      if (frames === 0) continue;
      const reason = `the segment is gone; the index names ${frames} frames of it`;
      const loss = lossAt(this.#ports.losses?.all() ?? [], { tenant, segment, start: 0, end: Infinity });
      this.#fault("dangling", { tenant, segment, start: loss?.start ?? 0 }, reason);
    }
  }

  async #stillSays({ tenant, group, place }: PageRecord): Promise<boolean> {
    const { records } = await this.#ports.index.records(tenant, group);
    return records.some((record) => record.place.segment === place.segment && record.place.offset === place.offset);
  }

  async #orphanUploads(): Promise<void> {
    for (const { tenant, name, bytes } of (await this.#ports.uploads?.list?.()) ?? []) {
      if (this.#uploads.has(`${tenant}/${name}`)) continue;
      if ((await this.#replacedUploads()).has(`${tenant}/${name}`)) this.#keep(bytes);
      else if (this.#isYoung(name)) {
        this.#young.segments += 1;
        this.#young.bytes += bytes;
      } else this.#fault("orphan", { tenant, segment: name, start: 0 }, "no page refers to the upload");
    }
  }

  /** Uploads that pages name which compaction has replaced: they are kept as long as these. */
  #replacedUploads(): Promise<ReadonlySet<string>> {
    this.#keptUploads ??= (async () => {
      const names = new Set<string>();
      for (const { tenant, segment } of this.#replaced) {
        const scan = await this.#ports.segments.scan(tenant, segment).catch((error: unknown) => {
          if (!isPayloadStoreError(error, "GONE")) throw error;
        });
        for (const { page: encoded } of scan?.frames ?? []) {
          const page = decodePage(encoded);
          if (page.ok && page.value.upload !== undefined) names.add(`${tenant}/${page.value.upload}`);
        }
      }
      return names;
    })();
    return this.#keptUploads;
  }

  #keep(bytes: number): void {
    this.#superseded.segments += 1;
    this.#superseded.bytes += bytes;
  }

  #isYoung(name: string): boolean {
    return segmentTimeMs(name) > this.#ports.clock.nowMs() - orphanMs;
  }

  #isReplaced(named: Pick<SegmentSummary, "tenant" | "segment">): boolean {
    const state = this.#ports.index.segmentState?.(named.tenant, named.segment);
    return state !== undefined && (state.supersededMs !== undefined || state.removed === true);
  }

  /** What was written down as lost is told as that, and is no fault once it is accepted. */
  #fault(kind: FaultKind, at: { tenant: string; segment: string; start: number }, reason: string): void {
    const { tenant, segment, start } = at;
    const loss = kind === "orphan" ? undefined : lossAt(this.#ports.losses?.all() ?? [], at);
    if (loss?.acceptedMs !== undefined) this.#total.accepted += 1;
    else this.#faults.push({ kind: loss ? "lost" : kind, tenant, segment, start, reason });
  }
}

function pathOf({ tenant, segment }: Pick<SegmentSummary, "tenant" | "segment">): string {
  return `${tenant}/${segment}`;
}
