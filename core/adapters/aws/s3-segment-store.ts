import { setImmediate as nextTurn } from "node:timers/promises";
import pRetry, { AbortError } from "p-retry";
import { concat } from "../../bytes.ts";
import { isPayloadStoreError, PayloadStoreError } from "../../errors.ts";
import { invariant } from "../../invariant.ts";
import { limits } from "../../limits.ts";
import { cheaperReference, listPrices, placeFrames, type Prices, type RowSizes } from "../../placement.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Digest } from "../../ports/digest.ts";
import type { Random } from "../../ports/random.ts";
import type { FramePlace, SegmentSummary, WholeFrame, WholeSegments } from "../../ports/segment-store.ts";
import { SegmentBinding } from "../../segment/binding.ts";
import { storedBlockBytes } from "../../segment/block.ts";
import { encodeFooter, type FrameEntry } from "../../segment/footer.ts";
import { encodeFrame, groupCrc, headBytesOf, type FrameDraft, wholeSegment } from "../../segment/frame.ts";
import { encodeSegmentHeader, segmentHeaderBytes, syncMarkerBytes } from "../../segment/header.ts";
import { isSegmentName, SegmentNames } from "../../segment/name.ts";
import type { ScanStart, SegmentScan } from "../../segment/scan.ts";
import { strayFrame } from "../../segment/stray.ts";
import { awsError, httpStatus } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";
import { fence } from "./fence.ts";
import { hashRecordBytes, keepingRecordBytes, keyBytes } from "../../rows/row.ts";
import { meansAbsent } from "./object-absence.ts";
import type { S3 } from "./s3.ts";
import type { SegmentCache } from "./segment-cache.ts";

export interface S3SegmentStoreOptions {
  readonly s3: S3;
  readonly bucket: string;
  /** Of credentials that are bound to one tenant, whose name it is. */
  readonly boundTo?: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly digest: Digest;
  readonly deadline: Deadline;
  readonly prices?: Prices | undefined;
  /** `segments`: no frame ever lies in the index alone, so segments suffice to make the store anew. By default `priced`. */
  readonly placement?: "priced" | "segments" | undefined;
  /** Bytes of segments kept in memory, 32 MiB by default. */
  readonly cacheBytesMax?: number | undefined;
}

interface Waiting {
  readonly frame: FrameDraft;
  readonly resolve: (place: FramePlace) => void;
  readonly reject: (error: unknown) => void;
}

/** A frame, and where it has to begin if others rest on that. */
type ToPut = Pick<WholeFrame, "frame"> & { readonly offset?: number | undefined };

/** A frame that goes into a segment. */
interface Apart extends Waiting {
  /** Its row keeps its head. */
  readonly keepsHead: boolean;
}

/** PUTs of one tenant that are under way at the same time: one, and one that need not wait for it when it is long. */
const putsAtOnce = 2;

/** Short reads go on up to here, for what lies behind a frame's head is asked for next. */
const readAheadBytes = 524_288;

/** Bytes of one GET when a whole segment is scanned. */
const scanChunkBytes = 8_388_608;

/**
 * Segments as objects of a bucket, `segments/<tenant>/<name>.seg`, byte for byte as in a folder.
 *
 * Frames that are appended in one turn of the event loop, or while PUTs are under way, share a segment, which is complete and
 * sealed when it is put. What is cheaper kept in its row of the index gets no segment at all: its place holds the frame.
 */
export class S3SegmentStore implements WholeSegments {
  readonly failure = undefined;
  readonly #options: S3SegmentStoreOptions;
  readonly #names: SegmentNames;
  /** Made by the first read. */
  #cache: SegmentCache | undefined;
  readonly #gathering = new Map<string, Waiting[]>();
  /** By tenant, as what follows. */
  readonly #apart = new Map<string, Apart[]>();
  readonly #putting = new Map<string, Set<Promise<void>>>();
  #closed = false;

  constructor(options: S3SegmentStoreOptions) {
    this.#options = options;
    this.#names = new SegmentNames(options.clock, options.random);
  }

  append(tenant: string, frame: FrameDraft): Promise<FramePlace> {
    if (this.#closed) return Promise.reject(new PayloadStoreError("CLOSED", "the store is closed"));
    if (frame.restsIn !== undefined) return Promise.reject(strayFrame(tenant, frame));
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { frame, resolve, reject };
      const gathering = this.#gathering.get(tenant);
      if (gathering) gathering.push(waiting);
      else {
        this.#gathering.set(tenant, [waiting]);
        setImmediate(() => this.#place(tenant));
      }
    });
  }

  async appendWhole(tenant: string, frames: readonly WholeFrame[]): Promise<readonly FramePlace[]> {
    if (this.#closed) throw new PayloadStoreError("CLOSED", "the store is closed");
    const puts = this.#putting.get(tenant) ?? new Set();
    const putting = this.#put(tenant, frames);
    const end = () => {
      puts.delete(ending);
      this.#putNext(tenant);
    };
    const ending: Promise<void> = putting.then(end, end);
    puts.add(ending);
    this.#putting.set(tenant, puts);
    const places = await putting;
    return places.map(({ held, ...place }, i) =>
      cheaperReference(rowSizes(tenant, frames[i]!.frame)) === "head" ? { ...place, held } : place,
    );
  }

  async read(tenant: string, segment: string, offset: number, bytes: number): Promise<Uint8Array> {
    const key = objectKey(tenant, segment);
    if (bytes === 0) {
      await this.#sizeOf(key);
      return new Uint8Array(0);
    }
    const { SegmentCache } = await this.#options.s3.requests();
    this.#cache ??= new SegmentCache(this.#options.cacheBytesMax ?? 33_554_432);
    const cache = this.#cache;
    const cached = cache.get(key, offset, bytes);
    if (cached) return cached;
    const found = await this.#get(key, offset, offset + Math.max(bytes, readAheadBytes));
    if (found.bytes.length < bytes) throw endsBefore(key, offset + found.bytes.length, offset + bytes);
    cache.add(key, offset, found.bytes);
    return found.bytes.subarray(0, bytes);
  }

  async segments(): Promise<readonly SegmentSummary[]> {
    const { s3, bucket } = this.#options;
    const found: SegmentSummary[] = [];
    try {
      const { client, paginateListObjectsV2 } = await s3.requests();
      for await (const { Contents } of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix })) {
        for (const { Key, Size } of Contents ?? []) {
          const match = /^segments\/([^/]+)\/([^/]+)\.seg$/.exec(Key ?? "");
          if (match && isSegmentName(match[2]!))
            found.push({ tenant: match[1]!, segment: match[2]!, bytes: Size ?? 0 });
        }
      }
    } catch (error) {
      throw awsError(error, `listing the segments in bucket ${bucket} failed`);
    }
    return found;
  }

  async scan(tenant: string, segment: string, start?: ScanStart): Promise<SegmentScan> {
    // Handlers never scan: functions are deployed without it.
    const { scanSegment } = await import("../../segment/scan.ts");
    const key = objectKey(tenant, segment);
    const chunks = new Map<number, Uint8Array>();
    const first = await this.#get(key, 0, scanChunkBytes);
    chunks.set(0, first.bytes);
    const chunkAt = async (at: number) => {
      const known = chunks.get(at);
      if (known) return known;
      const chunk = (await this.#get(key, at, at + scanChunkBytes)).bytes;
      // A scan reads the end, then goes forward: few chunks are asked for twice.
      if (chunks.size >= 4) chunks.delete([...chunks.keys()][1]!);
      chunks.set(at, chunk);
      return chunk;
    };
    const read = async (offset: number, bytes: number) => {
      const parts: Uint8Array[] = [];
      for (let at = offset; at < Math.min(offset + bytes, first.size);) {
        const base = at - (at % scanChunkBytes);
        const chunk = await chunkAt(base);
        const end = Math.min(offset + bytes, base + chunk.length);
        if (end <= at) break;
        parts.push(chunk.subarray(at - base, end - base));
        at = end;
      }
      return parts.length === 1 ? parts[0]! : concat(parts);
    };
    return scanSegment({ tenant, segment, size: first.size, read }, this.#options.digest, start);
  }

  async flush(): Promise<void> {
    while (this.#gathering.size > 0 || this.#putting.size > 0) {
      await nextTurn();
      await Promise.all([...this.#putting.values()].flatMap((puts) => [...puts]));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  /** Decides where what has been gathered for a tenant goes. */
  #place(tenant: string): void {
    const { placement, prices } = this.#options;
    const gathered = this.#gathering.get(tenant) ?? [];
    this.#gathering.delete(tenant);
    const sizes = gathered.map(({ frame }) => rowSizes(tenant, frame));
    const apartAll = placement === "segments" || gathered.some(({ frame }) => frame.inSegment);
    const placements = apartAll ? sizes.map(cheaperReference) : placeFrames(sizes, prices ?? listPrices);
    const apart = this.#apart.get(tenant) ?? [];
    for (const [i, waiting] of gathered.entries()) {
      // Whoever needs no segment does not wait for one, nor fail with it.
      if (placements[i] === "inline") waiting.resolve(this.#inline(waiting.frame));
      else apart.push({ ...waiting, keepsHead: placements[i] === "head" });
    }
    if (apart.length > 0) this.#apart.set(tenant, apart);
    this.#putNext(tenant);
  }

  /** Puts what waits for a segment, in as many as their bounds ask for. */
  #putNext(tenant: string): void {
    const apart = this.#apart.get(tenant) ?? [];
    const puts = this.#putting.get(tenant) ?? new Set();
    while (apart.length > 0 && puts.size < putsAtOnce) {
      const batch = takeBounded(apart);
      const putting = this.#put(tenant, batch)
        .then((places) => {
          for (const [i, { held, ...place }] of places.entries()) {
            const { keepsHead, resolve } = batch[i]!;
            resolve(keepsHead ? { ...place, held } : place);
          }
        })
        .catch((error: unknown) => {
          for (const { reject } of batch) reject(error);
        })
        .then(() => {
          puts.delete(putting);
          this.#putNext(tenant);
        });
      puts.add(putting);
    }
    if (apart.length === 0) this.#apart.delete(tenant);
    if (puts.size > 0) this.#putting.set(tenant, puts);
    else this.#putting.delete(tenant);
  }

  /** One complete segment of all frames. */
  async #put(tenant: string, batch: readonly ToPut[]): Promise<(FramePlace & { held: Uint8Array })[]> {
    const { s3, bucket, clock, random, digest, deadline } = this.#options;
    const { client, PutObjectCommand } = await s3.requests();
    const namedMs = clock.nowMs();
    const segment = this.#names.next();
    const binding = new SegmentBinding(digest, segment);
    const marker = random.bytes(syncMarkerBytes);
    const parts = [encodeSegmentHeader({ tenant, segment, marker, createdMs: Math.floor(namedMs) }, binding)];
    const entries: FrameEntry[] = [];
    const places: (FramePlace & { held: Uint8Array })[] = [];
    let offset = segmentHeaderBytes;
    let groupCrcBefore = 0;
    for (const { frame, offset: planned = offset } of batch) {
      invariant(planned === offset, "a frame lies where those that rest on it were told");
      const context = { binding, marker, number: entries.length, groupCrcBefore };
      const restsIn = frame.restsIn === wholeSegment ? segment : frame.restsIn;
      const encoded = encodeFrame({ ...frame, restsIn }, offset, context);
      const { headBytes } = encoded;
      const { kind, group, sequence } = frame;
      entries.push({ group, kind, sequence, offset, headBytes, bodyBytes: encoded.bytes - headBytes });
      places.push({ segment, offset, headBytes, held: firstBytes(encoded.parts, headBytes) });
      parts.push(...encoded.parts);
      offset += encoded.bytes;
      groupCrcBefore = groupCrc(group, (bytes) => digest.crc32(bytes));
    }
    parts.push(encodeFooter({ frames: entries, voids: [] }, marker, offset, binding));
    const key = objectKey(tenant, segment);
    const command = new PutObjectCommand({ Bucket: bucket, Key: key, Body: concat(parts) });
    // A segment's name tells how old it is, also to who collects those that no page refers to.
    const put = fence(
      command.middlewareStack,
      Math.min(namedMs, ...batch.map(({ frame }) => frame.restsOnMs ?? Infinity)),
    );
    try {
      await client.send(command, deadline.options());
    } catch (error) {
      throw awsError(error, `storing segment ${key} in bucket ${bucket} failed`);
    }
    return places.map((place) => ({ ...place, storedMs: put.signedMs }));
  }

  /** A frame that lies in its row: a segment's frame without the segment. */
  #inline(frame: FrameDraft): FramePlace {
    const { digest, random } = this.#options;
    const segment = this.#names.next();
    const context = {
      binding: new SegmentBinding(digest, segment),
      marker: random.bytes(syncMarkerBytes),
      number: 0,
      groupCrcBefore: 0,
    };
    const { parts, headBytes } = encodeFrame(frame, 0, context);
    return { segment, offset: 0, headBytes, held: concat(parts), inline: true };
  }

  /** The bytes from `start` to `end`, or to the object's end. A body that is cut short is asked for again. */
  #get(key: string, start: number, end: number): Promise<{ readonly bytes: Uint8Array; readonly size: number }> {
    const { s3, bucket, deadline } = this.#options;
    const options = deadline.options();
    const attempt = async () => {
      const { client, GetObjectCommand } = await s3.requests();
      const command = new GetObjectCommand({ Bucket: bucket, Key: key, Range: `bytes=${start}-${end - 1}` });
      let answer;
      try {
        answer = await client.send(command, options);
      } catch (error) {
        // The client has tried again already whatever is worth it.
        throw new AbortError(await this.#readError(error, key, end));
      }
      invariant(answer.Body !== undefined, "a GET has a body");
      const bytes = await answer.Body.transformToByteArray();
      const size = Number(/\/(\d+)$/.exec(answer.ContentRange ?? "")?.[1] ?? bytes.length);
      if (bytes.length !== Math.min(end, size) - start) throw new Error(`the answer ended after ${bytes.length} bytes`);
      return { bytes, size };
    };
    const retrying = { retries: 3, minTimeout: 50, maxTimeout: 1_000, randomize: true, signal: options.abortSignal };
    return pRetry(attempt, retrying).catch((error: unknown) => {
      throw awsError(error, `reading ${key} from bucket ${bucket} failed`);
    });
  }

  async #readError(error: unknown, key: string, end: number): Promise<PayloadStoreError> {
    if (await meansAbsent(error, key, this.#options)) return gone(key);
    if (httpStatus(error) === 416) {
      const size = await this.#sizeOf(key).catch((failure: unknown) => failure);
      return isPayloadStoreError(size) ? size : endsBefore(key, Number(size), end);
    }
    return awsError(error, `reading ${key} from bucket ${this.#options.bucket} failed`);
  }

  async #sizeOf(key: string): Promise<number> {
    const { s3, bucket, deadline } = this.#options;
    try {
      const { client, HeadObjectCommand } = await s3.requests();
      const command = new HeadObjectCommand({ Bucket: bucket, Key: key });
      return (await client.send(command, deadline.options())).ContentLength ?? 0;
    } catch (error) {
      if (await meansAbsent(error, key, this.#options)) throw gone(key);
      throw awsError(error, `reading ${key} from bucket ${bucket} failed`);
    }
  }
}

const prefix = "segments/";

function objectKey(tenant: string, segment: string): string {
  return `${prefix}${tenant}/${segment}.seg`;
}

function gone(key: string): PayloadStoreError {
  return new PayloadStoreError("GONE", `there is no object ${key}`, { details: { key } });
}

function endsBefore(key: string, size: number, expected: number): PayloadStoreError {
  return new PayloadStoreError("CORRUPT", `object ${key} ends at byte ${size}, expected at least ${expected}`, {
    details: { key },
  });
}

/** Bytes of the rows that a frame's commit may be. */
function rowSizes(tenant: string, frame: FrameDraft): RowSizes {
  const key = keyBytes(`${tenant}/${frame.group}`);
  const headBytes = headBytesOf(frame);
  const bodyBytes = frame.blocks.reduce((sum, block) => sum + storedBlockBytes(block), 0);
  return {
    inline: key + keepingRecordBytes(headBytes + bodyBytes),
    head: key + keepingRecordBytes(headBytes),
    pointer: key + hashRecordBytes(frame.ids ?? Math.ceil(frame.page.length / 18)),
  };
}

/** Takes the first frames, as many as a segment may hold. */
function takeBounded(waiting: Apart[]): Apart[] {
  let bytes = 0;
  let count = 0;
  for (const { frame } of waiting) {
    bytes += frame.blocks.reduce((sum, block) => sum + storedBlockBytes(block), frame.page.length);
    if (count > 0 && (count >= limits.groupCommitFramesMax || bytes > limits.groupCommitBytesMax)) break;
    count += 1;
  }
  return waiting.splice(0, count);
}

function firstBytes(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  return (parts[0]!.length >= bytes ? parts[0]! : concat(parts)).slice(0, bytes);
}
