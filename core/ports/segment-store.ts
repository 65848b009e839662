import type { PayloadStoreError } from "../errors.ts";
import type { FrameDraft } from "../segment/frame.ts";
import type { ScanStart, SegmentScan } from "../segment/scan.ts";

/** Where a frame lies. Its blocks follow its head directly. */
export interface FramePlace {
  /** Segment name, see `segment/name.ts`. */
  readonly segment: string;
  /** Offset of the frame in the segment, in bytes. */
  readonly offset: number;
  /** Length of the frame's head (header, group and page), in bytes: one read of it explains the frame. */
  readonly headBytes: number;
  /** The frame's first bytes where they are known without a read: its head, or all of it. */
  readonly held?: Uint8Array | undefined;
  /** No segment holds the frame: the index keeps it whole, in `held`. */
  readonly inline?: true | undefined;
  /** When it was stored, where a commit has to follow soon: a segment that no page refers to is removed one day. */
  readonly storedMs?: number | undefined;
}

export interface SegmentSummary {
  readonly tenant: string;
  readonly segment: string;
  readonly bytes: number;
}

/**
 * Where segments live: files of a folder, objects of a bucket, memory.
 *
 * A segment belongs to one tenant, and bytes once written are never rewritten. Stores are written by one process at a
 * time where they grow (disk), or hold only whole segments (S3).
 */
export interface SegmentStore {
  /** Why the store stopped accepting frames, once it has: a failed sync, a full disk. Reads go on. */
  readonly failure: PayloadStoreError | undefined;

  /**
   * Stores a frame durably; one that may wait (`FrameDraft.mayWait`) so that the next {@link flush} makes it durable. Calls made
   * while another is under way share its successor's write and sync (group commit).
   * Frames of one tenant keep the order of the calls.
   *
   * @throws {PayloadStoreError} `UNAVAILABLE` when the outcome is unknown; the frame may or may not be found later. `CONFLICT`
   *   when the frame rests in a segment that does not grow: nothing was written
   */
  append(tenant: string, frame: FrameDraft): Promise<FramePlace>;

  /**
   * Reads exactly `bytes` bytes at `offset`; the caller checks them. Cost: one ranged read.
   *
   * @param into  memory of this length that an answer given at once may lie in; it is another's afterwards
   * @throws {PayloadStoreError} `GONE` if there is no such segment, `CORRUPT` if it ends before,
   *   `UNAVAILABLE` if the store does not answer.
   */
  read(
    tenant: string,
    segment: string,
    offset: number,
    bytes: number,
    into?: Uint8Array,
  ): Uint8Array | Promise<Uint8Array>;

  /** Every segment, tenant by tenant, oldest first. Never on a request path. */
  segments(): Promise<readonly SegmentSummary[]>;

  /**
   * What a segment says of itself: its frames in order, and its damage. From its footer where it has one, else from its
   * frames. Heads are checked, bodies are not. Never on a request path.
   *
   * @throws {PayloadStoreError} `GONE`, `UNAVAILABLE`, `UNSUPPORTED_VERSION`
   */
  scan(tenant: string, segment: string, start?: ScanStart): Promise<SegmentScan>;

  /** Length of a segment that this process has written, as it knows it, in bytes. Cost: no read. */
  writtenBytes?(tenant: string, segment: string): number | undefined;

  /** Resolves when everything acknowledged is as durable as it will be without closing. */
  flush(): Promise<void>;

  /** Stops accepting frames, ends the pending ones, seals or flushes. Rejects if anything of it fails. */
  close(): Promise<void>;
}

/** A frame of a segment that is put whole. */
export interface WholeFrame {
  readonly frame: FrameDraft;
  /** Where it begins in the segment, as what rests on it was told. */
  readonly offset: number;
}

/** Segments that any number of processes put, each whole. */
export interface WholeSegments extends SegmentStore {
  /**
   * Stores frames as one segment, which has these and no others, in this order. Blocks may rest on frames before their own:
   * `FrameDraft.restsIn` is `wholeSegment` then, for nobody knows its name yet. Cost: one write.
   *
   * @throws {PayloadStoreError} `UNAVAILABLE` when the outcome is unknown; all of it is there or nothing
   */
  appendWhole(tenant: string, frames: readonly WholeFrame[]): Promise<readonly FramePlace[]>;
}

/** Segments of one writer, that give back their room. */
export interface ReclaimingSegments extends SegmentStore {
  /** The tenant's growing segment, if it has one. */
  growing(tenant: string): string | undefined;

  /** Ends the growing segment, with what is on its way to it. */
  seal(tenant: string): Promise<void>;

  /** Removes a segment, for good and durably; one that is gone already is no fault. */
  remove(tenant: string, segment: string): Promise<void>;

  /** Room for more, in bytes. */
  freeBytes(): number;
}
