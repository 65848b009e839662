import type { Digest } from "../ports/digest.ts";
import type { RowTable, StoredRow } from "../ports/row-table.ts";
import { damaged } from "../segment/decoded.ts";
import { segmentTimeMs } from "../segment/name.ts";
import { dividedRows, endOf, hashesOf, type ReadRow } from "./group-pages.ts";
import { IdHasher } from "./id-hasher.ts";
import {
  decodeRow,
  encodeRow,
  type IdHash,
  type PageHashes,
  type Row,
  type RowCrc,
  rowCrcOf,
  samePlace,
} from "./row.ts";

/** The rows of a group, as compaction sees them. */
export interface GroupRows {
  readonly tenant: string;
  readonly group: string;
  /** Those that count, oldest first. */
  readonly counting: readonly CountingRow[];
  /** Those that one before them stands for, oldest first. */
  readonly covered: readonly ReadRow[];
  /** When the first of them was read, by the date of the request; 0 where that is not known. */
  readonly knownMs: number;
  /** Rows are missing between those that count. */
  readonly hasGap: boolean;
}

/** A row that counts, and what its page says; a text says what is wrong with it. */
export interface CountingRow extends ReadRow {
  readonly says: PageHashes | string;
}

/** What a row is about to hold instead. */
export interface RowSwap {
  readonly partition: string;
  readonly before: ReadRow;
  readonly row: Row;
  readonly restsOnMs: number;
}

/** Rows as compaction reads and changes them. docs/decisions/0026. */
export class CompactedRows {
  readonly #rows: RowTable;
  readonly #digest: Digest;
  readonly #crcOf: RowCrc;
  readonly hasher: IdHasher;

  constructor({ rows, secret, digest }: { rows: RowTable; secret: Uint8Array; digest: Digest }) {
    this.#rows = rows;
    this.#digest = digest;
    this.#crcOf = rowCrcOf(secret, digest);
    this.hasher = new IdHasher(secret);
  }

  /** A group as it is now. Cost: one query of all its rows. */
  async group(tenant: string, group: string): Promise<GroupRows> {
    const rows: StoredRow[] = [];
    let knownMs: number | undefined;
    for await (const page of this.#rows.query(`${tenant}/${group}`)) {
      knownMs ??= page.signedMs;
      rows.push(...page.rows);
    }
    return this.#groupOf(`${tenant}/${group}`, rows, knownMs ?? 0);
  }

  /**
   * Every group, one after the other. Each part of one may be read at another time.
   * @param after  goes on behind this partition of an earlier scan
   */
  async *groups(tenant?: string, after?: string): AsyncGenerator<GroupRows> {
    let partition = "";
    let rows: StoredRow[] = [];
    const from = after === undefined ? undefined : { partition: after, number: Number.MAX_SAFE_INTEGER };
    for await (const { partition: of, ...stored } of this.#rows.scan(tenant && `${tenant}/`, from)) {
      if (of.startsWith("~")) continue;
      if (of !== partition && rows.length > 0) yield this.#groupOf(partition, rows, 0);
      if (of !== partition) rows = [];
      partition = of;
      rows.push(stored);
    }
    if (rows.length > 0) yield this.#groupOf(partition, rows, 0);
  }

  /** The record of a row, for its length. */
  encode({ partition, before, row }: Omit<RowSwap, "restsOnMs">): Uint8Array {
    return encodeRow(row, partition, before.sequence, this.#crcOf);
  }

  /** Puts a row in the place of one that was read, if it is there still. Cost: one write. @returns whether it is there */
  async swap({ partition, before, row, restsOnMs }: RowSwap): Promise<boolean> {
    const key = { partition, number: before.sequence };
    const record = this.encode({ partition, before, row });
    const put = await this.#rows.put(key, record, { holds: before.record }, restsOnMs);
    if (put.kind === "done") return true;
    // The answer to an earlier try may have been lost.
    const there = put.there && this.#read(partition, put.there);
    return there?.row.ok === true && samePlace(there.row.value.place, row.place);
  }

  /** Removes a row, if it is what was read. Cost: one write. @returns whether it is gone */
  async remove(partition: string, { sequence, record }: ReadRow, restsOnMs: number): Promise<boolean> {
    const removed = await this.#rows.remove({ partition, number: sequence }, record, restsOnMs);
    return removed.kind === "done" || removed.there === undefined;
  }

  #groupOf(partition: string, stored: readonly StoredRow[], knownMs: number): GroupRows {
    const at = partition.indexOf("/");
    const [tenant, group] = [partition.slice(0, at), partition.slice(at + 1)];
    const read = stored.map((row) => this.#read(partition, row));
    const { counting, covered } = dividedRows(read);
    let expected = 1;
    let hasGap = false;
    for (const row of counting) {
      hasGap ||= row.sequence !== expected;
      expected = endOf(row) + 1;
    }
    const tools = { hasher: this.hasher, digest: this.#digest };
    const saying = counting.map((row) => ({ ...row, says: hashesOf(tenant, group, row, tools) }));
    return { tenant, group, counting: saying, covered, knownMs, hasGap };
  }

  #read(partition: string, { number: sequence, record }: StoredRow): ReadRow {
    if (!record) return { sequence, row: damaged("the row has no record"), record: new Uint8Array(0) };
    return { sequence, row: decodeRow(record, partition, sequence, this.#crcOf), record };
  }
}

/** When a row's frame was made: at most 25 minutes before the row was put, by any clock. `Infinity` of a damaged one. */
export function madeMs({ row }: ReadRow): number {
  return row.ok ? segmentTimeMs(row.value.place.segment) : Infinity;
}

interface Mention {
  readonly index: number;
  brings: boolean;
  deletes: boolean;
}

/** What later rows say of the ids of earlier ones. */
export class Mentions {
  /** By id, oldest first. */
  readonly #of = new Map<IdHash, Mention[]>();
  readonly #clears: number[] = [];

  constructor(rows: readonly CountingRow[]) {
    for (const [index, { says }] of rows.entries()) {
      if (typeof says === "string") continue;
      if (says.clearsGroup) this.#clears.push(index);
      const deleted = new Set(says.deleted);
      for (const hash of says.deleted) this.#add(hash, { index, brings: false, deletes: true });
      for (const hash of says.entries) this.#add(hash, { index, brings: true, deletes: deleted.has(hash) });
    }
  }

  /** Whether no later row says anything of what row `index` brings. */
  isAlive(hash: IdHash, index: number): boolean {
    return this.newestClear <= index && this.#next(hash, index) === undefined;
  }

  /** Whether the next row that says anything of it brings it again: then it keeps its place in the order. */
  isOverwritten(hash: IdHash, index: number): boolean {
    const next = this.#next(hash, index);
    return next?.brings === true && !next.deletes && !this.#clears.some((at) => at > index && at <= next.index);
  }

  /** Whether what row `index` brings was deleted, then or later. */
  isErased(hash: IdHash, index: number): boolean {
    return (
      this.newestClear > index ||
      (this.#of.get(hash)?.some((mention) => mention.index > index && mention.deletes) ?? false)
    );
  }

  /** Whether a row before `index` brings an id, and none between says that the group has nothing. */
  hasBefore(hash: IdHash, index: number): boolean {
    return this.#of.get(hash)?.some((mention) => mention.index < index && mention.brings) ?? false;
  }

  /** The newest row that hides all before it, −1 if there is none. */
  get newestClear(): number {
    return this.#clears.at(-1) ?? -1;
  }

  #next(hash: IdHash, index: number) {
    return this.#of.get(hash)?.find((mention) => mention.index > index);
  }

  #add(hash: IdHash, mention: Mention): void {
    const known = this.#of.get(hash);
    const last = known?.at(-1);
    if (last?.index === mention.index) Object.assign(last, mention);
    else if (known) known.push(mention);
    else this.#of.set(hash, [mention]);
  }
}
