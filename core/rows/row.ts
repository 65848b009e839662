import { ByteReader, ByteWriter } from "../byte-stream.ts";
import { setUint64, utf8, view } from "../bytes.ts";
import { PayloadStoreError } from "../errors.ts";
import { invariant } from "../invariant.ts";
import { limits } from "../limits.ts";
import type { Tier } from "../page/page.ts";
import type { Digest } from "../ports/digest.ts";
import type { FramePlace } from "../ports/segment-store.ts";
import { damaged, decoded, type Decoded } from "../segment/decoded.ts";
import { crcText } from "../segment/header.ts";
import { isSegmentName } from "../segment/name.ts";

/**
 * The record of one page, as attribute `r` of its row. docs/format.md §11.
 *
 *   0  version          1   0
 *   1  kind             1   1 page, 2 a page that stands for those behind it, too
 *   2  keeps            1   what of the frame follows: 0 hashes, 1 its head, 2 all of it
 *   3  segment         26   the segment's name; of a frame that is kept whole, its own
 *  29  offset      varint   of the frame in the segment
 *      head        varint   length of the frame's head
 *      body        varint   length of its blocks
 *      kind 2:
 *        flags          1   1 closed; 2, 4 how its payloads are compressed: 0, 1 or 2
 *        up to     varint   rows behind this one, up to here, do not count
 *        replaces      26   name of the segment that the row referred to before
 *        raw       varint   bytes of its payloads
 *      keeps 1, 2           the frame's first bytes
 *      keeps 0:
 *        flags          1   1 hides the group, 2 answers a request, 4 some of what it brings expires
 *        request        8   hash of the idempotency key, if it answers one; of kind 2 a count (varint), then 8 bytes each
 *        deleted   varint   count, then 8 bytes each: hashes of the ids it hides
 *        entries   varint   count, then 8 bytes each: hashes of the ids it brings
 *      crc              4   CRC-32 over the store's secret, the row's key and everything before
 */
export interface Row {
  readonly place: FramePlace;
  readonly bodyBytes: number;
  /** Where the row does not keep the page. */
  readonly hashes?: PageHashes | undefined;
  /** Set where the row stands for others. */
  readonly covers?: Covers | undefined;
}

/** What a row stands for that compaction made. docs/decisions/0026. */
export interface Covers {
  /** Rows behind this one up to here do not count, and may be gone. */
  readonly upTo: number;
  /** Name of the segment that the row referred to before: who read the row then may still be reading it. */
  readonly replaces: string;
  /** The group has no payloads, and the row is about to go: whoever writes opens it first. */
  readonly closed: boolean;
  readonly tier: Tier;
  /** Lengths of its payloads, in bytes. */
  readonly rawBytes: number;
}

/** What a page says, by the first 64 bits of keyed hashes. */
export interface PageHashes {
  readonly clearsGroup: boolean;
  /** Whether some of what it brings expires: then it takes the page to know whether it is there. */
  readonly expires?: true | undefined;
  /** Of the requests that it answers: its own, or those of the pages that it stands for. */
  readonly requests: readonly IdHash[];
  readonly deleted: readonly IdHash[];
  readonly entries: readonly IdHash[];
}

/** 8 bytes, as a key of maps. */
export type IdHash = bigint;

const rowVersion = 0;
const pageKind = 1;
const coverKind = 2;
const keepsHashes = 0;
const keepsHead = 1;
const keepsFrame = 2;
const clearsGroupFlag = 1;
const requestFlag = 2;
const closedFlag = 1;
const tierShift = 1;
const expiresFlag = 4;
const hashBytes = 8;
const crcBytes = 4;
const nameBytes = 26;
const nameDecoder = new TextDecoder();

/** Bytes of a row. DynamoDB's own bound for an item is 400 KB. */
export const rowBytesMax: number = 400 * 1024;

/** Bytes of a row besides its record: the names and values of its key, and the name of the record. */
export function keyBytes(pk: string): number {
  return "pk".length + utf8(pk).length + "sk".length + 8 + "r".length;
}

/** Bytes of a record that keeps `kept` bytes of its frame. */
export function keepingRecordBytes(kept: number): number {
  return 3 + nameBytes + 3 * 5 + kept + crcBytes;
}

/** Bytes of a record of hashes. */
export function hashRecordBytes(ids: number): number {
  return 3 + nameBytes + 3 * 5 + 1 + hashBytes + 2 * 3 + hashBytes * ids + crcBytes;
}

/** The checksum of a row's record. */
export type RowCrc = (body: Uint8Array, pk: string, sequence: number) => number;

/**
 * Bound to the row's key, so that a record which was copied to another row fails; and to the secret, so that hashes made with
 * another one, after a store lost its own, are damage and never absence.
 */
export function rowCrcOf(secret: Uint8Array, digest: Digest): RowCrc {
  const seed = digest.crc32(secret);
  const key = new Uint8Array(8);
  const keyView = view(key);
  return (body, pk, sequence) => {
    setUint64(keyView, 0, sequence);
    return digest.crc32(body, digest.crc32(key, digest.crc32(utf8(pk), seed)));
  };
}

export function encodeRow(row: Row, pk: string, sequence: number, crcOf: RowCrc): Uint8Array {
  const { place, bodyBytes, hashes, covers } = row;
  const writer = new ByteWriter(128 + (place.held?.length ?? 0));
  writer.uint8(rowVersion);
  writer.uint8(covers ? coverKind : pageKind);
  writer.uint8(hashes ? keepsHashes : place.inline ? keepsFrame : keepsHead);
  writer.bytes(utf8(place.segment));
  writer.varint(place.offset);
  writer.varint(place.headBytes);
  writer.varint(bodyBytes);
  if (covers) {
    writer.uint8((covers.closed ? closedFlag : 0) | (covers.tier << tierShift));
    writer.varint(covers.upTo);
    writer.bytes(utf8(covers.replaces));
    writer.varint(covers.rawBytes);
  }
  if (hashes) {
    const { clearsGroup, requests, expires } = hashes;
    invariant(covers !== undefined || requests.length <= 1, "a page answers one request");
    const flags = [clearsGroup && clearsGroupFlag, requests.length > 0 && requestFlag, expires && expiresFlag];
    writer.uint8(flags.reduce<number>((sum, flag) => sum | (flag || 0), 0));
    if (covers && requests.length > 0) writer.varint(requests.length);
    for (const hash of requests) writer.bytes(bytesOfHash(hash));
    for (const list of [hashes.deleted, hashes.entries]) {
      writer.varint(list.length);
      for (const hash of list) writer.bytes(bytesOfHash(hash));
    }
  } else {
    writer.bytes(place.held ?? new Uint8Array(0));
  }
  const crc = new Uint8Array(crcBytes);
  view(crc).setUint32(0, crcOf(writer.finish(), pk, sequence), true);
  writer.bytes(crc);
  return writer.finish();
}

/**
 * @returns the record, or its damage
 * @throws {PayloadStoreError} `UNSUPPORTED_VERSION` when the record is whole, and of a version or kind unknown here
 */
export function decodeRow(bytes: Uint8Array, pk: string, sequence: number, crcOf: RowCrc): Decoded<Row> {
  if (bytes.length < crcBytes + 3) return damaged(`record of ${bytes.length} bytes`);
  const body = bytes.subarray(0, bytes.length - crcBytes);
  const stored = view(bytes).getUint32(body.length, true);
  const computed = crcOf(body, pk, sequence);
  if (stored !== computed) return damaged(`record crc ${crcText(stored)} ≠ ${crcText(computed)}`);
  const reader = new ByteReader(body);
  const version = reader.uint8();
  const kind = reader.uint8();
  if (version !== rowVersion || (kind !== pageKind && kind !== coverKind)) {
    const found = `version ${version}, kind ${kind}`;
    const message = `row ${sequence} of ${JSON.stringify(pk)} has ${found}; this release reads version ${rowVersion}, kinds ${pageKind} and ${coverKind}`;
    throw new PayloadStoreError("UNSUPPORTED_VERSION", message, { details: { found: version, expected: rowVersion } });
  }
  const keeps = reader.uint8();
  const segment = nameDecoder.decode(reader.bytes(nameBytes));
  const offset = reader.varint();
  const headBytes = reader.varint();
  const bodyBytes = reader.varint();
  const covers = kind === coverKind ? readCovers(reader, sequence) : undefined;
  if (reader.failed || keeps > keepsFrame || !isSegmentName(segment)) return damaged("record is malformed");
  const place = { segment, offset, headBytes };
  const standing = covers && { covers };
  if (keeps === keepsHashes) {
    const hashes = readHashes(reader, covers !== undefined);
    if (reader.failed || reader.remaining !== 0) return damaged("record is malformed");
    return decoded({ place, bodyBytes, hashes, ...standing });
  }
  const held = reader.bytes(reader.remaining);
  const expected = keeps === keepsFrame ? headBytes + bodyBytes : headBytes;
  if (held.length !== expected) return damaged(`record keeps ${held.length} bytes of a frame, expected ${expected}`);
  const kept = { ...place, held, ...(keeps === keepsFrame ? { inline: true as const } : {}) };
  return decoded({ place: kept, bodyBytes, ...standing });
}

export function samePlace(a: FramePlace, b: FramePlace): boolean {
  return a.segment === b.segment && a.offset === b.offset;
}

function readCovers(reader: ByteReader, sequence: number): Covers {
  const flags = reader.uint8();
  const tier = flags >> tierShift;
  const upTo = reader.varint();
  const replaces = nameDecoder.decode(reader.bytes(nameBytes));
  const rawBytes = reader.varint();
  if (tier > 2 || upTo < sequence || upTo > limits.sequenceMax || !isSegmentName(replaces)) reader.fail();
  return { upTo, replaces, closed: (flags & closedFlag) !== 0, tier: tier === 2 ? 2 : tier === 1 ? 1 : 0, rawBytes };
}

/** @param several  whether there is a count of requests */
function readHashes(reader: ByteReader, several: boolean): PageHashes {
  const flags = reader.uint8();
  if (flags & ~(clearsGroupFlag | requestFlag | expiresFlag)) reader.fail();
  const requests = !(flags & requestFlag) ? [] : several ? readHashList(reader) : [readHash(reader)];
  const [deleted, entries] = [readHashList(reader), readHashList(reader)];
  const expires = flags & expiresFlag ? true : undefined;
  return { clearsGroup: (flags & clearsGroupFlag) !== 0, expires, requests, deleted, entries };
}

function readHashList(reader: ByteReader): IdHash[] {
  const hashes: IdHash[] = [];
  for (let left = reader.count(limits.commitPayloadsMax, hashBytes); left > 0 && !reader.failed; left--) {
    hashes.push(readHash(reader));
  }
  return hashes;
}

function readHash(reader: ByteReader): IdHash {
  const bytes = reader.bytes(hashBytes);
  return bytes.length === hashBytes ? view(bytes).getBigUint64(0, true) : 0n;
}

function bytesOfHash(hash: IdHash): Uint8Array {
  const bytes = new Uint8Array(hashBytes);
  view(bytes).setBigUint64(0, hash, true);
  return bytes;
}
