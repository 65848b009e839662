import { ByteReader, ByteWriter } from "../../byte-stream.ts";
import { setUint64, utf8, view } from "../../bytes.ts";
import { PayloadStoreError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { Digest } from "../../ports/digest.ts";
import type { FramePlace } from "../../ports/segment-store.ts";
import { damaged, decoded, type Decoded } from "../../segment/decoded.ts";
import { crcText } from "../../segment/header.ts";
import { isSegmentName } from "../../segment/name.ts";

/**
 * The record of one page, as attribute `r` of its row. docs/format.md §11.
 *
 *   0  version          1   0
 *   1  kind             1   1 page
 *   2  keeps            1   what of the frame follows: 0 hashes, 1 its head, 2 all of it
 *   3  segment         26   the segment's name; of a frame that is kept whole, its own
 *  29  offset      varint   of the frame in the segment
 *      head        varint   length of the frame's head
 *      body        varint   length of its blocks
 *      keeps 1, 2           the frame's first bytes
 *      keeps 0:
 *        flags          1   1 hides the group, 2 answers a request, 4 some of what it brings expires
 *        request        8   hash of the idempotency key, if it answers one
 *        deleted   varint   count, then 8 bytes each: hashes of the ids it hides
 *        entries   varint   count, then 8 bytes each: hashes of the ids it brings
 *      crc              4   CRC-32 over the store's secret, the row's key and everything before
 */
export interface Row {
  readonly place: FramePlace;
  readonly bodyBytes: number;
  /** Where the row does not keep the page. */
  readonly hashes?: PageHashes | undefined;
}

/** What a page says, by the first 64 bits of keyed hashes. */
export interface PageHashes {
  readonly clearsGroup: boolean;
  /** Whether some of what it brings expires: then it takes the page to know whether it is there. */
  readonly expires?: true | undefined;
  readonly request?: IdHash | undefined;
  readonly deleted: readonly IdHash[];
  readonly entries: readonly IdHash[];
}

/** 8 bytes, as a key of maps. */
export type IdHash = bigint;

const rowVersion = 0;
const pageKind = 1;
const keepsHashes = 0;
const keepsHead = 1;
const keepsFrame = 2;
const clearsGroupFlag = 1;
const requestFlag = 2;
const expiresFlag = 4;
const hashBytes = 8;
const crcBytes = 4;
const nameBytes = 26;

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
  return (body, pk, sequence) => {
    const key = new Uint8Array(8);
    setUint64(view(key), 0, sequence);
    return digest.crc32(body, digest.crc32(key, digest.crc32(utf8(pk), seed)));
  };
}

export function encodeRow(row: Row, pk: string, sequence: number, crcOf: RowCrc): Uint8Array {
  const { place, bodyBytes, hashes } = row;
  const writer = new ByteWriter(128 + (place.held?.length ?? 0));
  writer.uint8(rowVersion);
  writer.uint8(pageKind);
  writer.uint8(hashes ? keepsHashes : place.inline ? keepsFrame : keepsHead);
  writer.bytes(utf8(place.segment));
  writer.varint(place.offset);
  writer.varint(place.headBytes);
  writer.varint(bodyBytes);
  if (hashes) {
    const { clearsGroup, request, expires } = hashes;
    const flags = [clearsGroup && clearsGroupFlag, request !== undefined && requestFlag, expires && expiresFlag];
    writer.uint8(flags.reduce<number>((sum, flag) => sum | (flag || 0), 0));
    if (hashes.request !== undefined) writer.bytes(bytesOfHash(hashes.request));
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
  if (version !== rowVersion || kind !== pageKind) {
    const found = `version ${version}, kind ${kind}`;
    const message = `row ${sequence} of ${JSON.stringify(pk)} has ${found}; this release reads version ${rowVersion}, kind ${pageKind}`;
    throw new PayloadStoreError("UNSUPPORTED_VERSION", message, { details: { found: version, expected: rowVersion } });
  }
  const keeps = reader.uint8();
  const segment = new TextDecoder().decode(reader.bytes(nameBytes));
  const offset = reader.varint();
  const headBytes = reader.varint();
  const bodyBytes = reader.varint();
  if (reader.failed || keeps > keepsFrame || !isSegmentName(segment)) return damaged("record is malformed");
  const place = { segment, offset, headBytes };
  if (keeps === keepsHashes) {
    const hashes = readHashes(reader);
    if (reader.failed || reader.remaining !== 0) return damaged("record is malformed");
    return decoded({ place, bodyBytes, hashes });
  }
  const held = reader.bytes(reader.remaining);
  const expected = keeps === keepsFrame ? headBytes + bodyBytes : headBytes;
  if (held.length !== expected) return damaged(`record keeps ${held.length} bytes of a frame, expected ${expected}`);
  return decoded({ place: { ...place, held, ...(keeps === keepsFrame ? { inline: true } : {}) }, bodyBytes });
}

export function samePlace(a: FramePlace, b: FramePlace): boolean {
  return a.segment === b.segment && a.offset === b.offset;
}

function readHashes(reader: ByteReader): PageHashes {
  const flags = reader.uint8();
  if (flags & ~(clearsGroupFlag | requestFlag | expiresFlag)) reader.fail();
  const request = flags & requestFlag ? readHash(reader) : undefined;
  const [deleted, entries] = [readHashList(reader), readHashList(reader)];
  const expires = flags & expiresFlag ? true : undefined;
  return { clearsGroup: (flags & clearsGroupFlag) !== 0, expires, request, deleted, entries };
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
