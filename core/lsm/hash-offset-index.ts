import { candidatePages } from "../index/candidate-pages.ts";
import { DamageNotes } from "../index/damage-notes.ts";
import type { Hash128, KeyHasher } from "../index/key-hasher.ts";
import { lostPages } from "../index/lost-pages.ts";
import { isOtherCommit } from "../index/other-commit.ts";
import { hidesThrough } from "../index/hides-through.ts";
import { readable } from "../index/readable.ts";
import type { RecoverableIndex } from "../index/recoverable-index.ts";
import { SegmentTable } from "../index/segment-table.ts";
import { TenantTotals, totalsOf } from "../index/tenant-totals.ts";
import { invariant } from "../invariant.ts";
import { findInPage } from "../page/find-in-page.ts";
import { Steps } from "../steps.ts";
import { decodePlacedPage, placesOf, type EntryPlace, type Page } from "../page/page.ts";
import { termsOf, type Term } from "../page/terms.ts";
import type {
  Basis,
  Candidate,
  CommitOutcome,
  ExpiringCount,
  GroupCount,
  GroupSummary,
  PageRecord,
  Records,
  SegmentState,
  Totals,
} from "../ports/offset-index.ts";
import type { FramePlace } from "../ports/segment-store.ts";
import { incompleteError } from "../segment/incomplete.ts";
import type { FrameReader } from "../segment/read-frame.ts";
import type { SegmentDamage } from "../segment/scan.ts";
import { key1In, ofGroup, ofId, ofRequest } from "./index-key.ts";
import { type ForeseenKeys, LaneMap } from "./lane-map.ts";
import { PageLog, type LoggedPage } from "./page-log.ts";
import { isIndexDamage } from "./run.ts";
import { TermPages } from "./term-pages.ts";

/** Ids that the map is asked for together: so many share what they can of a run. */
const idsAtOnce = 8192;

/** Pages that a commit hides, and their entries, that are looked at before others run: some half a millisecond. */
const entriesBetweenPauses = 128;

/** A page of a group, by its number in the log. */
interface GroupPage {
  readonly number: number;
  readonly page: LoggedPage;
}

/**
 * The index on disk: a log of all pages, and a multimap of keyed hashes → pages. A group's key has its newest page, from
 * which the others hang; the key of an id, and of an idempotent request, has the page that decides; the keys of
 * an attribute, the pages that brought payloads with it.
 *
 * Names are not kept. Ids that share a key share its pages, and the pages name them; groups are told
 * apart by 32 bits more, in the log. docs/decisions/0010-the-on-disk-index.md says why.
 *
 * Cost: a look-up is one of the map and one of the log. A commit looks up its ids; it reads a page only for an id that it
 * replaces or hides, to keep the totals exact.
 */
export class HashOffsetIndex implements RecoverableIndex {
  readonly map: LaneMap;
  readonly log: PageLog;
  readonly segments: SegmentTable = new SegmentTable();
  readonly tenantTotals: TenantTotals = new TenantTotals();
  readonly damageNotes: DamageNotes;
  /** Whether a group was cleared of a page that could not be read: its ids are hidden by the page's sequence alone. */
  hidesUnread = false;
  /**
   * Keys that two ids of one page share. All pages that say anything about either stay in such a key's set, also those
   * that hide, since taking out a page for one id would lose the other.
   */
  readonly sharedKeys: Set<string> = new Set();
  /** Grows with every change that a checkpoint keeps. */
  changes = 0;
  readonly #reader: FrameReader;
  readonly #hasher: KeyHasher;
  readonly #pause: (() => Promise<void>) | undefined;
  readonly #terms: TermPages;
  /** Pages on their way to be committed. */
  readonly #prepared = new WeakMap<Page, Prepared>();
  readonly #group: Hash128 = new Int32Array(4);
  readonly #id: Hash128 = new Int32Array(4);
  readonly #lookBasis = (tenant: string, group: string): number => this.#basis(tenant, group).sequence;

  constructor(parts: {
    readonly lanes: number;
    readonly reader: FrameReader;
    readonly secret: Uint8Array;
    readonly hasher: KeyHasher;
    readonly crc32: (bytes: Uint8Array, seed?: number) => number;
    /** Lets others run: now and then while a commit reads what it hides, and before one that changes much. */
    readonly pause?: () => Promise<void>;
  }) {
    this.#pause = parts.pause;
    this.#reader = parts.reader;
    this.#hasher = parts.hasher;
    this.map = new LaneMap(parts.lanes);
    this.#terms = new TermPages(this.map);
    this.log = new PageLog(parts.secret, parts.crc32);
    this.damageNotes = new DamageNotes((bytes) => parts.crc32(bytes));
  }

  async commit(record: PageRecord, page: Page): Promise<CommitOutcome> {
    const last = this.#basis(record.tenant, record.group).sequence;
    if (record.sequence !== last + 1) {
      const place = this.placeOf(record.tenant, record.group, record.sequence);
      return place && samePlace(place, record.place) ? { kind: "committed" } : { kind: "taken", last };
    }
    await this.#apply(record, page);
    return { kind: "committed" };
  }

  prepare(tenant: string, group: string, page: Page, places: readonly EntryPlace[]): void {
    try {
      this.#prepared.set(page, this.#foresee(tenant, group, page, places));
    } catch (error) {
      // The commit meets it again, and can wait until the index is made anew.
      if (!isIndexDamage(error)) throw error;
    }
  }

  async replay(record: PageRecord, page: Page): Promise<"taken in" | "known"> {
    const { tenant, group, sequence, place } = record;
    const last = this.#newest(tenant, group)?.page.sequence ?? 0;
    if (sequence <= last) {
      const known = this.placeOf(tenant, group, sequence);
      if (!known || samePlace(known, place)) return "known";
      if (isOtherCommit(await this.#pageBytes(tenant, known), page)) {
        // Several processes wrote the group, as they do on S3, and more than one of them hoped for this sequence: their
        // pages follow each other as their segments do.
        if (this.#isHeld(record)) return "known";
        await this.#apply({ ...record, sequence: last + 1 }, page);
        return "taken in";
      }
      // Of two frames of one page the one in the newer segment counts: a recovery appended it again, because the older
      // one may be in memory only.
      if (place.segment > known.segment) this.relocate(record);
      return "known";
    }
    if (sequence > last + 1) {
      const { segment, offset } = place;
      const reason = `group ${JSON.stringify(group)}: pages ${last + 1}–${sequence - 1} are missing`;
      const lost = { frames: sequence - 1 - last, group, sequence: sequence - 1 };
      this.noteDamage({ tenant, segment, start: offset, end: offset, reason, ...lost });
    }
    await this.#apply(record, page);
    return "taken in";
  }

  placeOf(tenant: string, group: string, sequence: number): FramePlace | undefined {
    const found = this.#pageOf(tenant, group, sequence);
    return found && this.#place(found.page);
  }

  relocate({ tenant, group, sequence, place }: PageRecord): void {
    const found = this.#pageOf(tenant, group, sequence);
    invariant(found !== undefined, "a page that is relocated is in the index");
    this.changes += 1;
    this.log.move(found.number, this.segments.count(tenant, place.segment), place.offset, place.headBytes);
  }

  noteDamage(damage: SegmentDamage): void {
    if (this.damageNotes.add(damage)) this.changes += 1;
  }

  /** The key of an id in the map. */
  keyOf(tenant: string, group: string, id: string): readonly [key0: number, key1: number] {
    this.#hasher.group(tenant, group, this.#group);
    this.#hasher.id(this.#group, id, this.#id);
    return [this.#id[0]!, key1In(this.#id[1]!, ofId)];
  }

  async lastSequence(tenant: string, group: string): Promise<number> {
    return this.#basis(tenant, group).sequence;
  }

  async record(tenant: string, group: string, sequence: number): Promise<PageRecord | undefined> {
    const found = this.#pageOf(tenant, group, sequence);
    return found && this.#record(tenant, group, found.page);
  }

  records(tenant: string, group: string, id?: string): Records {
    if (id !== undefined) return this.#recordsOfId(tenant, group, id);
    const newest = this.#newest(tenant, group);
    const basis = this.#basisOf(tenant, group, newest);
    const records: PageRecord[] = [];
    for (const { page } of this.#visible(newest)) {
      if (!this.segments.isRemoved(page.segment)) records.push(this.#record(tenant, group, page));
    }
    return { records, basis, incomplete: this.#lostSince(tenant, group, newest) };
  }

  /** Cost: ids whose slots lie in one page of a run share its read, and those of one commit the read of its record. */
  async recordsOf(tenant: string, group: string, ids: readonly string[]): Promise<readonly Records[]> {
    if (ids.length > idsAtOnce) {
      const all: Records[] = [];
      for (let from = 0; from < ids.length; from += idsAtOnce)
        all.push(...(await this.recordsOf(tenant, group, ids.slice(from, from + idsAtOnce))));
      return all;
    }
    if (this.damageNotes.concern(tenant) || this.hidesUnread)
      return ids.map((id) => this.#recordsOfId(tenant, group, id));
    this.#hasher.group(tenant, group, this.#group);
    const key0 = new Int32Array(ids.length);
    const key1 = new Int32Array(ids.length);
    for (const [i, id] of ids.entries()) {
      this.#hasher.id(this.#group, id, this.#id);
      key0[i] = this.#id[0]!;
      key1[i] = key1In(this.#id[1]!, ofId);
    }
    const basis = this.#lazyBasis(tenant, group);
    const known = new Map<number, PageRecord | undefined>();
    const recordOf = (number: number) => {
      if (known.has(number)) return known.get(number);
      const page = this.log.page(number);
      const record = this.#isOf(tenant, page) ? this.#record(tenant, group, page) : undefined;
      known.set(number, record);
      return record;
    };
    return this.map.findMany(key0, key1).map((numbers) => {
      const records: PageRecord[] = [];
      for (let i = numbers.length - 1; i >= 0; i--) {
        const record = recordOf(numbers[i]!);
        if (record) records.push(record);
      }
      return { records, basis };
    });
  }

  async requests(tenant: string, group: string, key: string): Promise<Records> {
    this.#hasher.group(tenant, group, this.#group);
    this.#hasher.request(this.#group, key, this.#id);
    const records = this.#decisive(tenant, this.#id[0]!, key1In(this.#id[1]!, ofRequest))
      .filter(({ page }) => !this.segments.isRemoved(page.segment))
      .map(({ page }) => this.#record(tenant, group, page));
    const incomplete = records.length > 0 ? undefined : this.#lostSinceTheFirst(tenant, group);
    return { records, basis: this.#lazyBasis(tenant, group), incomplete };
  }

  async count(tenant: string, group: string): Promise<GroupCount> {
    const newest = this.#newest(tenant, group);
    const basis = this.#basisOf(tenant, group, newest);
    const incomplete = this.#lostSince(tenant, group, newest);
    return { payloads: newest?.page.live ?? 0, basis, incomplete, expiresMs: this.#expiresMs(newest) };
  }

  async *groups(tenant: string): AsyncGenerator<GroupSummary & ExpiringCount> {
    // A group is named by its first page, or by the last that hid older ones; pages added meanwhile are passed over. What
    // cannot be read is not left out in silence.
    let failure: Error | undefined;
    for (const page of this.log.pages(0, this.log.count)) {
      if (this.segments.isRemoved(page.segment) || this.segments.tenant(page.segment) !== tenant) continue;
      if (page.previous !== 0 && (page.cleared === 0 || page.cleared === this.log.page(page.previous - 1).cleared))
        continue;
      let group: string;
      try {
        group = (await this.#reader.head(tenant, this.#place(page))).header.group;
      } catch (error) {
        failure ??= error instanceof Error ? error : new Error(String(error));
        continue;
      }
      const newest = this.#newest(tenant, group);
      if (!newest || newest.page.live === 0 || newest.page.cleared !== page.cleared) continue;
      yield { group, payloads: newest.page.live, expiresMs: this.#expiresMs(newest) };
    }
    if (failure) throw failure;
    const lost = this.damageNotes.nameless(tenant) ?? this.#groupWithoutPages(tenant);
    if (lost) throw incompleteError(`the groups of tenant ${tenant}`, tenant, lost);
  }

  async *candidates(tenant: string, terms: readonly Term[], from?: string): AsyncGenerator<Candidate> {
    const rarest = this.#hashTerms(tenant, terms)
      .map((term) => ({ term, pages: this.#terms.about(term) }))
      .reduce((a, b) => (b.pages < a.pages ? b : a)).term;
    const numbers = (first: number) => this.#terms.pagesFrom(rarest, first);
    yield* candidatePages(
      { tenant, numbers, record: (number) => this.#candidate(tenant, number), segments: this.segments },
      from,
    );
    const lost = lostPages(this, tenant);
    if (lost) throw incompleteError(`payloads of tenant ${tenant} with attributes`, tenant, lost);
  }

  async *all(): AsyncGenerator<PageRecord> {
    for (const page of this.log.pages(0, this.log.count)) {
      if (this.segments.isRemoved(page.segment)) continue;
      yield this.#record(this.segments.tenant(page.segment), "", page);
    }
  }

  async totals(tenant: string): Promise<Totals> {
    return totalsOf(this, tenant);
  }

  isEmptied(tenant: string, group: string, dying = 0): boolean {
    const newest = this.#newest(tenant, group);
    return newest?.page.live === dying && this.#lostSince(tenant, group, newest) === undefined;
  }

  hiddenThrough(tenant: string, group: string): number {
    return this.#newest(tenant, group)?.page.cleared ?? 0;
  }

  *history(tenant: string, group: string): Generator<PageRecord> {
    for (const { page } of this.#pagesFrom(this.#newest(tenant, group))) {
      if (!this.segments.isRemoved(page.segment)) yield this.#record(tenant, group, page);
    }
  }

  torn(tenant: string): readonly string[] {
    return this.segments.torn(tenant);
  }

  supersede(tenant: string, segment: string, nowMs: number): void {
    this.segments.supersede(tenant, segment, nowMs);
    this.changes += 1;
  }

  markRemoved(tenant: string, segment: string): void {
    this.segments.markRemoved(tenant, segment);
    this.changes += 1;
  }

  isNeeded(tenant: string, segment: string): boolean {
    // Of each group that has pages there that are not hidden: its newest page so far, and the newest sequence of these.
    const newest = new Map<number, number>();
    let number = 0;
    for (const page of this.log.pages(0, this.log.count)) {
      const before = newest.get(page.previous - 1) ?? 0;
      const isThere = this.segments.name(page.segment) === segment && this.segments.tenant(page.segment) === tenant;
      const sequence = isThere ? page.sequence : before;
      newest.delete(page.previous - 1);
      if (sequence > page.cleared) newest.set(number, sequence);
      number += 1;
    }
    return newest.size > 0;
  }

  segmentStates(): readonly SegmentState[] {
    return this.segments.states();
  }

  segmentState(tenant: string, segment: string): SegmentState | undefined {
    return this.segments.state(tenant, segment);
  }

  acceptLosses(losses: readonly SegmentDamage[]): void {
    if (this.damageNotes.accept(losses)) this.changes += 1;
  }

  damage(): readonly SegmentDamage[] {
    return this.damageNotes.all();
  }

  async checkpoint(): Promise<void> {}

  async close(): Promise<void> {}

  #recordsOfId(tenant: string, group: string, id: string): Records {
    this.#hasher.group(tenant, group, this.#group);
    this.#hasher.id(this.#group, id, this.#id);
    const records = this.#decisive(tenant, this.#id[0]!, key1In(this.#id[1]!, ofId)).map(({ page }) =>
      this.#record(tenant, group, page),
    );
    const basis = this.#lazyBasis(tenant, group);
    if (!this.damageNotes.concern(tenant) && !this.hidesUnread) return { records, basis };
    const newest = this.#newest(tenant, group);
    const visible = records.filter(({ sequence }) => sequence > (newest?.page.cleared ?? 0));
    const [first] = visible;
    const incomplete = first
      ? this.damageNotes.about(tenant, group, first.sequence, first.place)
      : this.#lostSince(tenant, group, newest);
    return { records: visible, basis, incomplete };
  }

  /** The pages of a key that are of the group just hashed, newest first; more than one where ids share a key. */
  #decisive(tenant: string, key0: number, key1: number, numbers = this.map.find(key0, key1)): GroupPage[] {
    const found: GroupPage[] = [];
    for (let i = numbers.length - 1; i >= 0; i--) {
      const page = this.log.page(numbers[i]!);
      if (this.#isOf(tenant, page)) found.push({ number: numbers[i]!, page });
    }
    return found;
  }

  #isOf(tenant: string, page: LoggedPage): boolean {
    return page.groupCheck === this.#group[2] && this.segments.tenant(page.segment) === tenant;
  }

  #newest(tenant: string, group: string): GroupPage | undefined {
    this.#hasher.group(tenant, group, this.#group);
    const numbers = this.map.find(this.#group[0]!, key1In(this.#group[1]!, ofGroup));
    for (let i = numbers.length - 1; i >= 0; i--) {
      const page = this.log.page(numbers[i]!);
      if (this.#isOf(tenant, page)) return { number: numbers[i]!, page };
    }
    return undefined;
  }

  /** A group's pages, newest first. */
  *#pagesFrom(newest: GroupPage | undefined): Generator<GroupPage> {
    for (let at = newest; at;) {
      yield at;
      const number = at.page.previous - 1;
      at = number < 0 ? undefined : { number, page: this.log.page(number) };
    }
  }

  *#visible(newest: GroupPage | undefined): Generator<GroupPage> {
    for (const at of this.#pagesFrom(newest)) {
      if (at.page.sequence <= (newest?.page.cleared ?? 0)) return;
      yield at;
    }
  }

  /** Before then no payload of a group expires. */
  #expiresMs(newest: GroupPage | undefined): number | undefined {
    return this.segments.firstExpiryMs(new Set([...this.#visible(newest)].map(({ page }) => page.segment)));
  }

  #pageOf(tenant: string, group: string, sequence: number): GroupPage | undefined {
    for (const at of this.#pagesFrom(this.#newest(tenant, group))) {
      if (at.page.sequence <= sequence) return at.page.sequence === sequence ? at : undefined;
    }
    return undefined;
  }

  /** Whether a page of the group, hidden ones too, lies at this place. */
  #isHeld({ tenant, group, place }: PageRecord): boolean {
    return this.#pagesFrom(this.#newest(tenant, group)).some(({ page }) => samePlace(this.#place(page), place));
  }

  #basis(tenant: string, group: string): Basis {
    return this.#basisOf(tenant, group, this.#newest(tenant, group));
  }

  /** Nobody else writes: what is known is never old. */
  #basisOf(tenant: string, group: string, newest: GroupPage | undefined): Basis {
    const sequence = newest?.page.sequence ?? 0;
    if (!this.damageNotes.concern(tenant)) return { sequence, knownMs: 0 };
    const place = newest && this.#place(newest.page);
    return { sequence: this.damageNotes.lastSequence(tenant, group, sequence, place), knownMs: 0 };
  }

  #lazyBasis(tenant: string, group: string): Basis {
    return new LazyBasis(this.#lookBasis, tenant, group);
  }

  /** Damage that may have taken a page since the group was cleared last. */
  #lostSince(tenant: string, group: string, newest: GroupPage | undefined): SegmentDamage | undefined {
    if (!this.damageNotes.concern(tenant)) return undefined;
    const cleared = newest?.page.cleared ?? 0;
    let clearing: FramePlace | undefined;
    if (cleared > 0) for (const { page } of this.#visible(newest)) clearing = this.#place(page);
    return this.damageNotes.about(tenant, group, cleared, clearing);
  }

  #lostSinceTheFirst(tenant: string, group: string): SegmentDamage | undefined {
    return this.damageNotes.concern(tenant) ? this.damageNotes.about(tenant, group, 0, undefined) : undefined;
  }

  /** A page that an attribute has, unless compaction removed it, or it shares its key with another thing. */
  #candidate(tenant: string, number: number): PageRecord | undefined {
    if (number >= this.log.count) return undefined;
    const page = this.log.page(number);
    if (this.segments.tenant(page.segment) !== tenant || this.segments.isRemoved(page.segment)) return undefined;
    return this.#record(tenant, "", page);
  }

  /** Damage to a group of which nothing else is left, so that it is not among {@link groups}. */
  #groupWithoutPages(tenant: string): SegmentDamage | undefined {
    const gone = this.damageNotes.groups(tenant).find((group) => !this.#newest(tenant, group)?.page.live);
    return gone === undefined ? undefined : this.damageNotes.about(tenant, gone, 0, undefined);
  }

  /** Everything that must be read is read first; what follows changes the index in one go. */
  async #apply(record: PageRecord, page: Page): Promise<void> {
    const { tenant, group, place, sequence } = record;
    const { places, ids, shared, terms, ...prepared } =
      this.#prepared.get(page) ?? this.#foresee(tenant, group, page, placesOf(page));
    // Whatever is left in a WeakMap outlives the collections of the young.
    this.#prepared.delete(page);
    const through = hidesThrough(record, page);
    const dead: Dead = { decisions: [], ids: new Set(), entries: [], payloads: 0, unreadable: false };
    if (through > 0) await this.#hide(tenant, group, through, dead);
    // Many merges come at once, each with many ids.
    if (page.merged && dead.ids.size + page.entries.length >= entriesBetweenPauses) await this.#pause?.();
    const keys = this.map.foreseenAgain(prepared.keys);
    if (!page.clearsGroup && !this.map.areStillEmpty(keys)) await this.#replaceNamed(tenant, group, ids, keys, dead);

    const areNew = this.map.areStillEmpty(keys);
    this.changes += 1;
    const newest = this.#newest(tenant, group);
    const group0 = this.#group[0]!;
    const group1 = key1In(this.#group[1]!, ofGroup);
    const payloads = page.clearsGroup ? (newest?.page.live ?? 0) : dead.payloads;
    const live = (newest?.page.live ?? 0) - payloads + places.length;
    const segment = this.segments.count(tenant, place.segment);
    const number = this.log.add({
      segment,
      offset: place.offset,
      headBytes: place.headBytes,
      sequence,
      previous: newest ? newest.number + 1 : 0,
      live,
      cleared: Math.max(through, newest?.page.cleared ?? 0),
      groupCheck: this.#group[2]!,
    });
    this.#replace(group0, group1, newest?.number, number);
    this.tenantTotals.subtract(tenant, dead.entries, payloads);
    for (const { place: found, segment: held } of dead.entries) this.segments.subtract(held, found);
    if (dead.unreadable) this.tenantTotals.inexact(tenant);
    if (dead.unreadable && through > 0) this.hidesUnread = true;
    for (const { key0, key1, number: old } of dead.decisions) {
      if (this.#isShared(key0, key1)) this.#replace(key0, key1, undefined, number);
      else this.#replace(key0, key1, old, undefined);
    }
    for (const key of shared) this.sharedKeys.add(key);
    for (let i = 0; i < page.entries.length; i++) {
      if (areNew || this.map.isStillEmpty(keys, i)) this.map.assignForeseen(keys, i, number);
      else this.#replace(keys.key0[i]!, keys.key1[i]!, undefined, number);
    }
    for (const { key } of page.merged?.requests ?? []) this.#setRequest(tenant, group, key, number);
    if (page.request) this.#setRequest(tenant, group, page.request.key, number);
    for (const term of terms) this.#terms.add(term, number);
    this.tenantTotals.add(tenant, places);
    this.segments.add(segment, places, place.headBytes);
    if (through > 0) this.damageNotes.explain(tenant, group, through);
  }

  #foresee(tenant: string, group: string, page: Page, places: readonly EntryPlace[]): Prepared {
    const ids = page.entries.map(({ id }) => id).concat(page.deleted);
    const { key0, key1 } = this.#hash(tenant, group, ids);
    const shared = sharedWithin(key0, key1, page.entries.length);
    return { places, ids, keys: this.map.foresee(key0, key1), shared, terms: this.#hashTerms(tenant, termsOf(page)) };
  }

  #hashTerms(tenant: string, terms: readonly Term[]): Hash128[] {
    return terms.map((term) => {
      const hash = new Int32Array(4);
      this.#hasher.term(tenant, term, hash);
      return hash;
    });
  }

  /** The keys of ids in the map. */
  #hash(tenant: string, group: string, ids: readonly string[]): { key0: Int32Array; key1: Int32Array } {
    this.#hasher.group(tenant, group, this.#group);
    const key0 = new Int32Array(ids.length);
    const key1 = new Int32Array(ids.length);
    for (let i = 0; i < ids.length; i++) {
      this.#hasher.id(this.#group, ids[i]!, this.#id);
      key0[i] = this.#id[0]!;
      key1[i] = key1In(this.#id[1]!, ofId);
    }
    return { key0, key1 };
  }

  #isShared(key0: number, key1: number): boolean {
    return this.sharedKeys.size > 0 && this.sharedKeys.has(sharedKey(key0, key1));
  }

  /** Adds the payloads that a page replaces or hides by name. */
  async #replaceNamed(
    tenant: string,
    group: string,
    ids: readonly string[],
    keys: ForeseenKeys,
    dead: Dead,
  ): Promise<void> {
    let loaded: { number: number; bytes: Uint8Array | undefined } | undefined;
    this.#hasher.group(tenant, group, this.#group);
    for (let i = 0; i < ids.length; i++) {
      if (this.map.isStillEmpty(keys, i)) continue;
      const id = ids[i]!;
      const key0 = keys.key0[i]!;
      const key1 = keys.key1[i]!;
      const numbers = this.map.find(key0, key1);
      if (numbers.length === 0 || dead.ids.has(id)) continue;
      const cleared = this.hidesUnread ? (this.#newest(tenant, group)?.page.cleared ?? 0) : 0;
      for (const { number, page } of this.#decisive(tenant, key0, key1, numbers)) {
        if (loaded?.number !== number) {
          loaded = { number, bytes: await this.#pageBytes(tenant, this.#place(page)) };
          this.#hasher.group(tenant, group, this.#group);
        }
        const answer = loaded.bytes && findInPage(loaded.bytes, id);
        // A page that is silent about the id decides about another one with the same key.
        if (answer?.ok && answer.value.kind === "silent") continue;
        if (answer?.ok && answer.value.kind === "hidden") break;
        dead.decisions.push({ key0, key1, number });
        if (page.sequence <= cleared) break;
        dead.payloads += 1;
        if (answer?.ok && answer.value.kind === "payload")
          dead.entries.push({ place: answer.value.place, segment: page.segment });
        else dead.unreadable = true;
        break;
      }
    }
  }

  /** Adds the payloads of the pages up to a sequence. */
  async #hide(tenant: string, group: string, through: number, dead: Dead): Promise<void> {
    const steps = new Steps(this.#pause, entriesBetweenPauses);
    for (const { number, page } of this.#visible(this.#newest(tenant, group))) {
      if (page.sequence > through) continue;
      const places = await this.#placesIn(tenant, this.#place(page));
      const due = steps.did(1 + (places?.length ?? 0));
      if (due) await due;
      if (!places) {
        dead.unreadable = true;
        continue;
      }
      const ids = places.map(({ entry }) => entry.id);
      const keys = this.#hash(tenant, group, ids);
      for (const [i, id] of ids.entries()) {
        const key0 = keys.key0[i]!;
        const key1 = keys.key1[i]!;
        if (!this.map.find(key0, key1).includes(number)) continue;
        if (this.#isShared(key0, key1) && (await this.#decider(tenant, group, id, key0, key1)) !== number) continue;
        dead.decisions.push({ key0, key1, number });
        dead.entries.push({ place: places[i]!, segment: page.segment });
        dead.ids.add(id);
        dead.payloads += 1;
      }
    }
  }

  /** The page that decides about an id whose key is shared. */
  async #decider(tenant: string, group: string, id: string, key0: number, key1: number): Promise<number | undefined> {
    this.#hasher.group(tenant, group, this.#group);
    for (const { number, page } of this.#decisive(tenant, key0, key1)) {
      const bytes = await this.#pageBytes(tenant, this.#place(page));
      const answer = bytes && findInPage(bytes, id);
      if (!answer?.ok || answer.value.kind !== "silent") return number;
    }
    return undefined;
  }

  #pageBytes(tenant: string, place: FramePlace): Promise<Uint8Array | undefined> {
    return readable(async () => (await this.#reader.head(tenant, place)).page);
  }

  /** What a page brought, nothing of it in memory that the next page takes. */
  async #placesIn(tenant: string, place: FramePlace): Promise<readonly EntryPlace[] | undefined> {
    const read = await readable(async () => this.#reader.look(tenant, place, ({ page }) => decodePlacedPage(page)));
    return read?.ok ? read.value.places : undefined;
  }

  #setRequest(tenant: string, group: string, key: string, number: number): void {
    this.#hasher.group(tenant, group, this.#group);
    this.#hasher.request(this.#group, key, this.#id);
    // A key that is there already was used more than a day ago; the newer answer comes first.
    this.#replace(this.#id[0]!, key1In(this.#id[1]!, ofRequest), undefined, number);
  }

  /** Takes a page out of a key's set, and puts another in. */
  #replace(key0: number, key1: number, old: number | undefined, added: number | undefined): void {
    const values = this.map.find(key0, key1).filter((value) => value !== old && value !== added);
    this.map.assign(key0, key1, added === undefined ? values : [...values, added]);
  }

  #record(tenant: string, group: string, page: LoggedPage): PageRecord {
    return { tenant, group, sequence: page.sequence, place: this.#place(page) };
  }

  #place({ segment, offset, headBytes }: LoggedPage): FramePlace {
    return { segment: this.segments.name(segment), offset, headBytes };
  }
}

/** Looked up only where a decision rests on it: most answers are only read. Until then nobody else commits to the group. */
class LazyBasis implements Basis {
  readonly knownMs = 0;
  readonly #look: (tenant: string, group: string) => number;
  readonly #tenant: string;
  readonly #group: string;

  constructor(look: (tenant: string, group: string) => number, tenant: string, group: string) {
    this.#look = look;
    this.#tenant = tenant;
    this.#group = group;
  }

  get sequence(): number {
    return this.#look(this.#tenant, this.#group);
  }
}

/** What is known of a page before it is committed. */
interface Prepared {
  readonly places: readonly EntryPlace[];
  /** Of its entries first, then of what it hides; and their keys. */
  readonly ids: readonly string[];
  readonly keys: ForeseenKeys;
  /** Keys that several of its entries have. */
  readonly shared: readonly string[];
  readonly terms: readonly Hash128[];
}

/** What a commit makes dead. */
interface Dead {
  /** Pages that decide about an id no more. */
  readonly decisions: { readonly key0: number; readonly key1: number; readonly number: number }[];
  /** Those of the pages that are hidden. */
  readonly ids: Set<string>;
  /** Payloads that were alive; `entries` lacks those whose page cannot be read. */
  readonly entries: { readonly place: EntryPlace; readonly segment: number }[];
  payloads: number;
  unreadable: boolean;
}

/** Those of the first so many keys that are there twice. Keys are keyed hashes: nobody can make them meet in a table. */
function sharedWithin(key0: Int32Array, key1: Int32Array, count: number): string[] {
  const shared: string[] = [];
  const mask = 2 ** Math.ceil(Math.log2(2 * count + 1)) - 1;
  const places = new Int32Array(mask + 1).fill(-1);
  for (let i = 0; i < count; i++) {
    let at = key0[i]! & mask;
    for (; places[at]! >= 0; at = (at + 1) & mask) {
      const other = places[at]!;
      if (key0[other] === key0[i] && key1[other] === key1[i]) break;
    }
    if (places[at]! >= 0) shared.push(sharedKey(key0[i]!, key1[i]!));
    else places[at] = i;
  }
  return shared;
}

function sharedKey(key0: number, key1: number): string {
  return `${key0} ${key1}`;
}

function samePlace(a: FramePlace, b: FramePlace): boolean {
  return a.segment === b.segment && a.offset === b.offset;
}
