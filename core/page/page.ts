import { ByteReader, ByteWriter } from "../byte-stream.ts";
import { view } from "../bytes.ts";
import { PayloadStoreError } from "../errors.ts";
import { invariant } from "../invariant.ts";
import { limits } from "../limits.ts";
import type { CodecCode } from "../ports/codec.ts";
import { blockHeaderBytes } from "../segment/block.ts";
import { damaged, decoded, type Decoded } from "../segment/decoded.ts";
import { isSegmentName, segmentNameBytes } from "../segment/name.ts";
import { type MergedPages, readMerged, type Tier, writeMerged } from "./merged-pages.ts";
import { type PageRequest, readRequest, writeRequest } from "./page-request.ts";

export type { FirstPlace, MergedPages, MergedRequest, Tier } from "./merged-pages.ts";
export type { PageRequest } from "./page-request.ts";

/**
 * A page: the index record of one commit. docs/format.md §7.
 *
 * The raw bytes of a page's payloads, one after the other in the order of its entries, are its stream; its blocks are
 * that stream cut at payload boundaries, or inside one payload that is longer than a block. So an entry needs its length
 * only: where it lies follows from the lengths before it.
 */
export interface Page {
  /** 16 random bytes: a commit meets its own page when its answer was lost. */
  readonly commitId: Uint8Array;
  /** The idempotent request that the whole page is the answer to. */
  readonly request?: PageRequest | undefined;
  /** Hides every payload the group had before. */
  readonly clearsGroup: boolean;
  /** Set where compaction made the page of others. */
  readonly merged?: MergedPages | undefined;
  /** Ids this page hides. */
  readonly deleted: readonly string[];
  /** The object that holds the blocks, where their owner put them; otherwise they lie behind the page. */
  readonly upload?: string | undefined;
  readonly blocks: readonly PageBlock[];
  readonly entries: readonly PageEntry[];
}

/** A block as its page knows it. In the segment each block has a header of its own as well. */
export interface PageBlock {
  readonly codec: CodecCode;
  readonly rawBytes: number;
  /** Length of the body, without the block's header. */
  readonly bodyBytes: number;
  /** CRC-32 of the body, bound to the upload's name and the block's offset. In an upload alone, where blocks have no headers. */
  readonly crc?: number | undefined;
}

export interface PageEntry {
  readonly id: string;
  /** Length of the payload, in bytes. */
  readonly bytes: number;
  /** The first 96 bits of the payload's SHA-256, as 24 hex digits. */
  readonly etag: string;
  readonly contentType?: string | undefined;
  readonly attributes?: Attributes | undefined;
  /** From when on it counts as absent, milliseconds since 1970. */
  readonly expiresMs?: number | undefined;
  /** Of an entry that was merged: when it was committed, and where it stands in the group's order. */
  readonly origin?: EntryOrigin | undefined;
}

export interface EntryOrigin {
  readonly timeMs: number;
  readonly sequence: number;
  readonly position: number;
}

/** Small facts to find a payload by, kept in the page beside its id. */
export type Attributes = Readonly<Record<string, string>>;

/** Where an entry's bytes lie, relative to the first byte after the frame's head. */
export interface EntryPlace {
  readonly entry: PageEntry;
  /** Offset of the first block that holds it. */
  readonly offset: number;
  /** Bytes of the blocks that hold it, headers included: one read. 0 for an empty payload. */
  readonly storedBytes: number;
  /** The codec of the first of these blocks. */
  readonly codec: CodecCode;
  /** Where the payload begins in the raw bytes of these blocks. */
  readonly start: number;
  /** The blocks, one after the other. */
  readonly blocks: readonly PageBlock[];
  /** The upload that holds them; `offset` is then one of its own. */
  readonly upload?: string | undefined;
  /** Of its page, 0 where it was not merged. */
  readonly tier: Tier;
  /** The payload's share of the stored bytes, by raw length, rounded up: shares of a block's payloads add up to it or a little more. */
  readonly storedShare: number;
}

export const etagBytes = 12;
const commitIdAt = 2;
const commitIdBytes = 16;
const pageVersion = 0;
const clearsGroupFlag = 1;
const requestFlag = 2;
const uploadFlag = 4;
const mergedFlag = 8;
export const attributesFlag = 1;
export const expiresFlag = 2;
export const originFlag = 4;

/**
 * @throws {PayloadStoreError} `TOO_LARGE` when the page exceeds `limits.pageBytesMax`
 */
export function encodePage(page: Page): Uint8Array {
  invariant(page.commitId.length === commitIdBytes, "commit id length");
  const types = new Map<string, number>();
  for (const { contentType } of page.entries) {
    if (contentType !== undefined && !types.has(contentType)) types.set(contentType, types.size + 1);
  }
  const writer = new ByteWriter(64 + page.entries.length * 64);
  writer.uint8(pageVersion);
  const { upload } = page;
  const flags = [
    page.clearsGroup && clearsGroupFlag,
    page.request && requestFlag,
    upload !== undefined && uploadFlag,
    page.merged && mergedFlag,
  ];
  writer.uint8(flags.reduce<number>((sum, flag) => sum | (flag || 0), 0));
  writer.bytes(page.commitId);
  if (page.request) writeRequest(writer, page.request);
  if (upload !== undefined) writer.text(upload);
  if (page.merged) writeMerged(writer, page.merged);
  writer.varint(page.blocks.length);
  for (const block of page.blocks) {
    writer.uint8(block.codec);
    writer.varint(block.rawBytes);
    writer.varint(block.bodyBytes);
    if (upload !== undefined) writer.bytes(uint32Bytes(block.crc ?? 0));
  }
  writer.varint(types.size);
  for (const type of types.keys()) writer.text(type);
  writer.varint(page.deleted.length);
  for (const id of page.deleted) writer.text(id);
  writer.varint(page.entries.length);
  for (const entry of page.entries) {
    writer.text(entry.id);
    writer.varint(entry.bytes);
    writer.hex(entry.etag);
    writer.varint(entry.contentType === undefined ? 0 : (types.get(entry.contentType) ?? 0));
    const { attributes, expiresMs, origin } = entry;
    writer.uint8(
      (attributes ? attributesFlag : 0) | (expiresMs === undefined ? 0 : expiresFlag) | (origin ? originFlag : 0),
    );
    if (attributes) writeAttributes(writer, attributes);
    if (expiresMs !== undefined) writer.varint(expiresMs);
    if (origin) for (const value of [origin.timeMs, origin.sequence, origin.position]) writer.varint(value);
  }
  if (writer.length > limits.pageBytesMax) {
    throw new PayloadStoreError(
      "TOO_LARGE",
      `the commit's page has ${writer.length} bytes; at most ${limits.pageBytesMax}: commit fewer payloads at once`,
    );
  }
  return writer.finish();
}

/**
 * Decodes a whole page; nothing of it lies in `bytes`. Every length is bounded by the bytes there are before anything is
 * allocated for it.
 */
export function decodePage(bytes: Uint8Array): Decoded<Page> {
  const reader = new ByteReader(bytes);
  const opening = readOpening(reader);
  const blocks: PageBlock[] = [];
  for (let left = reader.count(blocksMax, minBlockBytes); left > 0 && !reader.failed; left--)
    blocks.push(readBlock(reader, opening));
  const names = readNames(reader);
  const entries: PageEntry[] = [];
  let streamBytes = 0;
  for (let left = reader.count(limits.commitPayloadsMax, minEntryBytes); left > 0 && !reader.failed; left--) {
    const entry = readEntry(reader, reader.text(limits.nameBytesMax), names.types);
    streamBytes += entry.bytes;
    entries.push(entry);
  }
  if (reader.failed || reader.remaining !== 0) return damaged("page is malformed");
  if (streamBytes !== sum(blocks, (block) => block.rawBytes))
    return damaged("page: payloads and blocks differ in length");
  const commitId = new Uint8Array(bytes.subarray(commitIdAt, commitIdAt + commitIdBytes));
  return decoded({ commitId, ...opening, deleted: names.deleted, blocks, entries });
}

/** @returns where every entry of a page lies, in the order of the entries. Cost: one pass over entries and blocks. */
export function placeEntries(page: Page): Decoded<EntryPlace[]> {
  const places: EntryPlace[] = [];
  const cursor = firstBlock();
  let streamStart = 0;
  for (const entry of page.entries) {
    const place = placeEntry(page, page.blocks, entry, streamStart, cursor);
    if (!place) return damaged(`page: ${JSON.stringify(entry.id)} lies in no block`);
    places.push(place);
    streamStart += entry.bytes;
  }
  return decoded(places);
}

/** As {@link placeEntries}, of a page that was made here, or decoded and found good. */
export function placesOf(page: Page): EntryPlace[] {
  const places = placeEntries(page);
  invariant(places.ok, "a good page places its entries");
  return places.value;
}

/** A page, and where each of its entries lies, in their order. */
export interface PlacedEntries {
  readonly page: Page;
  readonly places: readonly EntryPlace[];
}

/** Decodes a page and places its entries. */
export function decodePlacedPage(bytes: Uint8Array): Decoded<PlacedEntries> {
  const page = decodePage(bytes);
  if (!page.ok) return page;
  const places = placeEntries(page.value);
  return places.ok ? decoded({ page: page.value, places: places.value }) : places;
}

/** The block that was looked at last, and where it begins: entries are placed in the order of the stream. */
export interface BlockCursor {
  block: number;
  offset: number;
  rawStart: number;
  /** The block alone, which all entries inside it share as their {@link EntryPlace.blocks}. */
  alone: readonly PageBlock[] | undefined;
}

export function firstBlock(): BlockCursor {
  return { block: 0, offset: 0, rawStart: 0, alone: undefined };
}

/** An entry lies inside one block, or consists of whole blocks. */
export function placeEntry(
  { upload, merged }: Pick<Page, "upload" | "merged">,
  blocks: readonly PageBlock[],
  entry: PageEntry,
  streamStart: number,
  cursor: BlockCursor,
): EntryPlace | undefined {
  const tier = merged?.tier ?? 0;
  if (entry.bytes === 0) {
    return { entry, offset: 0, storedBytes: 0, codec: 0, start: 0, blocks: [], tier, storedShare: 0 };
  }
  const isUpload = upload !== undefined;
  let block = blocks[cursor.block];
  while (block && streamStart >= cursor.rawStart + block.rawBytes) {
    cursor.rawStart += block.rawBytes;
    cursor.offset += storedBytes(block.bodyBytes, isUpload);
    cursor.block += 1;
    cursor.alone = undefined;
    block = blocks[cursor.block];
  }
  if (!block) return undefined;
  const start = streamStart - cursor.rawStart;
  const { codec } = block;
  let { rawBytes } = block;
  let stored = storedBytes(block.bodyBytes, isUpload);
  let holding: readonly PageBlock[];
  if (start + entry.bytes <= rawBytes) {
    cursor.alone ??= [block];
    holding = cursor.alone;
  } else {
    const several = [block];
    while (rawBytes < start + entry.bytes) {
      const next = blocks[cursor.block + several.length];
      if (!next) return undefined;
      rawBytes += next.rawBytes;
      stored += storedBytes(next.bodyBytes, isUpload);
      several.push(next);
    }
    if (start !== 0 || rawBytes !== entry.bytes) return undefined;
    holding = several;
  }
  const storedShare = Math.ceil((stored * entry.bytes) / rawBytes);
  return {
    entry,
    offset: cursor.offset,
    storedBytes: stored,
    codec,
    start,
    blocks: holding,
    upload,
    tier,
    storedShare,
  };
}

/** A block holds a payload or more, or is a slice of one; the slices of all fit in what a commit or an upload may hold. */
export const blocksMax: number = limits.commitPayloadsMax + Math.ceil(limits.uploadBytesMax / limits.blockRawBytesMax);

export const minBlockBytes: number = 3;
/** Of a block's CRC-32 in a page, which it has in an upload alone. */
export const crcBytes: number = 4;
export const minEntryBytes: number = 1 + 1 + 1 + etagBytes + 1 + 1;

/** What a page begins with, but for its commit id. */
export type PageOpening = Pick<Page, "request" | "clearsGroup" | "merged" | "upload">;

export function readOpening(reader: ByteReader): PageOpening {
  if (reader.uint8() !== pageVersion) reader.fail();
  const flags = reader.uint8();
  if (flags & ~(clearsGroupFlag | requestFlag | uploadFlag | mergedFlag)) reader.fail();
  reader.skip(commitIdBytes);
  const request = flags & requestFlag ? readRequest(reader) : undefined;
  const upload = flags & uploadFlag ? reader.text(segmentNameBytes) : undefined;
  if (upload !== undefined && !isSegmentName(upload)) reader.fail();
  const merged = flags & mergedFlag ? readMerged(reader) : undefined;
  return { request, clearsGroup: (flags & clearsGroupFlag) !== 0, merged, upload };
}

export function readBlock(reader: ByteReader, { upload }: PageOpening): PageBlock {
  const codec = reader.uint8();
  const rawBytes = reader.varint();
  const bodyBytes = reader.varint();
  const crc = upload === undefined ? undefined : readUint32(reader);
  if (!isBlock(codec, rawBytes, bodyBytes, upload !== undefined)) reader.fail();
  const code = codec === 1 || codec === 2 ? codec : 0;
  return crc === undefined ? { codec: code, rawBytes, bodyBytes } : { codec: code, rawBytes, bodyBytes, crc };
}

/** Whether a block can be what its page says. */
export function isBlock(codec: number, rawBytes: number, bodyBytes: number, isUpload: boolean): boolean {
  if (rawBytes < 1 || rawBytes > limits.blockRawBytesMax || bodyBytes < 0 || bodyBytes > 2 * limits.blockRawBytesMax)
    return false;
  return isUpload ? codec === 0 && rawBytes === bodyBytes : codec === 0 || codec === 1 || codec === 2;
}

/** Bytes of a block where it lies, with its header where it has one. */
export function storedBytes(bodyBytes: number, isUpload: boolean): number {
  return isUpload ? bodyBytes : blockHeaderBytes + bodyBytes;
}

/** The names between blocks and entries: content types, and ids that the page hides. */
export function readNames(reader: ByteReader): {
  readonly types: readonly string[];
  readonly deleted: readonly string[];
} {
  const types: string[] = [];
  for (let left = reader.count(limits.commitPayloadsMax); left > 0 && !reader.failed; left--) {
    types.push(reader.text(limits.contentTypeBytesMax));
  }
  const deleted: string[] = [];
  for (let left = reader.count(limits.commitPayloadsMax); left > 0 && !reader.failed; left--) {
    deleted.push(reader.text(limits.nameBytesMax));
  }
  return { types, deleted };
}

function uint32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(crcBytes);
  view(bytes).setUint32(0, value, true);
  return bytes;
}

function readUint32(reader: ByteReader): number {
  const bytes = reader.bytes(crcBytes);
  return bytes.length === crcBytes ? view(bytes).getUint32(0, true) : 0;
}

export function readEntry(reader: ByteReader, id: string, types: readonly string[]): PageEntry {
  const bytes = reader.varint();
  const etag = reader.hex(etagBytes);
  const type = reader.varint();
  const flags = reader.uint8();
  if (type > types.length || flags & ~(attributesFlag | expiresFlag | originFlag)) reader.fail();
  const attributes = flags & attributesFlag ? readAttributes(reader) : undefined;
  const entry: PageEntry = { id, bytes, etag, contentType: types[type - 1], attributes };
  if (!(flags & (expiresFlag | originFlag))) return entry;
  const expiresMs = flags & expiresFlag ? reader.varint() : undefined;
  const origin =
    flags & originFlag ? { timeMs: reader.varint(), sequence: reader.varint(), position: reader.varint() } : undefined;
  return { ...entry, expiresMs, origin };
}

function writeAttributes(writer: ByteWriter, attributes: Attributes): void {
  const inner = new ByteWriter();
  const pairs = Object.entries(attributes);
  inner.varint(pairs.length);
  for (const [name, value] of pairs) {
    inner.text(name);
    inner.text(value);
  }
  writer.varint(inner.length);
  writer.bytes(inner.finish());
}

function readAttributes(reader: ByteReader): Attributes {
  const inner = new ByteReader(reader.bytes(reader.varint()));
  const pairs: [string, string][] = [];
  for (let left = inner.count(limits.attributesCountMax, 2); left > 0 && !inner.failed; left--) {
    const name = inner.text(limits.attributesBytesMax);
    pairs.push([name, inner.text(limits.attributesBytesMax)]);
  }
  if (inner.failed || inner.remaining !== 0) reader.fail();
  return Object.fromEntries(pairs);
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
