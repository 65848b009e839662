import { bytesEqual, concat, utf8, utf8Text, view } from "../bytes.ts";
import { damaged, decoded, type Decoded } from "../segment/decoded.ts";
import type { ArrayOffsetIndex } from "./array-offset-index.ts";
import type { PageColumns } from "./page-table.ts";
import { isFields, isList, isPair, isSavedState, isWhole, type SavedState } from "./saved-state.ts";

/**
 * A checkpoint of the index: what a start need not read from the segments again. docs/format.md §8. It is not a source of
 * truth: a damaged or missing one costs a rebuild, nothing else.
 *
 *   0  magic           8   "PAYLIDX\n"
 *   8  version         4   1
 *  12  summary length  4
 *  16  crc             4   CRC-32 over bytes 0–15, 20–23, the summary and the arrays, from the CRC-32 of the store's secret
 *  20  reserved        4
 *  24  summary             JSON, UTF-8, padded with spaces to a multiple of 8
 *      arrays              the columns and tables, each little-endian, one after the other
 */
export const checkpointVersion = 1;

const magic = utf8("PAYLIDX\n");
const headerBytes = 24;

interface Summary extends SavedState {
  readonly collisions: readonly (readonly [string, number])[];
  readonly pages: number;
  readonly groups: { readonly words: number; readonly used: number };
  readonly ids: { readonly words: number; readonly used: number };
  readonly terms: { readonly words: number; readonly used: number };
  /** Pages of all attributes. */
  readonly termPages: number;
}

type Crc32 = (bytes: Uint8Array, seed?: number) => number;

/** Saved tables are those of little-endian machines. */
export const littleEndian: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Entries of a list in the summary that are made text of in one step, and bytes that are checked in one: some 0.2 ms. */
const entriesPerStep = 512;
const bytesPerStep = 524_288;

/** What making text of a byte costs in bytes that are copied or checked. */
const costOfText = 8;

/**
 * A checkpoint of the index as it is when the first step is taken: that copies the tables, and what is committed later is not in it.
 *
 * @returns after each step about how many bytes it copied or checked; at last its own bytes, one part behind the other; `undefined`
 *   on a big-endian machine, which does without checkpoints
 * Cost: memory for one copy; 0.4 ms a MiB for the first step, less than half a millisecond for each of the others.
 */
export function* encodeCheckpoint(
  index: ArrayOffsetIndex,
  secret: Uint8Array,
  crc32: Crc32,
): Generator<number, readonly Uint8Array[] | undefined> {
  if (!littleEndian) return undefined;
  const summary = summaryOf(index);
  const arrays = copyOfArrays(index);
  yield arrays.length;
  const text: Uint8Array[] = [];
  for (const part of textOf(summary)) {
    text.push(utf8(part));
    yield part.length * costOfText;
  }
  const textBytes = text.reduce((total, part) => total + part.length, 0);
  const padding = utf8(" ".repeat((8 - (textBytes % 8)) % 8));
  const header = new Uint8Array(headerBytes);
  const data = view(header);
  header.set(magic, 0);
  data.setUint32(8, checkpointVersion, true);
  data.setUint32(12, textBytes + padding.length, true);
  let crc = crc32(header.subarray(20), crc32(header.subarray(0, 16), crc32(secret)));
  for (const part of [...text, padding, arrays]) {
    for (let at = 0; at < part.length; at += bytesPerStep) {
      const some = part.subarray(at, at + bytesPerStep);
      crc = crc32(some, crc);
      yield some.length;
    }
  }
  data.setUint32(16, crc, true);
  return [header, ...text, padding, arrays];
}

/** Nothing of it changes when the index does. */
function summaryOf(index: ArrayOffsetIndex): Summary {
  const { groupTable, idTable, termTable, pages } = index;
  return {
    segments: index.segments.copy(),
    totals: index.tenantTotals.entries(),
    damage: index.damageNotes.all(),
    collisions: [...index.collisions],
    pages: pages.count,
    groups: { words: groupTable.words.length, used: groupTable.size },
    ids: { words: idTable.words.length, used: idTable.size },
    terms: { words: termTable.table.words.length, used: termTable.table.size },
    termPages: termTable.count,
  };
}

function copyOfArrays({ groupTable, idTable, termTable, pages }: ArrayOffsetIndex): Uint8Array {
  const columns = pages.columns();
  const termColumns = termTable.columns();
  const arrays = [
    columns.offset,
    columns.segment,
    columns.headBytes,
    columns.sequence,
    columns.previous,
    groupTable.words,
    idTable.words,
    termTable.table.words,
    termColumns.page,
    termColumns.previous,
  ].map((array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  return concat(arrays);
}

/** The JSON of a summary, a few entries of its lists at a time. */
function* textOf(summary: Summary): Generator<string> {
  let part = "{";
  for (const [name, value] of Object.entries(summary) as [string, unknown][]) {
    part += `${part === "{" ? "" : ","}${JSON.stringify(name)}:`;
    if (!Array.isArray(value)) {
      part += JSON.stringify(value);
      continue;
    }
    for (let at = 0; at < value.length; at += entriesPerStep) {
      part += (at > 0 ? "," : "[") + JSON.stringify(value.slice(at, at + entriesPerStep)).slice(1, -1);
      if (at + entriesPerStep >= value.length) break;
      yield part;
      part = "";
    }
    part += value.length > 0 ? "]" : "[]";
  }
  yield `${part}}`;
}

/**
 * Fills an empty index from a checkpoint.
 * @param bytes  aligned to 8 bytes; the index keeps views into it
 * @returns what is wrong with the checkpoint, if anything; the index is then not to be used
 */
export function restoreCheckpoint(
  index: ArrayOffsetIndex,
  bytes: Uint8Array,
  secret: Uint8Array,
  crc32: Crc32,
): Decoded<true> {
  if (!littleEndian) return damaged("checkpoints are read on little-endian machines only");
  if (bytes.length < headerBytes || !bytesEqual(bytes.subarray(0, 8), magic)) return damaged("not a checkpoint");
  const data = view(bytes);
  if (data.getUint32(16, true) !== checkpointCrc(bytes, secret, crc32)) return damaged("checkpoint crc differs");
  const version = data.getUint32(8, true);
  if (version !== checkpointVersion) return damaged(`checkpoint version ${version}, expected ${checkpointVersion}`);
  const start = headerBytes + data.getUint32(12, true);
  const summary = parseSummary(bytes.subarray(headerBytes, start));
  if (!summary) return damaged("checkpoint summary is malformed");
  const { pages, groups, ids, terms, termPages } = summary;
  if (start + pages * 24 + (groups.words + ids.words + terms.words + 2 * termPages) * 4 !== bytes.length)
    return damaged("checkpoint and its summary differ in length");

  let at = bytes.byteOffset + start;
  const offset = new Float64Array(bytes.buffer, at, pages);
  at += pages * 8;
  const words = (length: number) => {
    const array = new Int32Array(bytes.buffer, at, length);
    at += length * 4;
    return array;
  };
  const columns: PageColumns = {
    offset,
    segment: words(pages),
    headBytes: words(pages),
    sequence: words(pages),
    previous: words(pages),
  };
  if (!columnsHold(columns, summary.segments.length)) return damaged("checkpoint: table of pages");
  index.pages.restore(columns);
  if (!index.groupTable.restore(words(groups.words), groups.used)) return damaged("checkpoint: table of groups");
  if (!index.idTable.restore(words(ids.words), ids.used)) return damaged("checkpoint: table of ids");
  const termWords = words(terms.words);
  const termColumns = { page: words(termPages), previous: words(termPages) };
  if (!index.termTable.restore(termColumns, termWords, terms.used, pages))
    return damaged("checkpoint: table of attributes");
  const pagesHold = index.groupTable.firstValuesWithin(pages) && index.idTable.firstValuesWithin(pages);
  if (!pagesHold || summary.collisions.some(([, page]) => page >= pages))
    return damaged("checkpoint names pages it has not");
  index.segments.restore(summary.segments);
  index.tenantTotals.restore(summary.totals);
  for (const note of summary.damage) index.damageNotes.add(note);
  for (const [name, page] of summary.collisions) index.collisions.set(name, page);
  return decoded(true);
}

function parseSummary(bytes: Uint8Array): Summary | undefined {
  let summary: unknown;
  try {
    summary = JSON.parse(utf8Text(bytes) ?? "");
  } catch {
    return undefined;
  }
  return isSummary(summary) ? summary : undefined;
}

function isSummary(value: unknown): value is Summary {
  return (
    isSavedState(value) &&
    isFields(value) &&
    isList(value["collisions"], (entry) => isPair(entry, "string") && isWhole(entry[1], -1)) &&
    isWhole(value["pages"]) &&
    isSize(value["groups"]) &&
    isSize(value["ids"]) &&
    isSize(value["terms"]) &&
    isWhole(value["termPages"])
  );
}

function isSize(value: unknown): boolean {
  return isFields(value) && isWhole(value["words"]) && isWhole(value["used"]);
}

/** Whether every page names a segment there is, and only pages before it; so a walk through a group ends. */
function columnsHold(columns: PageColumns, segments: number): boolean {
  for (let page = 0; page < columns.segment.length; page++) {
    const segment = columns.segment[page] ?? -1;
    const previous = columns.previous[page] ?? -1;
    if (segment < 0 || segment >= segments || previous < 0 || previous > page) return false;
    if ((columns.sequence[page] ?? 0) < 1 || (columns.headBytes[page] ?? 0) < 1 || !isWhole(columns.offset[page]))
      return false;
  }
  return true;
}

function checkpointCrc(bytes: Uint8Array, secret: Uint8Array, crc32: Crc32): number {
  return crc32(bytes.subarray(20), crc32(bytes.subarray(0, 16), crc32(secret)));
}
