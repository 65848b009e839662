import type { ExpiringCount, PageRecord } from "../../ports/offset-index.ts";
import { decodePage, type Page } from "../../page/page.ts";
import type { Digest } from "../../ports/digest.ts";
import { SegmentBinding } from "../../segment/binding.ts";
import type { Decoded } from "../../segment/decoded.ts";
import { decodeFrameHeader, decodeFramePage } from "../../segment/frame.ts";
import type { SegmentDamage } from "../../segment/scan.ts";
import type { IdHasher } from "./id-hasher.ts";
import type { IdHash, PageHashes, Row } from "./row.ts";

/** A row as it was read: what it says, or what is wrong with it. */
export interface ReadRow {
  readonly sequence: number;
  readonly row: Decoded<Row>;
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
  /** Oldest first. */
  readonly #rows: readonly ReadRow[];
  readonly #hasher: IdHasher;
  readonly #digest: Digest;
  readonly #hashes = new Map<number, PageHashes | string>();

  constructor(
    key: { readonly tenant: string; readonly group: string },
    rows: readonly ReadRow[],
    tools: GroupPagesTools,
  ) {
    this.#tenant = key.tenant;
    this.#group = key.group;
    this.#rows = rows;
    this.#hasher = tools.hasher;
    this.#digest = tools.digest;
  }

  /** The newest sequence there is, 0 for none. */
  get last(): number {
    return this.#rows.at(-1)?.sequence ?? 0;
  }

  /** Whether rows are missing between those that are there. */
  get hasGap(): boolean {
    return this.#rows.length !== this.last;
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
    const hash = this.#hasher.id(this.#tenant, this.#group, id);
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
    const hash = this.#hasher.request(this.#tenant, this.#group, key);
    const records: PageRecord[] = [];
    let incomplete: SegmentDamage | undefined;
    for (const { sequence, says, record } of this.#newestFirst()) {
      if (typeof says === "string") incomplete ??= this.#damage(sequence, says);
      else if (says.request === hash) records.push(record!);
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
  #says({ sequence, row }: ReadRow): PageHashes | string {
    let says = this.#hashes.get(sequence);
    if (says === undefined) {
      says = row.ok ? this.#hashesOf(row.value) : row.damage;
      this.#hashes.set(sequence, says);
    }
    return says;
  }

  #hashesOf(row: Row): PageHashes | string {
    if (row.hashes) return row.hashes;
    const page = heldPage(row, this.#digest);
    return page.ok ? this.#hasher.page(this.#tenant, this.#group, page.value) : page.damage;
  }

  /** The newest rows that are missing above `sequence`. */
  #missing(sequence: number): SegmentDamage | undefined {
    let expected = this.last;
    for (const row of this.#rows.toReversed()) {
      if (row.sequence !== expected) break;
      expected -= 1;
    }
    return expected > sequence ? this.#damage(expected, `row ${expected} is missing`) : undefined;
  }

  #damage(sequence: number, reason: string): SegmentDamage {
    const [tenant, group] = [this.#tenant, this.#group];
    const where = `row ${sequence} of ${JSON.stringify(`${tenant}/${group}`)}`;
    return { tenant, segment: where, start: 0, end: 0, reason, frames: 1, group, sequence };
  }
}

function heldPage({ place }: Row, digest: Digest): Decoded<Page> {
  const head = (place.held ?? new Uint8Array(0)).subarray(0, place.headBytes);
  const binding = new SegmentBinding(digest, place.segment);
  const header = decodeFrameHeader(head, place.offset, binding);
  if (!header.ok) return header;
  const page = decodeFramePage(head, header.value, place.offset, binding);
  return page.ok ? decodePage(page.value) : page;
}
