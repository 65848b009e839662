import { setImmediate } from "node:timers/promises";
import type { PayloadStoreError } from "../../errors.ts";
import { invariant } from "../../invariant.ts";
import { limits } from "../../limits.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Digest } from "../../ports/digest.ts";
import type { Random } from "../../ports/random.ts";
import type { FramePlace } from "../../ports/segment-store.ts";
import type { FrameDraft } from "../../segment/frame.ts";
import { SegmentBinding } from "../../segment/binding.ts";
import { type ByteRange, encodeFooter, FooterDraft, type FrameEntry } from "../../segment/footer.ts";
import { encodeFrame, encodeMark, groupCrc, markBytes } from "../../segment/frame.ts";
import { encodeSegmentHeader, segmentHeaderBytes, syncMarkerBytes } from "../../segment/header.ts";
import type { SegmentNames } from "../../segment/name.ts";
import { scanSegment, type SegmentScan } from "../../segment/scan.ts";
import { strayFrame } from "../../segment/stray.ts";
import { diskError } from "./disk-error.ts";
import type { FileSystem, OpenFile } from "./file-system.ts";
import type { FooterMemory } from "./footer-memory.ts";
import { bytesPerTurn, ensureDirectory, readUpTo, writeAll, writeInTurns } from "./files.ts";
import type { Layout } from "./layout.ts";

/** What every writer of a store shares. */
export interface WriterContext {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly names: SegmentNames;
  readonly clock: Clock;
  readonly random: Random;
  readonly digest: Digest;
  /** A segment is sealed once it is this long, in bytes. */
  readonly segmentBytesMax: number;
  /** How long an acknowledged frame may wait for its sync, in milliseconds; 0 waits for the sync before it acknowledges. */
  readonly syncWithinMs: number;
  /** Called once, when a write or a sync fails: from then on nothing is acknowledged. */
  readonly fail: (error: PayloadStoreError) => void;
  readonly failure: () => PayloadStoreError | undefined;
  readonly footers: FooterMemory;
  /** Called when a segment has its footer: how long it is, and how many frames it has had. */
  readonly sealed: (
    tenant: string,
    segment: string,
    durable: { readonly bytes: number; readonly frames: number },
  ) => void;
}

/** Frames that are put into a footer before others run: some half a millisecond. */
const entriesBetweenPauses = 256;

/** A segment that grows, up to its last mark. */
export interface GrowingSegment {
  readonly segment: string;
  readonly marker: Uint8Array;
  readonly bytes: number;
  /** Frames in it so far, also lost ones. */
  readonly frames: number;
  readonly groupCrcBefore: number;
  /** Everything before this offset is durable. */
  readonly durableBytes: number;
}

interface Queued {
  readonly frame: FrameDraft;
  readonly resolve: (place: FramePlace) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One tenant's growing segment. Frames that wait while a sync is under way are written and synced together: group commit.
 *
 * The order of one commit: frames, fdatasync, for a new file fsync of its folder, then a mark, which says that all before
 * it is durable; only then is anything acknowledged. When any step fails the file is given up for good.
 *
 * With `syncWithinMs` the sync comes later, for all that was written meanwhile; the mark says how far it got. A segment's
 * first commit is always synced, so its name and header are. Frames that may wait are written so in every durability: the next sync
 * of one that may not is theirs too, so that who appends beside compaction waits for no sync that only compaction needs.
 *
 * The footer is made while the segment grows. Where that would take too much memory, or an earlier process began the segment, it is
 * made by reading the segment once it is full, while it still grows.
 */
export class SegmentWriter {
  readonly #context: WriterContext;
  readonly #tenant: string;
  readonly #queue: Queued[] = [];
  #growing: GrowingSegment | undefined;
  #file: OpenFile | undefined;
  #running: Promise<void> | undefined;
  #syncDue = false;
  #sealDue = false;
  #timer: NodeJS.Timeout | undefined;
  /** Of all frames of the growing segment; `undefined` where it has to be read. */
  #footer: FooterDraft | undefined;
  /** What the footer takes of the memory that they share, in bytes. */
  #footerBytes = 0;
  /** The segment is read for its footer, while it grows. */
  #reading: Promise<void> | undefined;
  /** Frames that came since that began. */
  #since: FrameEntry[] | undefined;
  /** A segment whose footer could not be made so. */
  #unread: string | undefined;

  constructor(context: WriterContext, tenant: string, resume?: GrowingSegment) {
    this.#context = context;
    this.#tenant = tenant;
    this.#growing = resume;
  }

  /** The growing segment as it is on disk, `undefined` before the first frame and between segments. */
  get growing(): GrowingSegment | undefined {
    return this.#growing;
  }

  /** Whether it holds an open file. */
  get open(): boolean {
    return this.#file !== undefined;
  }

  get idle(): boolean {
    return this.#running === undefined && this.#timer === undefined;
  }

  /** Resolves when what is queued now is written and durable, or refused. */
  async settled(): Promise<void> {
    if (this.#timer) this.#sync();
    await this.#running;
  }

  /** Ends the growing segment, behind what is queued. */
  async seal(): Promise<void> {
    if (this.#lacksFooter()) await this.#readAhead();
    this.#sealDue = true;
    this.#running ??= this.#drain();
    await this.#running;
    const failure = this.#context.failure();
    if (failure) throw failure;
  }

  /** Lets go of the file of an idle writer; its next frame opens it again. */
  park(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  append(frame: FrameDraft): Promise<FramePlace> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ frame, resolve, reject });
      this.#running ??= this.#drain();
    });
  }

  /** Ends what is queued and lets go of the file. What was acknowledged needs no more. */
  async close(): Promise<void> {
    await this.#reading;
    await this.settled();
    this.park();
  }

  /** Makes durable what was acknowledged before its sync. */
  #sync(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#syncDue = true;
    this.#running ??= this.#drain();
  }

  async #drain(): Promise<void> {
    // Callers of the same turn come along.
    await Promise.resolve();
    while (this.#queue.length > 0 || this.#syncDue || this.#sealDue) {
      const batch = this.#thatFit(this.#takeBatch());
      try {
        const failure = this.#context.failure();
        if (failure) throw failure;
        if (this.#syncDue) await this.#catchUp();
        if (batch.length > 0) {
          const places = await this.#commit(batch.map(({ frame }) => frame));
          for (const [i, { resolve }] of batch.entries()) resolve(places[i]!);
        }
        if (this.#isFull() && !this.#sealDue && this.#lacksFooter() && this.#mayGrowOn()) void this.#readAhead();
        else if (this.#isFull() || (this.#sealDue && this.#queue.length === 0)) await this.#seal();
      } catch (error) {
        const failure = diskError(
          error,
          `writing a segment of tenant ${this.#tenant} failed, so the store stopped writing`,
        );
        this.#context.fail(failure);
        this.#syncDue = false;
        this.#sealDue = false;
        for (const { reject } of batch) reject(failure);
      }
    }
    this.#running = undefined;
  }

  #isFull(): boolean {
    const { bytes = 0 } = this.#growing ?? {};
    return bytes >= this.#context.segmentBytesMax || !this.#hasRoom();
  }

  #hasRoom(): boolean {
    const { frames = 0 } = this.#growing ?? {};
    return frames + limits.groupCommitFramesMax <= limits.segmentFramesMax;
  }

  /** Whether a full segment may take what comes while it is read. */
  #mayGrowOn(): boolean {
    const { bytes = 0 } = this.#growing ?? {};
    return bytes < 2 * this.#context.segmentBytesMax && this.#hasRoom();
  }

  /** Whether reading the segment beside what is appended would give a footer. */
  #lacksFooter(): boolean {
    return this.#growing !== undefined && !this.#footer && this.#unread !== this.#growing.segment;
  }

  #takeBatch(): Queued[] {
    let count = 0;
    let bytes = 0;
    for (const { frame } of this.#queue) {
      for (const block of frame.blocks) bytes += block.body.length;
      if (count > 0 && (count >= limits.groupCommitFramesMax || bytes > limits.groupCommitBytesMax)) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  /** Refuses frames that rest in a segment that was sealed since they were made; they alone. */
  #thatFit(batch: readonly Queued[]): Queued[] {
    const fit: Queued[] = [];
    for (const queued of batch) {
      const { frame, reject } = queued;
      if (frame.restsIn === undefined || frame.restsIn === this.#growing?.segment) fit.push(queued);
      else reject(strayFrame(this.#tenant, frame));
    }
    return fit;
  }

  async #commit(frames: readonly FrameDraft[]): Promise<FramePlace[]> {
    const { syncWithinMs, fs, layout } = this.#context;
    const isNew = this.#growing === undefined;
    const parts: Uint8Array[] = [];
    const growing = this.#growing ?? (await this.#begin(parts));
    const { segment, marker } = growing;
    this.#file ??= this.#context.fs.open(this.#path(segment), isNew ? "create" : "update");
    const file = this.#file;

    const binding = new SegmentBinding(this.#context.digest, segment);
    let written = isNew ? 0 : growing.bytes;
    const places: FramePlace[] = [];
    const entries: FrameEntry[] = [];
    let offset = growing.bytes;
    let number = growing.frames;
    let groupCrcBefore = growing.groupCrcBefore;
    for (const frame of frames) {
      const encoded = encodeFrame(frame, offset, { binding, marker, number, groupCrcBefore });
      parts.push(...encoded.parts);
      const { group, kind, sequence } = frame;
      const { headBytes } = encoded;
      places.push({ segment, offset, headBytes });
      entries.push({ group, kind, sequence, offset, headBytes, bodyBytes: encoded.bytes - headBytes });
      offset += encoded.bytes;
      number += 1;
      groupCrcBefore = groupCrc(frame.group, (bytes) => this.#context.digest.crc32(bytes));
      if (offset - written < bytesPerTurn) continue;
      written = await writeInTurns(file, parts.splice(0), written);
      await setImmediate();
    }
    writeAll(file, parts, written);
    const mayWait = syncWithinMs > 0 || frames.every((frame) => frame.mayWait);
    const isMuch = syncWithinMs === 0 && offset - growing.durableBytes > limits.mergedUnsyncedBytesMax;
    const synced = isNew || !mayWait || isMuch;
    if (synced) await this.#synced(file);
    else this.#timer ??= setTimeout(() => this.#sync(), (syncWithinMs || limits.mergedSyncWithinMs) / 2);
    if (isNew) await fs.syncDirectory(layout.tenant(this.#tenant), "new segment");
    const durableBytes = synced ? offset : growing.durableBytes;
    const bytes = writeAll(
      file,
      [encodeMark({ frames: number, groupCrcBefore, durableBytes }, marker, offset, binding)],
      offset,
    );
    this.#growing = { segment, marker, bytes, frames: number, groupCrcBefore, durableBytes };
    this.#list(entries);
    return places;
  }

  /** Syncs all that was written: what waited for that waits no more. */
  async #synced(file: OpenFile): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await file.sync("frames");
  }

  /** Puts frames into the footer, as long as there is memory for it. */
  #list(entries: readonly FrameEntry[]): void {
    this.#since?.push(...entries);
    const footer = this.#footer;
    if (!footer) return;
    for (const entry of entries) footer.add(entry);
    this.#countFooter(footer.memoryBytes);
    // One that is full is about to be written.
    if (this.#context.footers.exhausted && !this.#isFull()) this.#dropFooter();
  }

  #countFooter(bytes: number): void {
    this.#context.footers.count(bytes - this.#footerBytes);
    this.#footerBytes = bytes;
  }

  #dropFooter(): void {
    this.#countFooter(0);
    this.#footer = undefined;
  }

  /** Syncs what was acknowledged before, and says so in a mark. */
  async #catchUp(): Promise<void> {
    this.#syncDue = false;
    const growing = this.#growing;
    const file = this.#file;
    if (!growing || !file || !hasUnsynced(growing)) return;
    await this.#synced(file);
    const mark = { ...growing, durableBytes: growing.bytes };
    const binding = new SegmentBinding(this.#context.digest, growing.segment);
    const bytes = writeAll(file, [encodeMark(mark, growing.marker, growing.bytes, binding)], growing.bytes);
    this.#growing = { ...mark, bytes };
  }

  /** Names a new segment and makes its header the first part to write. */
  async #begin(parts: Uint8Array[]): Promise<GrowingSegment> {
    const { fs, layout, names, random, clock, digest } = this.#context;
    await ensureDirectory(fs, layout.tenant(this.#tenant), "new tenant");
    const segment = names.next();
    const marker = random.bytes(syncMarkerBytes);
    this.#footer = this.#context.footers.exhausted ? undefined : new FooterDraft();
    const header = { tenant: this.#tenant, segment, marker, createdMs: Math.floor(clock.nowMs()) };
    parts.push(encodeSegmentHeader(header, new SegmentBinding(digest, segment)));
    return { segment, marker, bytes: segmentHeaderBytes, frames: 0, groupCrcBefore: 0, durableBytes: 0 };
  }

  /**
   * Ends the segment, with a footer unless it is damaged. Durable with all its marks before the next segment begins: only
   * the newest segment has a tail.
   */
  async #seal(): Promise<void> {
    this.#sealDue = false;
    if (this.#growing) this.#file ??= this.#context.fs.open(this.#path(this.#growing.segment), "update");
    await this.#catchUp();
    const growing = this.#growing;
    const file = this.#file;
    if (!growing || !file) return;
    const { digest } = this.#context;
    const footer = this.#footer ?? (await footerOf(await this.#scan(growing, file)));
    if (!footer) await file.sync("seal");
    else {
      const binding = new SegmentBinding(digest, growing.segment);
      const end = writeAll(file, [footer.encode([], growing.marker, growing.bytes, binding)], growing.bytes);
      await file.sync("seal");
      this.#context.sealed(this.#tenant, growing.segment, { bytes: end, frames: growing.frames });
    }
    this.park();
    this.#dropFooter();
    this.#since = undefined;
    this.#growing = undefined;
  }

  /** Makes the footer by reading the segment, and ends the segment then if it is full. Frames may be appended meanwhile. */
  #readAhead(): Promise<void> {
    this.#reading ??= this.#readForFooter().finally(() => {
      this.#reading = undefined;
      if (!this.#isFull()) return;
      this.#sealDue = true;
      this.#running ??= this.#drain();
    });
    return this.#reading;
  }

  async #readForFooter(): Promise<void> {
    const growing = this.#growing;
    if (!growing) return;
    const since: FrameEntry[] = [];
    this.#since = since;
    let footer: FooterDraft | undefined;
    try {
      // Its own: the writer's is closed when the segment ends.
      const file = this.#context.fs.open(this.#path(growing.segment), "read");
      try {
        const scan = await this.#scan(growing, file);
        // What is not durable yet may not have been taken for whole.
        if (scan.frames.length === growing.frames) footer = await footerOf(scan);
      } finally {
        file.close();
      }
    } catch {
      // It is met again when the segment is sealed.
    }
    if (this.#since === since) this.#since = undefined;
    if (this.#growing?.segment !== growing.segment) return;
    this.#unread = footer ? undefined : growing.segment;
    if (!footer) return;
    for (const entry of since) footer.add(entry);
    this.#footer = footer;
    this.#countFooter(footer.memoryBytes);
  }

  /** Up to the last mark. */
  #scan({ segment, bytes }: GrowingSegment, file: OpenFile): Promise<SegmentScan> {
    const read = (at: number, length: number, into?: Uint8Array) => readUpTo(file, at, length, into);
    const source = { tenant: this.#tenant, segment, size: bytes, read, pause: () => setImmediate() };
    return scanSegment(source, this.#context.digest);
  }

  #path(segment: string): string {
    return this.#context.layout.segment(this.#tenant, segment);
  }
}

/** Whether frames lie behind what is durable. A mark is no more than its checksum. */
function hasUnsynced({ bytes, durableBytes }: GrowingSegment): boolean {
  return bytes - durableBytes > markBytes;
}

/** @returns `undefined` where a footer would hide that a frame was lost */
async function footerOf(scan: SegmentScan): Promise<FooterDraft | undefined> {
  if (hidesDamage(scan)) return undefined;
  const footer = new FooterDraft();
  for (const [i, frame] of scan.frames.entries()) {
    if (i % entriesBetweenPauses === entriesBetweenPauses - 1) await setImmediate();
    footer.add(frame);
  }
  return footer;
}

/** Whether a footer would hide that a frame was lost. */
export function hidesDamage(scan: SegmentScan): boolean {
  return scan.marker === undefined || scan.damage.some(({ frames }) => frames !== 0);
}

/**
 * Writes the footer of a segment behind all its bytes, and makes it durable.
 * @param scan  of the segment, as far as its frames are settled
 * @returns the segment's length
 */
export async function writeFooter(
  file: OpenFile,
  scan: SegmentScan,
  voids: readonly ByteRange[],
  digest: Digest,
): Promise<number> {
  invariant(scan.marker !== undefined, "a segment that is sealed has a readable sync marker");
  const frames = scan.frames.slice(0, scan.frames.length - scan.tailFrames);
  const footer = encodeFooter({ frames, voids }, scan.marker, scan.size, new SegmentBinding(digest, scan.segment));
  const bytes = writeAll(file, [footer], scan.size);
  await file.sync("seal");
  return bytes;
}
