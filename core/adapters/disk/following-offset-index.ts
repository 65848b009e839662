import type { SegmentTable } from "../../index/segment-table.ts";
import type { RecoverableIndex } from "../../index/recoverable-index.ts";
import type { Term } from "../../page/terms.ts";
import type {
  Candidate,
  CommitOutcome,
  GroupCount,
  GroupSummary,
  OffsetIndex,
  PageRecord,
  Records,
  SegmentState,
  Totals,
} from "../../ports/offset-index.ts";
import { isPayloadStoreError, PayloadStoreError } from "../../errors.ts";
import type { ScannedFrame, ScanStart, SegmentDamage, SegmentScan } from "../../segment/scan.ts";
import type { SegmentSummary } from "../../ports/segment-store.ts";
import type { DiskSegmentStore } from "./disk-segment-store.ts";
import type { FileSystem } from "./file-system.ts";
import type { Layout } from "./layout.ts";
import { takeIn } from "./take-in.ts";

/** A folder that changed so shortly before it was listed may change again within the same tick of its clock: 2 s on some file systems. */
const sameTickMs = 2000;

type FollowedIndex = RecoverableIndex & Required<Pick<OffsetIndex, "recordsOf">>;

/**
 * The index of a read-only opener, beside a process that writes: before each answer it takes in what was acknowledged
 * since, up to the last mark of the tenant's growing segment. It never writes, and never shows what was not acknowledged.
 *
 * Cost: two calls of `stat` an answer; reading what is new.
 */
export class FollowingOffsetIndex implements OffsetIndex {
  readonly #inner: FollowedIndex;
  readonly #segments: DiskSegmentStore;
  readonly #fs: FileSystem;
  readonly #layout: Layout;
  readonly #nowMs: () => number;
  readonly #folders = new Map<string, { changedMs: number; listedMs: number; newest: string | undefined }>();
  readonly #readSaved: () => SegmentTable;
  readonly #reopen: () => Promise<void>;
  readonly #savedFiles: readonly string[];
  #saved: { readonly changedMs: number; readonly segments: SegmentTable };
  #following: Promise<void> = Promise.resolve();

  constructor(parts: {
    inner: FollowedIndex;
    segments: DiskSegmentStore;
    fs: FileSystem;
    layout: Layout;
    nowMs: () => number;
    /** What the writer has saved of its segments by now. */
    readSaved: () => SegmentTable;
    /** Takes up the index as it is saved now. */
    reopen: () => Promise<void>;
  }) {
    this.#readSaved = parts.readSaved;
    this.#reopen = parts.reopen;
    this.#savedFiles = [parts.layout.checkpoint, parts.layout.manifest];
    this.#saved = { changedMs: -1, segments: parts.inner.segments };
    this.#inner = parts.inner;
    this.#segments = parts.segments;
    this.#fs = parts.fs;
    this.#layout = parts.layout;
    this.#nowMs = parts.nowMs;
  }

  async commit(_record: PageRecord): Promise<CommitOutcome> {
    throw new PayloadStoreError("INVALID", "the store was opened read-only");
  }

  async lastSequence(tenant: string, group: string): Promise<number> {
    await this.#follow(tenant);
    return this.#inner.lastSequence(tenant, group);
  }

  async records(tenant: string, group: string, id?: string): Promise<Records> {
    await this.#follow(tenant);
    return this.#inner.records(tenant, group, id);
  }

  async recordsOf(tenant: string, group: string, ids: readonly string[]): Promise<readonly Records[]> {
    await this.#follow(tenant);
    return this.#inner.recordsOf(tenant, group, ids);
  }

  async requests(tenant: string, group: string, key: string): Promise<Records> {
    await this.#follow(tenant);
    return this.#inner.requests(tenant, group, key);
  }

  async record(tenant: string, group: string, sequence: number): Promise<PageRecord | undefined> {
    await this.#follow(tenant);
    return this.#inner.record(tenant, group, sequence);
  }

  async count(tenant: string, group: string): Promise<GroupCount> {
    await this.#follow(tenant);
    return this.#inner.count(tenant, group);
  }

  async *groups(tenant: string): AsyncGenerator<GroupSummary> {
    await this.#follow(tenant);
    yield* this.#inner.groups(tenant);
  }

  async *candidates(tenant: string, terms: readonly Term[], from?: string): AsyncGenerator<Candidate> {
    await this.#follow(tenant);
    const there = new Set<string>();
    for await (const candidate of this.#inner.candidates(tenant, terms, from)) {
      const segment = candidate.kind === "page" ? candidate.record.place.segment : "";
      if (!there.has(segment) && this.#isCompacted(tenant, segment)) continue;
      there.add(segment);
      yield candidate;
    }
  }

  async *all(): AsyncGenerator<PageRecord> {
    for (const tenant of new Set((await this.#segments.segments()).map((summary) => summary.tenant)))
      await this.#follow(tenant);
    yield* this.#inner.all();
  }

  async totals(tenant: string): Promise<Totals> {
    await this.#follow(tenant);
    return this.#inner.totals(tenant);
  }

  segmentStates(): readonly SegmentState[] {
    return this.#inner.segmentStates();
  }

  /** The writer saves that a segment goes before it removes it. */
  segmentState(tenant: string, segment: string): SegmentState | undefined {
    const changedMs = Math.max(...this.#savedFiles.map((file) => this.#fs.stat(file)?.changedMs ?? 0));
    if (changedMs !== this.#saved.changedMs) this.#saved = { changedMs, segments: this.#readSaved() };
    return this.#saved.segments.state(tenant, segment) ?? this.#inner.segmentState(tenant, segment);
  }

  damage(): readonly SegmentDamage[] {
    return this.#inner.damage();
  }

  async checkpoint(): Promise<void> {}

  async close(): Promise<void> {}

  /** Whether the writer has removed a segment, since nothing of it is needed. One that is lost is needed. */
  #isCompacted(tenant: string, segment: string): boolean {
    if (this.#fs.stat(this.#layout.segment(tenant, segment)) || this.#inner.isNeeded(tenant, segment)) return false;
    this.#inner.markRemoved(tenant, segment);
    return true;
  }

  /** One at a time: two would take in the same frames. */
  #follow(tenant: string): Promise<void> {
    this.#following = this.#following.catch(() => {}).then(() => this.#takeInNew(tenant));
    return this.#following;
  }

  async #takeInNew(tenant: string): Promise<void> {
    if (await this.#takeInSegments(tenant)) return;
    await this.#reopen();
    this.#folders.clear();
    await this.#takeInSegments(tenant, true);
  }

  /** @returns false when the index has to be opened again first: {@link #isNumberedAnew} */
  async #takeInSegments(tenant: string, isReopened = false): Promise<boolean> {
    const folder = this.#fs.stat(this.#layout.tenant(tenant));
    if (!folder) return true;
    const known = this.#folders.get(tenant);
    const changed = known?.changedMs !== folder.changedMs;
    if (changed || Math.abs(known.listedMs - folder.changedMs) <= sameTickMs) {
      const listedMs = this.#nowMs();
      const names = this.#segments.segmentsOf(tenant);
      const newest = names.at(-1)?.segment;
      for (const each of names)
        if (!(await this.#takeInSegment(each, each.segment === newest, isReopened))) return false;
      this.#folders.set(tenant, { changedMs: folder.changedMs, listedMs, newest });
      return true;
    }
    if (known.newest === undefined) return true;
    const bytes = this.#fs.stat(this.#layout.segment(tenant, known.newest))?.bytes ?? 0;
    return this.#takeInSegment({ tenant, segment: known.newest, bytes }, true, isReopened);
  }

  async #takeInSegment(
    { tenant, segment, bytes }: SegmentSummary,
    newest: boolean,
    isReopened: boolean,
  ): Promise<boolean> {
    const covered = this.#inner.segments.covered(tenant, segment);
    if (covered && covered.bytes >= bytes) return true;
    const start = covered && covered.bytes > 0 ? { offset: covered.bytes, frames: covered.frames } : undefined;
    const scan = await this.#scan(tenant, segment, start);
    if (!scan) return true;
    const end = scan.sealed ? scan.size : scan.acknowledgedBytes;
    const acknowledged = scan.frames.filter(({ offset }) => offset < end);
    if (!isReopened && (await this.#isNumberedAnew(scan, acknowledged))) return false;
    // The newest may be unreadable because it is just being made.
    if (scan.marker !== undefined || !newest) await takeIn(this.#inner, scan, acknowledged);
    if (end > (covered?.bytes ?? 0))
      this.#inner.segments.cover(tenant, segment, { bytes: end, frames: scan.framesBefore, sealed: scan.sealed });
    return true;
  }
  /** @returns `undefined` for a segment that the writer has removed since it was listed */
  async #scan(tenant: string, segment: string, start: ScanStart | undefined): Promise<SegmentScan | undefined> {
    try {
      return await this.#segments.scan(tenant, segment, start);
    } catch (error) {
      if (!isPayloadStoreError(error, "GONE") || !this.segmentState(tenant, segment)?.removed) throw error;
      return undefined;
    }
  }

  /**
   * Whether pages have sequences that this index has given to others, which are gone. A group of which nothing is left in any
   * segment is unknown to an index that the writer makes anew, so its next page is the first once more.
   */
  async #isNumberedAnew({ tenant, segment }: SegmentScan, frames: readonly ScannedFrame[]): Promise<boolean> {
    for (const { group, sequence, offset } of frames) {
      if (sequence > (await this.#inner.lastSequence(tenant, group))) continue;
      const known = this.#inner.placeOf(tenant, group, sequence);
      if (known?.segment === segment && known.offset === offset) continue;
      if (!known || !this.#fs.stat(this.#layout.segment(tenant, known.segment))) return true;
    }
    return false;
  }
}
