import { cheaperReference, listPrices, placeFrames, type Prices, type RowSizes, writeUnits } from "./placement.ts";

/** What a store holds, or is to hold. All groups alike, and all payloads: give averages. */
export interface StoreShape {
  readonly groups: number;
  readonly commitsPerGroup: number;
  readonly payloadsPerCommit: number;
  /** Of one payload as it is stored, after compression, in bytes. */
  readonly storedBytes: number;
  /** Of an id, and of a group's name, in bytes of UTF-8. */
  readonly idBytes: number;
  readonly groupBytes: number;
}

/** What is asked of AWS to store all of it once, and to read each group once, as a whole. */
export interface RequestEstimate {
  readonly objectPuts: number;
  readonly objectGets: number;
  readonly writeUnits: number;
  readonly readUnits: number;
  readonly dollars: number;
}

/**
 * Bytes of memory of the index in typed arrays, `index: "memory"` of a folder: docs/operations.md, "What a configuration takes".
 * Ids and names are not in it, so their lengths do not matter.
 */
export function estimateIndexMemory({ groups, commitsPerGroup, payloadsPerCommit }: StoreShape): number {
  const commits = groups * commitsPerGroup;
  return 24 * roomFor(commits) + 12 * slotsFor(commits * payloadsPerCommit) + 28 * slotsFor(groups);
}

/** By a price list; storage, compaction and what lost races cost are not in it. docs/cost.md. */
export function estimateRequests(shape: StoreShape, prices: Prices = listPrices): RequestEstimate {
  const { groups, commitsPerGroup, payloadsPerCommit, storedBytes, idBytes, groupBytes } = shape;
  const headBytes = frameHeadBytes + groupBytes + payloadsPerCommit * (entryBytes + idBytes);
  const row: RowSizes = {
    inline: rowBytes + groupBytes + headBytes + payloadsPerCommit * storedBytes,
    head: rowBytes + groupBytes + headBytes,
    pointer: rowBytes + groupBytes + hashBytes * (payloadsPerCommit + 1),
  };
  const isApart = placeFrames([row], prices)[0] !== "inline";
  const kept = isApart ? row[cheaperReference(row)] : row.inline;
  const commits = groups * commitsPerGroup;
  const counts = {
    objectPuts: isApart ? commits : 0,
    objectGets: isApart ? commits * getsOf(headBytes, payloadsPerCommit * storedBytes, row) : 0,
    writeUnits: commits * writeUnits(kept),
    readUnits: groups * Math.ceil((commitsPerGroup * kept) / 4096),
  };
  const { objectPuts, objectGets, readUnits } = counts;
  const dollars =
    objectPuts * prices.objectPut +
    objectGets * prices.objectGet +
    counts.writeUnits * prices.writeUnit +
    readUnits * prices.readUnit;
  return { ...counts, dollars };
}

/** With a frame's head come its blocks, as far as they fit; where the row keeps the head, and for the rest, blocks are read in parts. */
function getsOf(headBytes: number, bodyBytes: number, row: RowSizes): number {
  const partsOf = (bytes: number): number => Math.ceil(Math.max(0, bytes) / partBytes);
  return cheaperReference(row) === "head" ? partsOf(bodyBytes) : 1 + partsOf(headBytes + bodyBytes - readAheadBytes);
}

/** Of a row beside what it keeps: names of attributes, key with a tenant, record. And of a frame's head, and of a page's entry. */
const rowBytes = 80;
const frameHeadBytes = 90;
const entryBytes = 18;
const hashBytes = 8;
const readAheadBytes = 524_288;
const partBytes = 8_388_608;

/** Rooms of a table of pages, which grows by half: core/index/page-table.ts. */
function roomFor(pages: number): number {
  let room = 64;
  while (room < pages) room = Math.ceil(room * 1.5);
  return room;
}

/** Slots of a hash table, which doubles when three quarters are taken: core/index/word-table.ts. */
function slotsFor(keys: number): number {
  let slots = 16;
  while (keys > slots * 0.75) slots *= 2;
  return slots;
}
