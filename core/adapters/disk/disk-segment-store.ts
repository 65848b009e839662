import { setImmediate } from "node:timers/promises";
import { PayloadStoreError } from "../../errors.ts";
import type { Coverage } from "../../index/segment-table.ts";
import { limits } from "../../limits.ts";
import type { Digest } from "../../ports/digest.ts";
import { Steps } from "../../steps.ts";
import type { FramePlace, ReclaimingSegments, SegmentSummary } from "../../ports/segment-store.ts";
import type { FrameDraft } from "../../segment/frame.ts";
import { isSegmentName } from "../../segment/name.ts";
import { scanSegment, type ScanStart, type SegmentScan } from "../../segment/scan.ts";
import { diskError, errorCode } from "./disk-error.ts";
import type { FileSystem, OpenFile } from "./file-system.ts";
import { readUpTo, removeFile } from "./files.ts";
import { FooterMemory } from "./footer-memory.ts";
import { segmentOfFile, type Layout } from "./layout.ts";
import { SegmentWriter, type GrowingSegment, type WriterContext } from "./segment-writer.ts";

export type DiskSegmentStoreOptions = Omit<WriterContext, "fail" | "failure" | "footers" | "sealed"> & {
  /** `limits.growingFootersBytesMax` unless given. */
  readonly footers?: FooterMemory;
};

/** Reads this long are checked against the file's length before memory is taken for them. */
const trustedReadBytes = 1_048_576;

/** Files that are asked for their length before others run: some half a millisecond. */
const filesBetweenPauses = 128;

/** Segments as files, `segments/<tenant>/<name>.seg`, one growing file for each tenant that writes. */
export class DiskSegmentStore implements ReclaimingSegments {
  readonly #fs: FileSystem;
  readonly #layout: Layout;
  readonly #digest: Digest;
  readonly #context: WriterContext;
  readonly #writers = new Map<string, SegmentWriter>();
  /** Writers that found room, and are about to open their file. */
  readonly #entering = new Set<SegmentWriter>();
  /** Open for reading, least recently used first. */
  readonly #files = new Map<string, OpenFile>();
  readonly #sealed = new Map<string, Coverage>();
  /** The one used last: reads go to few segments in a row. It is the newest of the open ones. */
  #last: { readonly tenant: string; readonly segment: string; readonly file: OpenFile } | undefined;
  #failure: PayloadStoreError | undefined;
  #closed = false;

  constructor(options: DiskSegmentStoreOptions) {
    this.#fs = options.fs;
    this.#layout = options.layout;
    this.#digest = options.digest;
    this.#context = {
      ...options,
      footers: options.footers ?? new FooterMemory(limits.growingFootersBytesMax),
      fail: (error) => void (this.#failure ??= error),
      failure: () => this.#failure,
      sealed: (tenant, segment, durable) => void this.#sealed.set(`${tenant}/${segment}`, { ...durable, sealed: true }),
    };
  }

  get failure(): PayloadStoreError | undefined {
    return this.#failure;
  }

  /** Refuses every further frame: what they say could not be kept elsewhere. */
  stop(error: PayloadStoreError): void {
    this.#failure ??= error;
  }

  async append(tenant: string, frame: FrameDraft): Promise<FramePlace> {
    if (this.#closed) throw new PayloadStoreError("CLOSED", "the store is closed");
    if (this.#failure) throw this.#failure;
    const writer = this.#writer(tenant);
    if (writer.open) return writer.append(frame);
    await this.#makeRoom(writer);
    const place = writer.append(frame);
    this.#entering.delete(writer);
    return place;
  }

  read(tenant: string, segment: string, offset: number, bytes: number, into?: Uint8Array): Uint8Array {
    const file = this.#open(tenant, segment);
    try {
      if (bytes > trustedReadBytes && offset + bytes > file.size())
        throw endsBefore(tenant, segment, offset + bytes, file.size());
      const read = readUpTo(file, offset, bytes, into);
      if (read.length < bytes) throw endsBefore(tenant, segment, offset + bytes, offset + read.length);
      return read;
    } catch (error) {
      throw diskError(error, `reading segment ${tenant}/${segment} failed`);
    }
  }

  async segments(): Promise<readonly SegmentSummary[]> {
    try {
      const steps = new Steps(() => setImmediate(), filesBetweenPauses);
      const found: SegmentSummary[] = [];
      for (const tenant of listOrNothing(this.#fs, this.#layout.segments).toSorted()) {
        for (const summary of this.#summaries(tenant)) {
          found.push(summary);
          const due = steps.did(1);
          if (due) await due;
        }
      }
      return found;
    } catch (error) {
      throw diskError(error, "listing the segments failed");
    }
  }

  /** A tenant's segments, oldest first. */
  segmentsOf(tenant: string): SegmentSummary[] {
    return [...this.#summaries(tenant)];
  }

  *#summaries(tenant: string): Generator<SegmentSummary> {
    for (const file of listOrNothing(this.#fs, this.#layout.tenant(tenant)).toSorted()) {
      const segment = segmentOfFile(file);
      if (segment === undefined || !isSegmentName(segment)) continue;
      const stat = this.#fs.stat(this.#layout.segment(tenant, segment));
      if (stat && !stat.isDirectory) yield { tenant, segment, bytes: stat.bytes };
    }
  }

  async scan(tenant: string, segment: string, start?: ScanStart): Promise<SegmentScan> {
    const file = this.#open(tenant, segment);
    try {
      const source = {
        tenant,
        segment,
        size: file.size(),
        read: (at: number, bytes: number, into?: Uint8Array) => readUpTo(file, at, bytes, into),
        pause: () => setImmediate(),
      };
      return await scanSegment(source, this.#digest, start);
    } catch (error) {
      throw diskError(error, `scanning segment ${tenant}/${segment} failed`);
    }
  }

  async flush(): Promise<void> {
    await Promise.all([...this.#writers.values()].map((writer) => writer.settled()));
    if (this.#failure) throw this.#failure;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const writer of this.#writers.values()) await writer.close();
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
    this.#last = undefined;
    if (this.#failure) throw this.#failure;
  }

  /** How far a segment that this process wrote is durable, and how many frames that are. */
  durable(tenant: string, segment: string): Coverage | undefined {
    const growing = this.#writers.get(tenant)?.growing;
    if (growing?.segment !== segment) return this.#sealed.get(`${tenant}/${segment}`);
    return { bytes: growing.bytes, frames: growing.frames, sealed: false };
  }

  writtenBytes(tenant: string, segment: string): number | undefined {
    return this.durable(tenant, segment)?.bytes;
  }

  /** Goes on writing where an earlier process ended in good order. */
  resume(tenant: string, growing: GrowingSegment): void {
    this.#writers.set(tenant, new SegmentWriter(this.#context, tenant, growing));
  }

  growing(tenant: string): string | undefined {
    return this.#writers.get(tenant)?.growing?.segment;
  }

  async seal(tenant: string): Promise<void> {
    await this.#writers.get(tenant)?.seal();
  }

  async remove(tenant: string, segment: string): Promise<void> {
    this.forget(tenant, segment);
    try {
      removeFile(this.#fs, this.#layout.segment(tenant, segment));
      // Also where the file is gone: an earlier attempt may have failed here.
      await this.#fs.syncDirectory(this.#layout.tenant(tenant), "removed segment");
    } catch (error) {
      throw diskError(error, `removing segment ${tenant}/${segment} failed`);
    }
    this.#sealed.delete(`${tenant}/${segment}`);
  }

  freeBytes(): number {
    try {
      return this.#fs.freeBytes(this.#layout.root);
    } catch (error) {
      throw diskError(error, "asking for the room on the disk failed");
    }
  }

  /** Forgets an open file, before it is moved or replaced. */
  forget(tenant: string, segment: string): void {
    const name = `${tenant}/${segment}`;
    this.#files.get(name)?.close();
    this.#files.delete(name);
    this.#sealed.delete(name);
    this.#last = undefined;
  }

  #writer(tenant: string): SegmentWriter {
    let writer = this.#writers.get(tenant);
    if (!writer) {
      writer = new SegmentWriter(this.#context, tenant);
      this.#writers.set(tenant, writer);
    }
    return writer;
  }

  /** Waits until one more writer may hold a file open. */
  async #makeRoom(next: SegmentWriter): Promise<void> {
    for (;;) {
      const others = [...this.#writers.values()].filter(
        (writer) => writer !== next && (writer.open || !writer.idle || this.#entering.has(writer)),
      );
      if (others.length < limits.openFilesMax) {
        this.#entering.add(next);
        return;
      }
      const idle = others.find((writer) => writer.idle && !this.#entering.has(writer));
      if (idle) idle.park();
      else await Promise.race(others.map((writer) => writer.settled()));
    }
  }

  #open(tenant: string, segment: string): OpenFile {
    if (this.#last?.segment === segment && this.#last.tenant === tenant) return this.#last.file;
    const name = `${tenant}/${segment}`;
    const known = this.#files.get(name);
    if (known) {
      this.#files.delete(name);
      this.#files.set(name, known);
      this.#last = { tenant, segment, file: known };
      return known;
    }
    let file: OpenFile;
    try {
      file = this.#fs.open(this.#layout.segment(tenant, segment), "read");
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw diskError(error, `opening segment ${tenant}/${segment} failed`);
      throw new PayloadStoreError("GONE", `there is no segment ${tenant}/${segment}`, {
        cause: error,
        details: { tenant, segment },
      });
    }
    this.#files.set(name, file);
    this.#last = { tenant, segment, file };
    if (this.#files.size > limits.openFilesMax) {
      const [oldest] = this.#files;
      if (oldest) {
        oldest[1].close();
        this.#files.delete(oldest[0]);
      }
    }
    return file;
  }
}

/** Names in a folder, none where there is no folder. */
export function listOrNothing(fs: FileSystem, path: string): string[] {
  try {
    return fs.list(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return [];
    throw error;
  }
}

function endsBefore(tenant: string, segment: string, expected: number, found: number): PayloadStoreError {
  return new PayloadStoreError(
    "CORRUPT",
    `segment ${tenant}/${segment} ends at byte ${found}, expected at least ${expected}`,
    {
      details: { tenant, segment, expected, found },
    },
  );
}
