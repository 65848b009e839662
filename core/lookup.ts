import { whenThere } from "./at-once.ts";
import { bytesEqual } from "./bytes.ts";
import { isPayloadStoreError, PayloadStoreError } from "./errors.ts";
import { isExpired } from "./expiry.ts";
import { GroupView } from "./group-view.ts";
import type { ResolvedKey } from "./key.ts";
import { findInPage } from "./page/find-in-page.ts";
import { decodePlacedPage, type EntryPlace, type PageRequest, type PlacedEntries } from "./page/page.ts";
import { hasTerms, type Term } from "./page/terms.ts";
import { headOf } from "./payload-head.ts";
import type { Location, PayloadHead } from "./payload.ts";
import type { Clock } from "./ports/clock.ts";
import type { Basis, OffsetIndex, PageRecord, Records } from "./ports/offset-index.ts";
import type { FramePlace } from "./ports/segment-store.ts";
import { incompleteError } from "./segment/incomplete.ts";
import type { FrameHeader } from "./segment/frame.ts";
import type { FrameHead, FrameReader } from "./segment/read-frame.ts";
import type { SegmentDamage } from "./segment/scan.ts";
import { Steps } from "./steps.ts";

/** An answer about a group, and the state of the group that it describes. */
export interface Decided<T> {
  readonly value: T;
  readonly basis: Basis;
}

export interface FoundPayload {
  readonly head: PayloadHead;
  /** The frame that holds its page. */
  readonly place: FramePlace;
  readonly found: EntryPlace;
}

type Looking<T> = Decided<T> | Promise<Decided<T>>;

/** What pages say of a payload: nothing that decides, that it is absent, or where it is. */
interface Found {
  readonly decided: boolean;
  readonly payload?: FoundPayload | undefined;
}

const silent: Found = { decided: false };
const absent: Found = { decided: true };

/** Heads of frames that are read at once: where each is a request, they need not wait for one another. */
const headsAtOnce = 16;

/** Pages and their entries that are added to a view before others run: some half a millisecond. */
const entriesBetweenPauses = 128;

/**
 * Answers questions from the pages that the index names. Where a lost page could change an answer it is `CORRUPT`. What has
 * expired by the clock is absent.
 */
export class Lookup {
  readonly #index: OffsetIndex;
  readonly #frames: FrameReader;
  readonly #clock: Clock;

  constructor(index: OffsetIndex, frames: FrameReader, clock: Clock) {
    this.#index = index;
    this.#frames = frames;
    this.#clock = clock;
  }

  /** @returns the answer that the request had, if it was committed before. */
  async answered(tenant: string, group: string, request: PageRequest): Promise<Decided<Location[] | undefined>> {
    const { records, basis, incomplete } = await this.#index.requests(tenant, group, request.key);
    for (const record of records) {
      const found = await this.#pageOf(record, group);
      if (!found) continue;
      const { sequence, place } = record;
      const { header, page, places } = found;
      const merged = page.merged?.requests.find(({ key }) => key === request.key);
      const answered = page.request?.key === request.key ? page.request : merged;
      if (!answered) continue;
      if (bytesEqual(answered.bodyHash, request.bodyHash)) {
        if (merged) return { value: merged.answer.map((location) => ofGroup(location, group)), basis };
        const placed = { group, sequence, timeMs: header.timeMs, place };
        return { value: places.map((found) => headOf(placed, found).location), basis };
      }
      const message = `idempotency key ${JSON.stringify(request.key)} was used for another request in group ${JSON.stringify(group)}`;
      throw new PayloadStoreError("KEY_REUSED", message, { details: { idempotencyKey: request.key } });
    }
    refuseIncomplete({ tenant, group }, incomplete);
    return { value: undefined, basis };
  }

  /** What is known of a payload, `undefined` if there is none: at once, where index and segments answer at once. */
  find(key: ResolvedKey): Looking<FoundPayload | undefined> {
    const records = this.#index.records(key.tenant, key.group, key.id);
    return records instanceof Promise ? records.then((found) => this.#decide(key, found)) : this.#decide(key, records);
  }

  /** As {@link find} for several ids of one group, in their order. */
  async findMany(tenant: string, group: string, ids: readonly string[]): Promise<(FoundPayload | undefined)[]> {
    const narrowed = await this.#index.recordsOf?.(tenant, group, ids);
    const found: (FoundPayload | undefined)[] = [];
    for (const [i, id] of ids.entries()) {
      const key = { tenant, group, id };
      const looking = narrowed ? this.#decide(key, narrowed[i]!) : this.find(key);
      found.push((looking instanceof Promise ? await looking : looking).value);
    }
    return found;
  }

  /**
   * The payloads of a page that have these attributes, and that nothing replaced or hid, each by its place in the page.
   * Cost: one read; another one for each of them that another page may decide.
   */
  async livingIn(
    { tenant, sequence, place }: PageRecord,
    terms: readonly Term[],
  ): Promise<{ readonly position: number; readonly head: PayloadHead }[]> {
    const { header, places } = await this.#page({ tenant, place });
    const { group, timeMs } = header;
    const living: { readonly position: number; readonly head: PayloadHead }[] = [];
    for (const [position, found] of places.entries()) {
      if (!hasTerms(found.entry.attributes, terms) || isExpired(found.entry, this.#clock.nowMs())) continue;
      if (!(await this.#isDecidedBy({ tenant, group, id: found.entry.id }, place))) continue;
      living.push({ position, head: headOf({ group, sequence, timeMs, place }, found) });
    }
    return living;
  }

  /** Whether the payload of an id is the one in the page at this place. */
  async #isDecidedBy(key: ResolvedKey, place: FramePlace): Promise<boolean> {
    const narrowed = await this.#index.records(key.tenant, key.group, key.id);
    const [first] = narrowed.records;
    if (first && isSamePlace(first.place, place) && !narrowed.incomplete) return true;
    const { value } = await this.#decide(key, narrowed);
    return value !== undefined && isSamePlace(value.place, place);
  }

  /** Whether there is a payload. Cost: as {@link find}, but no read of a page that is a request away. */
  has(key: ResolvedKey): Looking<boolean> {
    const records = this.#index.records(key.tenant, key.group, key.id);
    return records instanceof Promise
      ? records.then((found) => this.#isThere(key, found))
      : this.#isThere(key, records);
  }

  #isThere(key: ResolvedKey, narrowed: Records): Looking<boolean> {
    const { records, byHash, basis, incomplete } = narrowed;
    if (byHash && records.length > 0 && !incomplete) return { value: true, basis };
    return whenThere(this.#decide(key, narrowed), (decided) => ({
      value: decided.value !== undefined,
      basis: decided.basis,
    }));
  }

  #decide(key: ResolvedKey, narrowed: Records): Looking<FoundPayload | undefined> {
    const found = this.#findIn(key, narrowed.records);
    return found instanceof Promise
      ? found.then((answer) => this.#decided(key, narrowed, answer))
      : this.#decided(key, narrowed, found);
  }

  #decided(key: ResolvedKey, { records, basis, incomplete }: Records, found: Found): Looking<FoundPayload | undefined> {
    if (found.decided || records.length === 0) {
      refuseIncomplete(key, incomplete);
      return { value: found.payload, basis };
    }
    // The page that was to decide names another id: two ids share their hash. The whole group tells.
    return this.#decideByAll(key);
  }

  async #decideByAll(key: ResolvedKey): Promise<Decided<FoundPayload | undefined>> {
    const all = await this.#index.records(key.tenant, key.group);
    const walked = await this.#findIn(key, all.records);
    refuseIncomplete(key, all.incomplete);
    return { value: walked.payload, basis: all.basis };
  }

  /** @param from  the first of the records to look at */
  #findIn(key: ResolvedKey, records: readonly PageRecord[], from = 0): Found | Promise<Found> {
    for (let i = from; i < records.length; i++) {
      const record = records[i]!;
      const found = this.#frames.look(key.tenant, record.place, (head) => this.#foundIn(head, key, record));
      if (found instanceof Promise) {
        return found
          .catch(ofPage(key.group, record.sequence))
          .then((answer) => (answer.decided ? answer : this.#findIn(key, records, i + 1)));
      }
      if (found.decided) return found;
    }
    return silent;
  }

  /** What one page says of a payload. */
  #foundIn({ header, page, directory }: FrameHead, key: ResolvedKey, { sequence, place }: PageRecord): Found {
    if (header.group !== key.group) return silent;
    const answer = directory ? directory.find(page, key.id) : findInPage(page, key.id);
    if (!answer.ok) throw damagedPage(key.tenant, place, answer.damage);
    if (answer.value.kind === "silent") return silent;
    if (answer.value.kind === "hidden" || isExpired(answer.value.place.entry, this.#clock.nowMs())) return absent;
    const { place: found } = answer.value;
    const placed = { group: key.group, sequence, timeMs: header.timeMs, place };
    return { decided: true, payload: { head: headOf(placed, found), place, found } };
  }

  /**
   * The payload that a location describes, `undefined` if the page is not the one that the location was made from.
   * @throws {PayloadStoreError} `INVALID` when it is, and has no such payload
   */
  async at({ tenant, group, sequence, place }: PageRecord, location: Location): Promise<FoundPayload | undefined> {
    const { header, places } = await this.#page({ tenant, place });
    let isMeant = false;
    for (const found of places) {
      const head = headOf({ group, sequence, timeMs: header.timeMs, place }, found);
      if (sameLocation(head.location, location)) return { head, place, found };
      isMeant ||= head.location.segment === location.segment;
    }
    if (!isMeant) return undefined;
    throw new PayloadStoreError("INVALID", "the location is not one that `append` returned", {
      details: { field: "location" },
    });
  }

  /** A page with its head. */
  #page({ tenant, place }: Pick<PageRecord, "tenant" | "place">): HeadedPage | Promise<HeadedPage> {
    return this.#frames.look(tenant, place, (head) => headedPage(head, tenant, place));
  }

  /** A page of a group, `undefined` if it is another's; where its segment is gone, the error names it. */
  #pageOf(
    { tenant, sequence, place }: PageRecord,
    group: string,
  ): HeadedPage | undefined | Promise<HeadedPage | undefined> {
    const page = this.#frames.look(tenant, place, (head) =>
      head.header.group === group ? headedPage(head, tenant, place) : undefined,
    );
    return page instanceof Promise ? page.catch(ofPage(group, sequence)) : page;
  }

  /**
   * The group as all its pages make it, and these, newest first.
   * @param pause  lets others run, now and then; pages are then read one after the other
   */
  async view(
    tenant: string,
    group: string,
    pause?: () => Promise<void>,
  ): Promise<{ readonly view: GroupView; readonly records: readonly PageRecord[]; readonly basis: Basis }> {
    const { records, basis, incomplete } = await this.#index.records(tenant, group);
    const view = new GroupView(this.#clock.nowMs());
    const oldestFirst = records.toReversed();
    const steps = new Steps(pause, entriesBetweenPauses);
    const atOnce = pause ? 1 : headsAtOnce;
    for (let at = 0; at < oldestFirst.length; at += atOnce) {
      const some = oldestFirst.slice(at, at + atOnce);
      let entries = 0;
      const pages = await Promise.all(some.map(async (record) => this.#pageOf(record, group)));
      for (const [i, { sequence, place }] of some.entries()) {
        const found = pages[i];
        if (found) view.add({ group, sequence, timeMs: found.header.timeMs, place }, found);
        entries += 1 + (found?.places.length ?? 0) + (found?.page.merged?.order.length ?? 0);
      }
      const due = steps.did(entries);
      if (due) await due;
    }
    refuseIncomplete({ tenant, group }, incomplete);
    return { view, records, basis };
  }
}

export interface HeadedPage extends PlacedEntries {
  readonly header: FrameHeader;
}

/**
 * Decodes the page of a head; nothing of it lies in the head's memory.
 * @throws {PayloadStoreError} `CORRUPT` when the page is malformed
 */
export function headedPage({ header, page }: FrameHead, tenant: string, place: FramePlace): HeadedPage {
  const read = decodePlacedPage(page);
  if (!read.ok) throw damagedPage(tenant, place, read.damage);
  return { header, page: read.value.page, places: read.value.places };
}

function isSamePlace(a: FramePlace, b: FramePlace): boolean {
  return a.segment === b.segment && a.offset === b.offset;
}

function sameLocation(a: Location, b: Location): boolean {
  const fields = ["segment", "offset", "stored", "codec", "start", "length"] as const;
  return fields.every((field) => a[field] === b[field]);
}

function ofGroup(location: Location, group: string): Location {
  return location.page ? { ...location, page: { ...location.page, group } } : location;
}

/** Says of a segment that is gone which page it held. */
function ofPage(group: string, sequence: number): (error: unknown) => never {
  return (error) => {
    if (!isPayloadStoreError(error, "GONE")) throw error;
    const message = `page ${sequence} of ${describeKey({ group })}: ${error.message}`;
    throw new PayloadStoreError("GONE", message, { cause: error, details: { ...error.details, group, sequence } });
  };
}

function damagedPage(tenant: string, place: FramePlace, damage: string): PayloadStoreError {
  return new PayloadStoreError(
    "CORRUPT",
    `segment ${tenant}/${place.segment}, frame at byte ${place.offset}: ${damage}`,
  );
}

function refuseIncomplete(
  key: { readonly tenant: string; readonly group: string; readonly id?: string },
  damage: SegmentDamage | undefined,
): void {
  if (damage) throw incompleteError(describeKey(key), key.tenant, damage);
}

/** A key for people, in messages. */
export function describeKey(key: { readonly group: string; readonly id?: string }): string {
  const group = `group ${JSON.stringify(key.group)}`;
  return key.id === undefined ? group : `${group}, id ${JSON.stringify(key.id)}`;
}
