import { incompleteError } from "../segment/incomplete.ts";
import { invariant } from "../invariant.ts";
import { findInPage } from "../page/find-in-page.ts";
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
import type { FrameReader } from "../segment/read-frame.ts";
import type { SegmentDamage } from "../segment/scan.ts";
import { candidatePages } from "./candidate-pages.ts";
import { DamageNotes } from "./damage-notes.ts";
import { hidesThrough } from "./hides-through.ts";
import { lostPages } from "./lost-pages.ts";
import { isOtherCommit } from "./other-commit.ts";
import type { Hash128, KeyHasher } from "./key-hasher.ts";
import { Steps } from "../steps.ts";
import { PageTable } from "./page-table.ts";
import { readable } from "./readable.ts";
import type { RecoverableIndex } from "./recoverable-index.ts";
import { SegmentTable } from "./segment-table.ts";
import { TenantTotals, totalsOf } from "./tenant-totals.ts";
import { TermTable } from "./term-table.ts";
import { WordTable } from "./word-table.ts";

/** Values of a group's slot. */
const newestPage = 0; // ordinal + 1
const livePayloads = 1;
const clearedThrough = 2; // pages up to this sequence are hidden

/** A page's ordinal that stands for none. */
const absent = -1;

/** Pages that a commit hides, and their entries, that are looked at before others run: some half a millisecond. */
const entriesBetweenPauses = 128;

/** Value of an id's slot. */
const decidingPage = 0; // ordinal + 1

/**
 * The index in typed arrays, without any name: groups are known by 128 bits of a keyed hash, ids by 64, and names are
 * checked in the pages, which stay in the segments. A slot says which page decides about an id.
 *
 * Memory: 24 bytes a page, 12 bytes an id slot and 28 a group slot, slots at most three quarters full; 8 bytes a page for
 * each attribute that its payloads have.
 * Cost: a commit hashes its ids; it reads a page only for an id that it replaces or hides, to keep the totals exact.
 */
export class ArrayOffsetIndex implements RecoverableIndex {
  readonly pages: PageTable = new PageTable();
  readonly groupTable: WordTable = new WordTable(4, 3);
  readonly idTable: WordTable = new WordTable(2, 1);
  readonly termTable: TermTable = new TermTable();
  readonly segments: SegmentTable = new SegmentTable();
  readonly tenantTotals: TenantTotals = new TenantTotals();
  readonly damageNotes: DamageNotes;
  /** Ids whose 64 bits are another id's as well, by their full name. */
  readonly collisions: Map<string, number> = new Map();
  /** Grows with every change that a checkpoint keeps. */
  changes = 0;
  readonly #reader: FrameReader;
  readonly #hasher: KeyHasher;
  readonly #pause: (() => Promise<void>) | undefined;
  /** Pages on their way to be committed. */
  readonly #prepared = new WeakMap<Page, Prepared>();
  readonly #group: Hash128 = new Int32Array(4);
  readonly #id: Hash128 = new Int32Array(4);

  /** @param pause  lets others run: now and then while a commit reads what it hides, and before one that changes much */
  constructor(
    reader: FrameReader,
    hasher: KeyHasher,
    crc32: (bytes: Uint8Array) => number,
    pause?: () => Promise<void>,
  ) {
    this.#pause = pause;
    this.#reader = reader;
    this.#hasher = hasher;
    this.damageNotes = new DamageNotes(crc32);
  }

  async commit(record: PageRecord, page: Page): Promise<CommitOutcome> {
    const last = await this.lastSequence(record.tenant, record.group);
    if (record.sequence !== last + 1) {
      const place = this.placeOf(record.tenant, record.group, record.sequence);
      return place && samePlace(place, record.place) ? { kind: "committed" } : { kind: "taken", last };
    }
    await this.#apply(record, page);
    return { kind: "committed" };
  }

  prepare(tenant: string, group: string, page: Page, places: readonly EntryPlace[]): void {
    this.#prepared.set(page, this.#foresee(tenant, group, page, places));
  }

  async replay(record: PageRecord, page: Page): Promise<"taken in" | "known"> {
    const last = this.#newestOf(record.tenant, record.group).sequence;
    if (record.sequence <= last) {
      const known = this.placeOf(record.tenant, record.group, record.sequence);
      if (!known || samePlace(known, record.place)) return "known";
      if (isOtherCommit(await this.#pageBytes(record.tenant, known), page)) {
        // Several processes wrote the group, as they do on S3, and more than one of them hoped for this sequence: their
        // pages follow each other as their segments do.
        if (this.#isHeld(record)) return "known";
        await this.#apply({ ...record, sequence: last + 1 }, page);
        return "taken in";
      }
      // Of two frames of one page the one in the newer segment counts: a recovery appended it again, because the older
      // one may be in memory only.
      if (record.place.segment > known.segment) this.relocate(record);
      return "known";
    }
    if (record.sequence > last + 1) {
      const { segment, offset } = record.place;
      const reason = `group ${JSON.stringify(record.group)}: pages ${last + 1}–${record.sequence - 1} are missing`;
      const { tenant, group } = record;
      this.noteDamage({
        tenant,
        segment,
        start: offset,
        end: offset,
        reason,
        frames: record.sequence - 1 - last,
        group,
        sequence: record.sequence - 1,
      });
    }
    await this.#apply(record, page);
    return "taken in";
  }

  placeOf(tenant: string, group: string, sequence: number): FramePlace | undefined {
    const page = this.#pageOf(tenant, group, sequence);
    return page < 0 ? undefined : this.#place(page);
  }

  relocate({ tenant, group, sequence, place }: PageRecord): void {
    const page = this.#pageOf(tenant, group, sequence);
    invariant(page >= 0, "a page that is relocated is in the index");
    this.changes += 1;
    this.pages.relocate(page, this.segments.count(tenant, place.segment), place.offset, place.headBytes);
  }

  async lastSequence(tenant: string, group: string): Promise<number> {
    return this.#basis(tenant, group).sequence;
  }

  async record(tenant: string, group: string, sequence: number): Promise<PageRecord | undefined> {
    const page = this.#pageOf(tenant, group, sequence);
    return page < 0 ? undefined : this.#record(tenant, group, page);
  }

  records(tenant: string, group: string, id?: string): Records {
    const at = this.#findGroup(tenant, group);
    const basis = this.#basis(tenant, group);
    if (at < 0) return { records: [], basis, incomplete: this.damageNotes.about(tenant, group, 0, undefined) };
    const cleared = this.groupTable.value(at, clearedThrough);
    const newest = this.groupTable.value(at, newestPage) - 1;
    if (id === undefined) {
      const records: PageRecord[] = [];
      for (let page = newest; page >= 0 && this.pages.sequence(page) > cleared; page = this.pages.previous(page)) {
        if (!this.segments.isRemoved(this.pages.segment(page))) records.push(this.#record(tenant, group, page));
      }
      return {
        records,
        basis,
        incomplete: this.damageNotes.about(tenant, group, cleared, this.#clearingPlace(tenant, newest, cleared)),
      };
    }
    this.#hasher.id(this.#group, id, this.#id);
    const slot = this.idTable.find(this.#id);
    const page = this.#collided(tenant, group, id) ?? (slot < 0 ? -1 : this.idTable.value(slot, decidingPage) - 1);
    if (page < 0 || this.pages.sequence(page) <= cleared) {
      return {
        records: [],
        basis,
        incomplete: this.damageNotes.about(tenant, group, cleared, this.#clearingPlace(tenant, newest, cleared)),
      };
    }
    const record = this.#record(tenant, group, page);
    return {
      records: [record],
      basis,
      incomplete: this.damageNotes.about(tenant, group, record.sequence, record.place),
    };
  }

  async requests(tenant: string, group: string, key: string): Promise<Records> {
    const at = this.#findGroup(tenant, group);
    const basis = this.#basis(tenant, group);
    if (at < 0) return { records: [], basis, incomplete: this.damageNotes.about(tenant, group, 0, undefined) };
    this.#hasher.request(this.#group, key, this.#id);
    const slot = this.idTable.find(this.#id);
    const page = slot < 0 ? -1 : this.idTable.value(slot, decidingPage) - 1;
    if (page < 0 || this.segments.isRemoved(this.pages.segment(page)))
      return { records: [], basis, incomplete: this.damageNotes.about(tenant, group, 0, undefined) };
    return { records: [this.#record(tenant, group, page)], basis };
  }

  async count(tenant: string, group: string): Promise<GroupCount> {
    const at = this.#findGroup(tenant, group);
    const payloads = at < 0 ? 0 : this.groupTable.value(at, livePayloads);
    const { basis, incomplete } = this.records(tenant, group);
    return { payloads, basis, incomplete, expiresMs: at < 0 ? undefined : this.#expiresMs(at) };
  }

  async *groups(tenant: string): AsyncGenerator<GroupSummary & ExpiringCount> {
    // A group's oldest page names it; pages added meanwhile are passed over. What cannot be read is not left out in silence.
    let failure: Error | undefined;
    for (const page of this.#oldestPages(tenant)) {
      let group: string;
      try {
        group = (await this.#reader.head(tenant, this.#place(page))).header.group;
      } catch (error) {
        failure ??= error instanceof Error ? error : new Error(String(error));
        continue;
      }
      const at = this.#findGroup(tenant, group);
      const payloads = at < 0 ? 0 : this.groupTable.value(at, livePayloads);
      if (payloads > 0) yield { group, payloads, expiresMs: this.#expiresMs(at) };
    }
    if (failure) throw failure;
    const lost = this.damageNotes.nameless(tenant) ?? this.#groupWithoutPages(tenant);
    if (lost) throw incompleteError(`the groups of tenant ${tenant}`, tenant, lost);
  }

  async *candidates(tenant: string, terms: readonly Term[], from?: string): AsyncGenerator<Candidate> {
    const rarest = this.#hashTerms(tenant, terms).reduce((a, b) =>
      this.termTable.countOf(b) < this.termTable.countOf(a) ? b : a,
    );
    const numbers = (first: number) => [this.termTable.pagesFrom(rarest, first)];
    const { segments } = this;
    yield* candidatePages({ tenant, numbers, record: (page) => this.#candidate(tenant, page), segments }, from);
    const lost = lostPages(this, tenant);
    if (lost) throw incompleteError(`payloads of tenant ${tenant} with attributes`, tenant, lost);
  }

  async *all(): AsyncGenerator<PageRecord> {
    for (let page = 0, end = this.pages.count; page < end; page++) {
      if (this.segments.isRemoved(this.pages.segment(page))) continue;
      yield this.#record(this.segments.tenant(this.pages.segment(page)), "", page);
    }
  }

  async totals(tenant: string): Promise<Totals> {
    return totalsOf(this, tenant);
  }

  isEmptied(tenant: string, group: string, dying = 0): boolean {
    const at = this.#findGroup(tenant, group);
    if (at < 0 || this.groupTable.value(at, livePayloads) !== dying) return false;
    return this.records(tenant, group).incomplete === undefined;
  }

  hiddenThrough(tenant: string, group: string): number {
    const at = this.#findGroup(tenant, group);
    return at < 0 ? 0 : this.groupTable.value(at, clearedThrough);
  }

  *history(tenant: string, group: string): Generator<PageRecord> {
    for (let { page } = this.#newestOf(tenant, group); page >= 0; page = this.pages.previous(page)) {
      if (!this.segments.isRemoved(this.pages.segment(page))) yield this.#record(tenant, group, page);
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
    for (const at of this.groupTable.slots()) {
      const cleared = this.groupTable.value(at, clearedThrough);
      let page = this.groupTable.value(at, newestPage) - 1;
      for (; page >= 0 && this.pages.sequence(page) > cleared; page = this.pages.previous(page)) {
        const ordinal = this.pages.segment(page);
        if (this.segments.name(ordinal) === segment && this.segments.tenant(ordinal) === tenant) return true;
      }
    }
    return false;
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

  /** The oldest page that is not hidden of each group that has payloads, in the order of their commits. */
  #oldestPages(tenant: string): Int32Array {
    const found: number[] = [];
    for (const at of this.groupTable.slots()) {
      let page = this.groupTable.value(at, newestPage) - 1;
      if (this.groupTable.value(at, livePayloads) === 0) continue;
      if (this.segments.tenant(this.pages.segment(page)) !== tenant) continue;
      const cleared = this.groupTable.value(at, clearedThrough);
      for (let before = page; before >= 0 && this.pages.sequence(before) > cleared;) {
        page = before;
        before = this.pages.previous(before);
      }
      found.push(page);
    }
    return Int32Array.from(found).sort();
  }

  /** A page that an attribute has, unless compaction removed it, or it shares 64 bits with one of another tenant. */
  #candidate(tenant: string, page: number): PageRecord | undefined {
    const segment = this.pages.segment(page);
    if (this.segments.tenant(segment) !== tenant || this.segments.isRemoved(segment)) return undefined;
    return this.#record(tenant, "", page);
  }

  /** Damage to a group of which nothing else is left, so that it is not among {@link groups}. */
  #groupWithoutPages(tenant: string): SegmentDamage | undefined {
    const gone = this.damageNotes.groups(tenant).find((group) => {
      const at = this.#findGroup(tenant, group);
      return at < 0 || this.groupTable.value(at, livePayloads) === 0;
    });
    return gone === undefined ? undefined : this.damageNotes.about(tenant, gone, 0, undefined);
  }

  noteDamage(damage: SegmentDamage): void {
    if (this.damageNotes.add(damage)) this.changes += 1;
  }

  async checkpoint(): Promise<void> {}

  async close(): Promise<void> {}

  /** Everything that must be read is read first; what follows changes the tables in one go. */
  async #apply(record: PageRecord, page: Page): Promise<void> {
    const { tenant, group } = record;
    const { places, hashes, terms } = this.#prepared.get(page) ?? this.#foresee(tenant, group, page, placesOf(page));
    // Whatever is left in a WeakMap outlives the collections of the young.
    this.#prepared.delete(page);
    const through = hidesThrough(record, page);
    const dead: Dead = { ids: new Set(), entries: [], unreadable: false };
    if (through > 0) await this.#hide(tenant, group, through, dead);
    if (!page.clearsGroup) await this.#replace(tenant, group, page, dead);
    // Many merges come at once, each with many ids.
    if (page.merged && dead.ids.size + page.entries.length >= entriesBetweenPauses) await this.#pause?.();

    this.changes += 1;
    const at = this.#insertGroup(tenant, group);
    const segment = this.segments.count(tenant, record.place.segment);
    const before = this.groupTable.value(at, newestPage);
    const ordinal = this.pages.add(segment, record.place.offset, record.place.headBytes, record.sequence, before);
    this.groupTable.setValue(at, newestPage, ordinal + 1);
    if (through > this.groupTable.value(at, clearedThrough)) this.groupTable.setValue(at, clearedThrough, through);

    let live = this.groupTable.value(at, livePayloads);
    const payloads = page.clearsGroup ? live : dead.ids.size;
    this.tenantTotals.subtract(tenant, dead.entries, payloads);
    for (const { place, segment: held } of dead.entries) this.segments.subtract(held, place);
    live -= payloads;
    if (dead.unreadable) this.tenantTotals.inexact(tenant);
    for (const id of dead.ids) this.#removeId(tenant, group, id);
    for (let i = 0; i < page.entries.length; i++) {
      this.#id[0] = hashes[2 * i]!;
      this.#id[1] = hashes[2 * i + 1]!;
      this.#setId(tenant, group, page.entries[i]!.id, ordinal);
    }
    for (const { key } of page.merged?.requests ?? []) this.#setRequest(tenant, group, key, ordinal);
    if (page.request) this.#setRequest(tenant, group, page.request.key, ordinal);
    for (const term of terms) this.termTable.add(term, ordinal);
    this.tenantTotals.add(tenant, places);
    this.segments.add(segment, places, record.place.headBytes);
    this.groupTable.setValue(at, livePayloads, live + places.length);
    if (through > 0) this.damageNotes.explain(tenant, group, through);
  }

  #foresee(tenant: string, group: string, page: Page, places: readonly EntryPlace[]): Prepared {
    const hashes = new Int32Array(2 * page.entries.length);
    this.#hasher.group(tenant, group, this.#group);
    for (let i = 0; i < page.entries.length; i++) {
      this.#hasher.id(this.#group, page.entries[i]!.id, this.#id);
      hashes[2 * i] = this.#id[0]!;
      hashes[2 * i + 1] = this.#id[1]!;
      // Brings the id's slot into the processor's cache, where the commit needs it.
      this.idTable.find(this.#id);
    }
    return { places, hashes, terms: this.#hashTerms(tenant, termsOf(page)) };
  }

  #hashTerms(tenant: string, terms: readonly Term[]): Hash128[] {
    return terms.map((term) => {
      const hash = new Int32Array(4);
      this.#hasher.term(tenant, term, hash);
      return hash;
    });
  }

  /** Adds the payloads that a page replaces or hides by name. */
  async #replace(tenant: string, group: string, page: Page, dead: Dead): Promise<void> {
    let loaded: { page: number; bytes: Uint8Array | undefined } | undefined;
    for (const id of this.#decided(tenant, group, page)) {
      const { records } = this.records(tenant, group, id);
      const record = records[0];
      if (!record || dead.ids.has(id)) continue;
      const ordinal = this.#ordinal(tenant, group, id);
      if (loaded?.page !== ordinal) loaded = { page: ordinal, bytes: await this.#pageBytes(tenant, record.place) };
      const answer = loaded.bytes && findInPage(loaded.bytes, id);
      if (!answer?.ok) {
        dead.unreadable = true;
        dead.ids.add(id);
      } else if (answer.value.kind === "payload") {
        dead.ids.add(id);
        dead.entries.push({ place: answer.value.place, segment: this.pages.segment(ordinal) });
      }
      // A page that is silent about the id decides about another one with the same 64 bits.
    }
  }

  /** The ids of a page that another page decides about. Most commits bring new ones, which cost no promise each. */
  #decided(tenant: string, group: string, page: Page): string[] {
    if (this.#findGroup(tenant, group) < 0) return [];
    const isDecided = (id: string) => this.#ordinal(tenant, group, id) >= 0;
    return [...page.deleted.filter(isDecided), ...page.entries.map(({ id }) => id).filter(isDecided)];
  }

  /** Adds the payloads of the pages up to a sequence. */
  async #hide(tenant: string, group: string, through: number, dead: Dead): Promise<void> {
    const steps = new Steps(this.#pause, entriesBetweenPauses);
    for (const record of this.records(tenant, group).records) {
      if (record.sequence > through) continue;
      const places = await this.#placesIn(tenant, record.place);
      if (!places) {
        dead.unreadable = true;
        continue;
      }
      for (const place of places) {
        const ordinal = this.#ordinal(tenant, group, place.entry.id);
        if (ordinal < 0 || this.pages.sequence(ordinal) !== record.sequence) continue;
        dead.ids.add(place.entry.id);
        dead.entries.push({ place, segment: this.pages.segment(ordinal) });
      }
      const due = steps.did(1 + places.length);
      if (due) await due;
    }
  }

  /** Whether a page of the group, hidden ones too, lies at this place. */
  #isHeld({ tenant, group, place }: PageRecord): boolean {
    for (let page = this.#newestOf(tenant, group).page; page >= 0; page = this.pages.previous(page)) {
      if (samePlace(this.#place(page), place)) return true;
    }
    return false;
  }

  #pageBytes(tenant: string, place: FramePlace): Promise<Uint8Array | undefined> {
    return readable(async () => (await this.#reader.head(tenant, place)).page);
  }

  /** What a page brought, nothing of it in memory that the next page takes. */
  async #placesIn(tenant: string, place: FramePlace): Promise<readonly EntryPlace[] | undefined> {
    const read = await readable(async () => this.#reader.look(tenant, place, ({ page }) => decodePlacedPage(page)));
    return read?.ok ? read.value.places : undefined;
  }

  #pageOf(tenant: string, group: string, sequence: number): number {
    const at = this.#findGroup(tenant, group);
    let page = at < 0 ? -1 : this.groupTable.value(at, newestPage) - 1;
    while (page >= 0 && this.pages.sequence(page) > sequence) page = this.pages.previous(page);
    return page >= 0 && this.pages.sequence(page) === sequence ? page : -1;
  }

  /** Nobody else writes: what is known is never old. */
  #basis(tenant: string, group: string): Basis {
    const { sequence, page } = this.#newestOf(tenant, group);
    if (!this.damageNotes.concern(tenant)) return { sequence, knownMs: 0 };
    const place = page < 0 ? undefined : this.#place(page);
    return { sequence: this.damageNotes.lastSequence(tenant, group, sequence, place), knownMs: 0 };
  }

  /** The group's newest page that the index has; page −1, sequence 0 if it has none. */
  #newestOf(tenant: string, group: string): { readonly page: number; readonly sequence: number } {
    const at = this.#findGroup(tenant, group);
    const page = at < 0 ? -1 : this.groupTable.value(at, newestPage) - 1;
    return { page, sequence: page < 0 ? 0 : this.pages.sequence(page) };
  }

  /** Before then no payload of a group expires. */
  #expiresMs(at: number): number | undefined {
    const cleared = this.groupTable.value(at, clearedThrough);
    const segments = new Set<number>();
    for (
      let page = this.groupTable.value(at, newestPage) - 1;
      page >= 0 && this.pages.sequence(page) > cleared;
      page = this.pages.previous(page)
    ) {
      segments.add(this.pages.segment(page));
    }
    return this.segments.firstExpiryMs(segments);
  }

  #findGroup(tenant: string, group: string): number {
    this.#hasher.group(tenant, group, this.#group);
    return this.groupTable.find(this.#group);
  }

  #insertGroup(tenant: string, group: string): number {
    this.#hasher.group(tenant, group, this.#group);
    return this.groupTable.insert(this.#group);
  }

  /** The page that decides about an id, or −1. */
  #ordinal(tenant: string, group: string, id: string): number {
    const collided = this.#collided(tenant, group, id);
    if (collided !== undefined) return collided;
    const slot = this.#findId(tenant, group, id);
    return slot < 0 ? -1 : this.idTable.value(slot, decidingPage) - 1;
  }

  #findId(tenant: string, group: string, id: string): number {
    this.#hasher.group(tenant, group, this.#group);
    this.#hasher.id(this.#group, id, this.#id);
    return this.idTable.find(this.#id);
  }

  #collided(tenant: string, group: string, id: string): number | undefined {
    return this.collisions.size === 0 ? undefined : this.collisions.get(fullName(tenant, group, id));
  }

  #removeId(tenant: string, group: string, id: string): void {
    const name = fullName(tenant, group, id);
    const slot = this.#findId(tenant, group, id);
    if (!this.collisions.has(name)) {
      if (slot >= 0) this.idTable.remove(slot);
      return;
    }
    // While the other id's slot stands, this one has to be known as absent.
    if (slot >= 0) this.collisions.set(name, absent);
    else this.collisions.delete(name);
  }

  #setRequest(tenant: string, group: string, key: string, page: number): void {
    this.#hasher.group(tenant, group, this.#group);
    this.#hasher.request(this.#group, key, this.#id);
    // A key that is there already was used more than a day ago; the newer answer counts.
    this.idTable.setValue(this.idTable.insert(this.#id), decidingPage, page + 1);
  }

  /** Its hash is in `#id`. It has no slot of its own now: one that is found is another id's. */
  #setId(tenant: string, group: string, id: string, page: number): void {
    if (this.idTable.find(this.#id) >= 0) {
      this.collisions.set(fullName(tenant, group, id), page);
      return;
    }
    if (this.collisions.size > 0) this.collisions.delete(fullName(tenant, group, id));
    this.idTable.setValue(this.idTable.add(this.#id), decidingPage, page + 1);
  }

  #record(tenant: string, group: string, page: number): PageRecord {
    return { tenant, group, sequence: this.pages.sequence(page), place: this.#place(page) };
  }

  #place(page: number): FramePlace {
    return {
      segment: this.segments.name(this.pages.segment(page)),
      offset: this.pages.offset(page),
      headBytes: this.pages.headBytes(page),
    };
  }

  /** Where the page lies that hid everything up to `cleared`. */
  #clearingPlace(tenant: string, newest: number, cleared: number): FramePlace | undefined {
    if (cleared === 0 || !this.damageNotes.concern(tenant)) return undefined;
    let page = newest;
    while (page >= 0 && this.pages.sequence(page) > cleared + 1) page = this.pages.previous(page);
    return page < 0 ? undefined : this.#place(page);
  }
}

/** What is known of a page before it is committed. */
interface Prepared {
  readonly places: readonly EntryPlace[];
  /** Two words of each entry's hash. */
  readonly hashes: Int32Array;
  readonly terms: readonly Hash128[];
}

/** Payloads that a commit makes dead. `entries` lacks those whose page cannot be read. */
interface Dead {
  readonly ids: Set<string>;
  readonly entries: { readonly place: EntryPlace; readonly segment: number }[];
  unreadable: boolean;
}

function samePlace(a: FramePlace, b: FramePlace): boolean {
  return a.segment === b.segment && a.offset === b.offset;
}

function fullName(tenant: string, group: string, id: string): string {
  return `${tenant}\0${group.length}\0${group}${id}`;
}
