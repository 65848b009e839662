import { bytesEqual } from "../bytes.ts";
import { PayloadStoreError } from "../errors.ts";
import { GroupView } from "../group-view.ts";
import { headedPage } from "../lookup.ts";
import type { Page } from "../page/page.ts";
import type { Clock, Sleep } from "../ports/clock.ts";
import type { Digest } from "../ports/digest.ts";
import type {
  Basis,
  CommitOutcome,
  ExpiringCount,
  GroupCount,
  GroupSummary,
  OffsetIndex,
  PageRecord,
  Records,
  Totals,
} from "../ports/offset-index.ts";
import type { Random } from "../ports/random.ts";
import type { RowTable, StoredRow } from "../ports/row-table.ts";
import { blockHeaderBytes } from "../segment/block.ts";
import { segmentTimeMs } from "../segment/name.ts";
import { damaged } from "../segment/decoded.ts";
import type { FrameReader } from "../segment/read-frame.ts";
import type { SegmentDamage } from "../segment/scan.ts";
import { type Answer, endOf, GroupPages, type GroupPagesTools, type ReadRow } from "./group-pages.ts";
import { IdHasher } from "./id-hasher.ts";
import { knowledgeMsMax } from "./knowledge.ts";
import { type Known, KnownGroups } from "./known-groups.ts";
import { decodeRow, encodeRow, keyBytes, type RowCrc, rowBytesMax, rowCrcOf, samePlace } from "./row.ts";

export interface RowOffsetIndexOptions {
  readonly rows: RowTable;
  readonly clock: Clock;
  readonly sleep: Sleep;
  readonly random: Random;
  readonly digest: Digest;
  /** Of the store: ids are hashed with it, and rows sealed. */
  readonly secret: Uint8Array;
  /** Reads the pages that rows do not keep, for totals. */
  readonly frames: FrameReader;
}

/**
 * Who loses races one after the other waits, by chance, for up to twice as long each time; in milliseconds. So 50 processes
 * that append to one group all get through, where without it a tenth of them is refused after 16 tries.
 */
const waitMsFirst = 20;
const waitMsMax = 1_280;

/** A group is read so often at most, where the process stands still for longer than what it has read may be acted on. */
const viewsMax = 4;

/**
 * Pages as rows of a table: partition `<tenant>/<group>`, number the page's sequence. A page is committed by putting its row
 * on the condition that the sequence is free. docs/aws.md.
 *
 * Cost: a commit is one write; two more requests where another process wrote the group meanwhile and its newest sequence
 * is not known. A question about a group is one consistent query of all its rows, in pages.
 */
export class RowOffsetIndex implements OffsetIndex {
  readonly shared = true as const;
  readonly #options: RowOffsetIndexOptions;
  readonly #tools: GroupPagesTools;
  readonly #crcOf: RowCrc;
  readonly #known: KnownGroups;
  #damage: readonly SegmentDamage[] = [];
  #replaced: ReadonlySet<string> = new Set();

  constructor(options: RowOffsetIndexOptions) {
    const { secret, digest, clock } = options;
    this.#options = options;
    this.#tools = { hasher: new IdHasher(secret), digest };
    this.#crcOf = rowCrcOf(secret, digest);
    this.#known = new KnownGroups(clock);
  }

  /** @param foundMs  when the rows were put by which it is found, where it is: it is there soon after that, or never */
  async commit(record: PageRecord, page: Page, basis?: Basis, foundMs: number = Infinity): Promise<CommitOutcome> {
    const { rows, clock } = this.#options;
    const { tenant, group, sequence, place } = record;
    const partition = partitionOf(tenant, group);
    const rests = basis ?? this.#restsOn(partition, sequence);
    // What made it the next sequence is not known any more: it is refused, if it is not the page that is there.
    if (!rests) {
      const { row } = await rows.get({ partition, number: sequence });
      if (this.#isOf(record, row)) return { kind: "committed" };
      return { kind: "taken", last: this.#known.get(partition)?.basis.sequence ?? 0 };
    }
    // What the commit rests on, and the frame that it names, must not be older than any process may live. So a row whose
    // frame is older than that, and than requests are on their way, is what it will be: compaction takes no other.
    const isNew = place.inline || place.storedMs !== undefined;
    const madeMs = isNew ? segmentTimeMs(place.segment) : Infinity;
    const restsOnMs = Math.min(rests.knownMs, place.storedMs ?? Infinity, madeMs, foundMs);
    const askedMs = clock.nowMs();
    const key = { partition, number: sequence };
    const bytes = this.#encode(record, page);
    if (rests.closed && !(await this.#open(partition, rests.closed, restsOnMs))) {
      return { kind: "taken", last: await this.#askLast(partition) };
    }
    const put = await rows.put(key, bytes, "free", restsOnMs).catch((error: unknown) => {
      this.#known.forget(partition);
      throw error;
    });
    // Where it is this page that is there, the answer to an earlier try was lost.
    if (put.kind === "refused" && !this.#isOf(record, put.there)) {
      const met = this.#met(partition, sequence, put.there);
      // That a number is taken does not tell that the next one is not swept; but it was not there when this was known.
      const knownMs = sequence === 1 ? put.signedMs : Math.min(rests.knownMs, put.signedMs);
      const known = { basis: { ...met, knownMs }, askedMs };
      return { kind: "taken", last: await this.#afterLostRace(partition, sequence, known, basis !== undefined) };
    }
    this.#known.know(partition, { basis: { sequence, knownMs: put.signedMs }, askedMs, losses: 0 });
    return { kind: "committed" };
  }

  async lastSequence(tenant: string, group: string): Promise<number> {
    // Of a group that nobody here knows, 1 is tried: most groups are new.
    return this.#known.fresh(partitionOf(tenant, group))?.basis.sequence ?? 0;
  }

  async records(tenant: string, group: string, id?: string): Promise<Records> {
    const { pages, basis } = await this.#pages(tenant, group);
    return { basis, ...(id === undefined ? pages.all() : pages.decide(id)) };
  }

  async recordsOf(tenant: string, group: string, ids: readonly string[]): Promise<readonly Records[]> {
    const { pages, basis } = await this.#pages(tenant, group);
    return ids.map((id) => ({ basis, ...pages.decide(id) }));
  }

  async requests(tenant: string, group: string, key: string): Promise<Records> {
    const { pages, basis } = await this.#pages(tenant, group);
    const answer: Answer = pages.answering(key);
    return { basis, ...answer };
  }

  async record(tenant: string, group: string, sequence: number): Promise<PageRecord | undefined> {
    const { rows } = this.#options;
    const partition = partitionOf(tenant, group);
    const { row: stored } = await rows.get({ partition, number: sequence });
    if (!stored) return undefined;
    const { row } = this.#read(partition, stored);
    if (row.ok) return { tenant, group, sequence, place: row.value.place };
    const message = `row ${sequence} of ${JSON.stringify(partition)} in table ${rows.name}: ${row.damage}`;
    throw new PayloadStoreError("CORRUPT", message);
  }

  async count(tenant: string, group: string): Promise<GroupCount> {
    const { pages, basis } = await this.#pages(tenant, group);
    return { basis, ...pages.count() };
  }

  async *groups(tenant: string): AsyncGenerator<GroupSummary & ExpiringCount> {
    for await (const { group, pages } of this.#scan(tenant)) {
      const { payloads, expiresMs, incomplete } = pages.count();
      // Who has to look into every group has to know of one that cannot be.
      if (payloads > 0 || incomplete) yield { group, payloads, expiresMs };
    }
  }

  async *all(): AsyncGenerator<PageRecord> {
    const damage: SegmentDamage[] = [];
    this.#damage = damage;
    const replaced = new Set<string>();
    this.#replaced = replaced;
    for await (const { pages } of this.#scan()) {
      damage.push(...pages.damage());
      for (const { tenant, segment } of pages.replaced()) replaced.add(`${tenant}/${segment}`);
      yield* pages.records();
    }
  }

  /** Cost: a scan of the table, and a GET for each page that its row does not keep. */
  async totals(tenant: string): Promise<Totals> {
    const totals = { payloads: 0, rawBytes: 0, storedBytes: 0, none: 0, lz4: 0, zstd: 0, exact: true };
    for await (const { group, pages } of this.#scan(tenant)) {
      const { records, incomplete } = pages.all();
      if (incomplete) totals.exact = false;
      const view = new GroupView();
      for (const { sequence, place } of records.toReversed()) {
        const found = await this.#options.frames.look(tenant, place, (head) => headedPage(head, tenant, place));
        view.add({ group, sequence, timeMs: found.header.timeMs, place }, found);
      }
      for (const { found } of view.places()) {
        totals.payloads += 1;
        totals.rawBytes += found.entry.bytes;
        totals.storedBytes += found.storedShare;
        totals[found.codec === 0 ? "none" : found.codec === 1 ? "lz4" : "zstd"] += 1;
      }
    }
    return totals;
  }

  isReplaced(tenant: string, segment: string): boolean {
    return this.#replaced.has(`${tenant}/${segment}`);
  }

  damage(): readonly SegmentDamage[] {
    return this.#damage;
  }

  async checkpoint(): Promise<void> {}

  async close(): Promise<void> {}

  #encode(record: PageRecord, page: Page): Uint8Array {
    const { tenant, group, sequence, place } = record;
    const partition = partitionOf(tenant, group);
    const blocks = page.upload === undefined ? page.blocks : [];
    const bodyBytes = blocks.reduce((sum, block) => sum + blockHeaderBytes + block.bodyBytes, 0);
    const hashes = place.held ? undefined : this.#tools.hasher.page(tenant, group, page);
    // One that was merged elsewhere may answer many requests.
    const { merged } = page;
    const rawBytes = page.entries.reduce((sum, entry) => sum + entry.bytes, 0);
    const covers = merged && { upTo: sequence, replaces: place.segment, closed: false, tier: merged.tier, rawBytes };
    const bytes = encodeRow({ place, bodyBytes, hashes, covers }, partition, sequence, this.#crcOf);
    if (bytes.length + keyBytes(partition) <= rowBytesMax) return bytes;
    throw new PayloadStoreError(
      "TOO_LARGE",
      `the commit's row has ${bytes.length} bytes; at most ${rowBytesMax}: commit fewer payloads at once`,
    );
  }

  /** Undoes that a group is closed. @returns whether it is not any more, and was not removed */
  async #open(partition: string, closed: Uint8Array, restsOnMs: number): Promise<boolean> {
    const { row } = this.#read(partition, { number: 1, record: closed });
    if (!row.ok || !row.value.covers) return false;
    const open = { ...row.value, covers: { ...row.value.covers, closed: false } };
    const record = encodeRow(open, partition, 1, this.#crcOf);
    const { rows } = this.#options;
    const put = await rows
      .put({ partition, number: 1 }, record, { holds: closed }, restsOnMs)
      .catch((error: unknown) => {
        this.#known.forget(partition);
        throw error;
      });
    const isOpen = put.kind === "done" || (put.there?.record && bytesEqual(put.there.record, record)) === true;
    this.#known.forget(partition);
    return isOpen;
  }

  /** What the row that a commit met says of the newest page. */
  #met(partition: string, sequence: number, stored: StoredRow | undefined): Omit<Basis, "knownMs"> {
    if (!stored) return { sequence };
    const read = this.#read(partition, stored);
    const isClosed = read.row.ok && read.row.value.covers?.closed === true;
    return { sequence: Math.max(sequence, endOf(read)), closed: isClosed ? read.record : undefined };
  }

  /** What makes a sequence the next one, where the number came from here. */
  #restsOn(partition: string, sequence: number): Basis | undefined {
    const known = this.#known.get(partition);
    if (known) return known.basis.sequence === sequence - 1 ? known.basis : undefined;
    // That 1 is free rests on nothing: a group that exists has a row 1.
    return sequence === 1 ? { sequence: 0, knownMs: Infinity } : undefined;
  }

  /** Whether a row that has the record's sequence is the one that was to be put. */
  #isOf({ tenant, group, place }: PageRecord, stored: StoredRow | undefined): boolean {
    if (!stored) return false;
    const { row } = this.#read(partitionOf(tenant, group), stored);
    return row.ok && samePlace(row.value.place, place);
  }

  /**
   * What is known of a group's newest page after its sequence turned out to be taken.
   * @param decided  whoever decides asks for the whole group again
   */
  async #afterLostRace(
    partition: string,
    sequence: number,
    taken: Omit<Known, "losses">,
    decided: boolean,
  ): Promise<number> {
    const before = this.#known.fresh(partition);
    const losses = (before?.losses ?? 0) + 1;
    const wasNewest = before?.basis.sequence === sequence - 1;
    this.#known.know(partition, { ...taken, losses });
    if (losses > 1) await this.#wait(losses);
    // Somebody else wrote the group since: most likely once, so the next sequence is tried before anything is asked.
    if (decided || (wasNewest && losses === 1)) return taken.basis.sequence;
    // A closed row is the newest that counts. The last one may be covered by it, not swept yet, and would not tell that it is closed.
    if (taken.basis.closed) return taken.basis.sequence;
    return this.#askLast(partition, taken.basis.knownMs);
  }

  async #wait(losses: number): Promise<void> {
    const { random, sleep } = this.#options;
    const [chance = 0] = random.bytes(1);
    await sleep((chance / 255) * Math.min(waitMsMax, waitMsFirst * 2 ** (losses - 1)));
  }

  /** @param openMs  when it was known that the group is not closed, which a covered row does not tell */
  async #askLast(partition: string, openMs = Infinity): Promise<number> {
    const { rows, clock } = this.#options;
    const askedMs = clock.nowMs();
    const { row, signedMs } = await rows.last(partition);
    const met = this.#met(partition, row?.number ?? 0, row);
    this.#known.learn(partition, { basis: { ...met, knownMs: Math.min(signedMs, openMs) }, askedMs });
    return met.sequence;
  }

  /** All rows of a group, as they are now. */
  async #pages(tenant: string, group: string): Promise<{ readonly pages: GroupPages; readonly basis: Basis }> {
    const partition = partitionOf(tenant, group);
    let gaps = 0;
    for (let views = 1; views <= viewsMax; views++) {
      const askedMs = this.#options.clock.nowMs();
      const { rows, knownMs, tookMs } = await this.#queryAll(partition);
      // Its parts are not of one time: rows may have been swept between them, and others stand for these.
      if (tookMs > knowledgeMsMax) continue;
      const pages = new GroupPages({ tenant, group }, rows, this.#tools);
      // Rows that are swept while a query goes on look like a gap. Once.
      if (pages.hasGap && ++gaps === 1 && views < viewsMax) continue;
      const basis = { sequence: pages.last, knownMs, closed: pages.closed };
      this.#known.learn(partition, { basis, askedMs });
      return { pages, basis };
    }
    throw new PayloadStoreError(
      "UNAVAILABLE",
      `the process was held up ${viewsMax} times while it read the rows of ${JSON.stringify(partition)}, each time for more than ${knowledgeMsMax / 60_000} minutes`,
    );
  }

  /** @returns also when the first part was asked, and how long after it the last one */
  async #queryAll(partition: string): Promise<{ rows: readonly ReadRow[]; knownMs: number; tookMs: number }> {
    const rows: ReadRow[] = [];
    let knownMs: number | undefined;
    let tookMs = 0;
    for await (const { rows: some, signedMs } of this.#options.rows.query(partition)) {
      for (const stored of some) rows.push(this.#read(partition, stored));
      knownMs ??= signedMs;
      tookMs = signedMs - knownMs;
    }
    return { rows, knownMs: knownMs ?? 0, tookMs };
  }

  /** Groups with their pages, one after the other. */
  async *#scan(tenant?: string): AsyncGenerator<{ readonly group: string; readonly pages: GroupPages }> {
    let partition = "";
    let rows: ReadRow[] = [];
    const group = () => {
      const [owner = "", ...rest] = partition.split("/");
      const name = rest.join("/");
      return { group: name, pages: new GroupPages({ tenant: owner, group: name }, rows, this.#tools) };
    };
    for await (const { partition: of, ...stored } of this.#options.rows.scan(tenant && `${tenant}/`)) {
      if (of.startsWith("~")) continue;
      if (of !== partition && rows.length > 0) yield group();
      if (of !== partition) rows = [];
      partition = of;
      rows.push(this.#read(partition, stored));
    }
    if (rows.length > 0) yield group();
  }

  #read(partition: string, { number: sequence, record }: StoredRow): ReadRow {
    if (!record) return { sequence, row: damaged("the row has no record"), record: new Uint8Array(0) };
    return { sequence, row: decodeRow(record, partition, sequence, this.#crcOf), record };
  }
}

/** A tenant has no slash, so that the two cannot be mistaken. */
export function partitionOf(tenant: string, group: string): string {
  return `${tenant}/${group}`;
}
