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
import { encodeFooter, type ByteRange } from "../../segment/footer.ts";
import { encodeFrame, encodeMark, groupCrc } from "../../segment/frame.ts";
import { encodeSegmentHeader, segmentHeaderBytes, syncMarkerBytes } from "../../segment/header.ts";
import type { SegmentNames } from "../../segment/name.ts";
import { scanSegment, type SegmentScan } from "../../segment/scan.ts";
import { strayFrame } from "../../segment/stray.ts";
import { diskError } from "./disk-error.ts";
import type { FileSystem, OpenFile } from "./file-system.ts";
import { ensureDirectory, readUpTo, writeAll } from "./files.ts";
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
  /** Called when a segment has its footer: how long it is, and how many frames it has had. */
  readonly sealed: (
    tenant: string,
    segment: string,
    durable: { readonly bytes: number; readonly frames: number },
  ) => void;
}

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
 * first commit is always synced, so its name and header are.
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
        if (this.#isFull() || (this.#sealDue && this.#queue.length === 0)) await this.#seal();
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
    const { bytes = 0, frames = 0 } = this.#growing ?? {};
    return bytes >= this.#context.segmentBytesMax || frames + limits.groupCommitFramesMax > limits.segmentFramesMax;
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
    const places: FramePlace[] = [];
    let offset = growing.bytes;
    let number = growing.frames;
    let groupCrcBefore = growing.groupCrcBefore;
    for (const frame of frames) {
      const encoded = encodeFrame(frame, offset, { binding, marker, number, groupCrcBefore });
      parts.push(...encoded.parts);
      places.push({ segment, offset, headBytes: encoded.headBytes });
      offset += encoded.bytes;
      number += 1;
      groupCrcBefore = groupCrc(frame.group, (bytes) => this.#context.digest.crc32(bytes));
    }
    writeAll(file, parts, isNew ? 0 : growing.bytes);
    const synced = isNew || syncWithinMs === 0;
    if (synced) await file.sync("frames");
    else this.#timer ??= setTimeout(() => this.#sync(), syncWithinMs / 2);
    if (isNew) await fs.syncDirectory(layout.tenant(this.#tenant), "new segment");
    const durableBytes = synced ? offset : growing.durableBytes;
    const bytes = writeAll(
      file,
      [encodeMark({ frames: number, groupCrcBefore, durableBytes }, marker, offset, binding)],
      offset,
    );
    this.#growing = { segment, marker, bytes, frames: number, groupCrcBefore, durableBytes };
    return places;
  }

  /** Syncs what was acknowledged before, and says so in a mark. */
  async #catchUp(): Promise<void> {
    this.#syncDue = false;
    const growing = this.#growing;
    const file = this.#file;
    if (!growing || !file) return;
    await file.sync("frames");
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
    if (this.#context.syncWithinMs > 0) await this.#catchUp();
    const growing = this.#growing;
    const file = this.#file;
    if (!growing || !file) return;
    const { digest } = this.#context;
    const source = {
      tenant: this.#tenant,
      segment: growing.segment,
      size: growing.bytes,
      read: (at: number, bytes: number) => readUpTo(file, at, bytes),
      pause: () => setImmediate(),
    };
    const scan = await scanSegment(source, digest);
    if (hidesDamage(scan)) await file.sync("seal");
    else {
      const bytes = await writeFooter(file, scan, [], digest);
      this.#context.sealed(this.#tenant, growing.segment, { bytes, frames: growing.frames });
    }
    this.park();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#growing = undefined;
  }

  #path(segment: string): string {
    return this.#context.layout.segment(this.#tenant, segment);
  }
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
