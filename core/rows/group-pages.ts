import type { ExpiringCount, PageRecord } from "../ports/offset-index.ts";
import { decodePage, type Page } from "../page/page.ts";
import type { Digest } from "../ports/digest.ts";
import { SegmentBinding } from "../segment/binding.ts";
import type { Decoded } from "../segment/decoded.ts";
import { decodeFrameHeader, decodeFramePage } from "../segment/frame.ts";
import type { SegmentDamage } from "../segment/scan.ts";
import type { IdHasher } from "./id-hasher.ts";
import type { IdHash, PageHashes, Row } from "./row.ts";

/** A row as it was read: what it says, or what is wrong with it. */
export interface ReadRow {
  readonly sequence: number;
  readonly row: Decoded<Row>;
  /** As it is stored. */
  readonly record: Uint8Array;
}

/** The newest sequence that a row stands for. */
export function endOf({ sequence, row }: ReadRow): number {
  return row.ok ? (row.value.covers?.upTo ?? sequence) : sequence;
}

/** Divides a group's rows into those that count, and those that one before them stands for. Both oldest first. */
export function dividedRows(rows: readonly ReadRow[]): { counting: readonly ReadRow[]; covered: readonly ReadRow[] } {
  const counting: ReadRow[] = [];
  const covered: ReadRow[] = [];
  let upTo = 0;
  for (const row of rows) {
    if (row.sequence <= upTo) covered.push(row);
    else {
      counting.push(row);
      upTo = endOf(row);
    }
  }
  return { counting, covered };
}

export interface Answer {
  readonly records: readonly PageRecord[];
  readonly incomplete?: SegmentDamage | undefined;
  readonly byHash?: true | undefined;
}

/** What the rows of one store are read with. */
export interface GroupPagesTools {
  readonly hasher: IdHasher;
  readonly digest: Digest;
}

/** What a group's rows say, without any further request. */
export class GroupPages {
  readonly #tenant: string;
  readonly #group: string;
  /** Those that count, oldest first. */
  readonly #rows: readonly ReadRow[];
  readonly #covered: readonly ReadRow[];
  readonly #tools: GroupPagesTools;
  readonly #hashes = new Map<number, PageHashes | string>();

  constructor(
    key: { readonly tenant: string; readonly group: string },
    rows: readonly ReadRow[],
    tools: GroupPagesTools,
  ) {
    this.#tenant = key.tenant;
    this.#group = key.group;
    const { counting, covered } = dividedRows(rows);
    this.#rows = counting;
    this.#covered = covered;
    this.#tools = tools;
  }

  /** The newest sequence there is, 0 for none. */
  get last(): number {
    const newest = this.#rows.at(-1);
    return newest ? endOf(newest) : 0;
  }

  /** The record of a closed row, which has to be opened before the group is written. */
  get closed(): Uint8Array | undefined {
    const newest = this.#rows.at(-1);
    return newest?.row.ok && newest.row.value.covers?.closed ? newest.record : undefined;
  }

  /** Whether rows are missing between those that are there. */
  get hasGap(): boolean {
    let expected = 1;
    for (const row of this.#rows) {
      if (row.sequence !== expected) return true;
      expected = endOf(row) + 1;
    }
    return false;
  }

  /** Segments that pages lie in, or did, which others stand for: they are kept for a grace. */
  *replaced(): Generator<{ readonly tenant: string; readonly segment: string }> {
    const tenant = this.#tenant;
    for (const { row } of this.#rows)
      if (row.ok && row.value.covers) yield { tenant, segment: row.value.covers.replaces };
    for (const { row } of this.#covered)
      if (row.ok && !row.value.place.inline) yield { tenant, segment: row.value.place.segment };
  }

  /** The pages that are not hidden, newest first. */
  all(): Answer {
    const records: PageRecord[] = [];
    let incomplete: SegmentDamage | undefined;
    for (const { sequence, says, record } of this.#newestFirst()) {
      if (typeof says === "string") {
        incomplete ??= this.#damage(sequence, says);
        continue;
      }
      records.push(record!);
      if (says.clearsGroup) return { records, incomplete };
    }
    return { records, incomplete: incomplete ?? this.#missing(0) };
  }

  /** The page that decides about an id. */
  decide(id: string): Answer {
    const hash = this.#tools.hasher.id(this.#tenant, this.#group, id);
    for (const { sequence, says, record } of this.#newestFirst()) {
      if (typeof says === "string") return { records: [], incomplete: this.#damage(sequence, says) };
      if (says.entries.includes(hash)) {
        const byHash = record!.place.held === undefined && !says.expires ? true : undefined;
        return { records: [record!], incomplete: this.#missing(sequence), byHash };
      }
      if (says.clearsGroup || says.deleted.includes(hash)) {
        return { records: [], incomplete: this.#missing(sequence) };
      }
    }
    return { records: [], incomplete: this.#missing(0) };
  }

  /** The pages that may answer a request, newest first. */
  answering(key: string): Answer {
    const hash = this.#tools.hasher.request(this.#tenant, this.#group, key);
    const records: PageRecord[] = [];
    let incomplete: SegmentDamage | undefined;
    for (const { sequence, says, record } of this.#newestFirst()) {
      if (typeof says === "string") incomplete ??= this.#damage(sequence, says);
      else if (says.requests.includes(hash)) records.push(record!);
    }
    return { records, incomplete: incomplete ?? this.#missing(0) };
  }

  /** How many payloads the group has, and whether some of them may have expired. */
  count(): ExpiringCount & { readonly incomplete?: SegmentDamage | undefined } {
    const live = new Set<IdHash>();
    let incomplete: SegmentDamage | undefined;
    let expires = false;
    for (const { sequence, says } of [...this.#newestFirst()].toReversed()) {
      if (typeof says === "string") {
        incomplete = this.#damage(sequence, says);
        continue;
      }
      if (says.clearsGroup) {
        live.clear();
        incomplete = undefined;
        expires = false;
      }
      expires ||= says.expires === true;
      for (const hash of says.deleted) live.delete(hash);
      for (const hash of says.entries) live.add(hash);
    }
    return {
      payloads: live.size,
      incomplete: incomplete ?? this.#missing(0),
      // Rows do not say when: the pages do.
      ...(expires ? { expiresMs: 0 } : {}),
    };
  }

  /** Every page that can be read, oldest first. */
  *records(): Generator<PageRecord> {
    for (const row of this.#rows) {
      const record = this.#record(row);
      if (record) yield record;
    }
  }

  /** Rows that cannot be read, and the newest that is missing. */
  *damage(): Generator<SegmentDamage> {
    for (const { sequence, says } of this.#newestFirst())
      if (typeof says === "string") yield this.#damage(sequence, says);
    const missing = this.#missing(0);
    if (missing) yield missing;
  }

  *#newestFirst(): Generator<{ sequence: number; says: PageHashes | string; record: PageRecord | undefined }> {
    for (const read of this.#rows.toReversed()) {
      yield { sequence: read.sequence, says: this.#says(read), record: this.#record(read) };
    }
  }

  #record({ sequence, row }: ReadRow): PageRecord | undefined {
    if (!row.ok) return undefined;
    return { tenant: this.#tenant, group: this.#group, sequence, place: row.value.place };
  }

  /** What a row's page says, or what is wrong with it. */
  #says(read: ReadRow): PageHashes | string {
    let says = this.#hashes.get(read.sequence);
    if (says === undefined) {
      says = hashesOf(this.#tenant, this.#group, read, this.#tools);
      this.#hashes.set(read.sequence, says);
    }
    return says;
  }

  /** The newest rows that are missing above `sequence`. */
  #missing(sequence: number): SegmentDamage | undefined {
    let expected = this.last;
    for (const row of this.#rows.toReversed()) {
      if (endOf(row) !== expected) break;
      expected = row.sequence - 1;
    }
    return expected > sequence ? this.#damage(expected, `row ${expected} is missing`) : undefined;
  }

  #damage(sequence: number, reason: string): SegmentDamage {
    const [tenant, group] = [this.#tenant, this.#group];
    const where = `row ${sequence} of ${JSON.stringify(`${tenant}/${group}`)}`;
    return { tenant, segment: where, start: 0, end: 0, reason, frames: 1, group, sequence };
  }
}

/** What a row's page says, or what is wrong with it. */
export function hashesOf(
  tenant: string,
  group: string,
  { row }: ReadRow,
  { hasher, digest }: GroupPagesTools,
): PageHashes | string {
  if (!row.ok) return row.damage;
  if (row.value.hashes) return row.value.hashes;
  const page = heldPage(row.value, digest);
  return page.ok ? hasher.page(tenant, group, page.value) : page.damage;
}

function heldPage({ place }: Row, digest: Digest): Decoded<Page> {
  const head = (place.held ?? new Uint8Array(0)).subarray(0, place.headBytes);
  const binding = new SegmentBinding(digest, place.segment);
  const header = decodeFrameHeader(head, place.offset, binding);
  if (!header.ok) return header;
  const page = decodeFramePage(head, header.value, place.offset, binding);
  return page.ok ? decodePage(page.value) : page;
}
