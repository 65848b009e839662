import { hex } from "../../bytes.ts";
import { PayloadStoreError } from "../../errors.ts";
import { withoutNumber } from "../../index/candidate-pages.ts";
import { carryMarks, carryRemovals } from "../../index/carry-marks.ts";
import type { RecoverableIndex } from "../../index/recoverable-index.ts";
import type { SegmentTable } from "../../index/segment-table.ts";
import { isIndexDamage } from "../../lsm/run.ts";
import type { EntryPlace, Page } from "../../page/page.ts";
import type { Term } from "../../page/terms.ts";
import type {
  Basis,
  Candidate,
  CommitOutcome,
  GroupCount,
  GroupSummary,
  PageRecord,
  Records,
  SegmentState,
  Totals,
} from "../../ports/offset-index.ts";
import type { Random } from "../../ports/random.ts";
import type { FramePlace } from "../../ports/segment-store.ts";
import type { SegmentDamage } from "../../segment/scan.ts";

export interface Switching {
  /** Whether it is time for {@link grow}. Cost: nearly none. */
  readonly isGrown: (index: RecoverableIndex) => boolean;
  /** An index that knows the same and is made for more. */
  readonly grow: (index: RecoverableIndex) => Promise<RecoverableIndex>;
  /** An index made anew from the segments. */
  readonly renew: (index: RecoverableIndex) => Promise<RecoverableIndex>;
  /** Closes the files of an index that another one has taken the place of. */
  readonly letGo: (index: RecoverableIndex) => void;
  /** Called when an index is damaged and cannot be saved: the next start is to make it anew. */
  readonly giveUp: () => void;
}

/**
 * An index that another one takes the place of while the store is open: a larger kind when it has grown, one made anew
 * when it is damaged or somebody asks for that. Reads go on meanwhile, on the old one; commits wait.
 */
export class SwitchingOffsetIndex implements RecoverableIndex {
  #inner: RecoverableIndex;
  readonly #switching: Switching;
  #commits = 0;
  #idle: (() => void) | undefined;
  /** Set while another index is being made ready. */
  #gate: Promise<void> | undefined;
  readonly #random: Random;
  /** A name for the numbers that the index has given to its pages: one that was made anew has others. */
  #numbering: string | undefined;

  constructor(inner: RecoverableIndex, switching: Switching, random: Random) {
    this.#inner = inner;
    this.#switching = switching;
    this.#random = random;
  }

  get segments(): SegmentTable {
    return this.#inner.segments;
  }

  /** The index that answers now. */
  get current(): RecoverableIndex {
    return this.#inner;
  }

  async commit(record: PageRecord, page: Page, basis?: Basis): Promise<CommitOutcome> {
    const outcome = await this.#changing(() => this.#inner.commit(record, page, basis));
    if (this.#switching.isGrown(this.#inner)) void this.#grow();
    return outcome;
  }

  prepare(tenant: string, group: string, page: Page, places: readonly EntryPlace[]): void {
    this.#inner.prepare?.(tenant, group, page, places);
  }

  async replay(record: PageRecord, page: Page): Promise<"taken in" | "known"> {
    const outcome = await this.#changing(() => this.#inner.replay(record, page));
    if (this.#switching.isGrown(this.#inner)) await this.#grow();
    return outcome;
  }

  placeOf(tenant: string, group: string, sequence: number): FramePlace | undefined {
    return this.#inner.placeOf(tenant, group, sequence);
  }

  relocate(record: PageRecord): void {
    this.#inner.relocate(record);
  }

  isNeeded(tenant: string, segment: string): boolean {
    return this.#inner.isNeeded(tenant, segment);
  }

  noteDamage(damage: SegmentDamage): void {
    this.#inner.noteDamage(damage);
  }

  acceptLosses(losses: readonly SegmentDamage[]): void {
    this.#inner.acceptLosses(losses);
  }

  segmentStates(): readonly SegmentState[] {
    return this.#inner.segmentStates();
  }

  segmentState(tenant: string, segment: string): SegmentState | undefined {
    return this.#inner.segmentState(tenant, segment);
  }

  lastSequence(tenant: string, group: string): Promise<number> {
    return this.#answer(() => this.#inner.lastSequence(tenant, group));
  }

  records(tenant: string, group: string, id?: string): Records | Promise<Records> {
    const asked = this.#inner;
    try {
      return asked.records(tenant, group, id);
    } catch (error) {
      if (!isIndexDamage(error)) throw error;
      return this.#renewOnce(asked).then(() => this.#inner.records(tenant, group, id));
    }
  }

  recordsOf(tenant: string, group: string, ids: readonly string[]): Promise<readonly Records[]> {
    return this.#answer(async () => recordsOf(this.#inner, tenant, group, ids));
  }

  requests(tenant: string, group: string, key: string): Promise<Records> {
    return this.#answer(() => this.#inner.requests(tenant, group, key));
  }

  record(tenant: string, group: string, sequence: number): Promise<PageRecord | undefined> {
    return this.#answer(() => this.#inner.record(tenant, group, sequence));
  }

  count(tenant: string, group: string): Promise<GroupCount> {
    return this.#answer(() => this.#inner.count(tenant, group));
  }

  isEmptied(tenant: string, group: string, dying?: number): boolean {
    try {
      return this.#inner.isEmptied(tenant, group, dying);
    } catch (error) {
      if (!isIndexDamage(error)) throw error;
      // It is made anew when the page is committed. That a group is empty need not be said.
      return false;
    }
  }

  hiddenThrough(tenant: string, group: string): number {
    return this.#inner.hiddenThrough(tenant, group);
  }

  history(tenant: string, group: string): Iterable<PageRecord> {
    return this.#inner.history(tenant, group);
  }

  torn(tenant: string): readonly string[] {
    return this.#inner.torn(tenant);
  }

  supersede(tenant: string, segment: string, nowMs: number): void {
    this.#inner.supersede(tenant, segment, nowMs);
  }

  markRemoved(tenant: string, segment: string): void {
    this.#inner.markRemoved(tenant, segment);
  }

  groups(tenant: string): AsyncIterable<GroupSummary> {
    return this.#walk((index) => index.groups(tenant));
  }

  async *candidates(tenant: string, terms: readonly Term[], from?: string): AsyncGenerator<Candidate> {
    const walked = this.#inner;
    this.#numbering ??= hex(this.#random.bytes(4));
    const numbering = this.#numbering;
    const [of, cursor] = from?.split(".") ?? [];
    const known = cursor === undefined || of === numbering ? (cursor ?? from) : withoutNumber(cursor);
    let given = 0;
    try {
      for await (const candidate of walked.candidates(tenant, terms, known)) {
        given += 1;
        yield { ...candidate, cursor: `${numbering}.${candidate.cursor}` };
        // What replaces a candidate from now on is known to the other index alone.
        if (this.#inner !== walked) break;
      }
    } catch (error) {
      if (isIndexDamage(error)) await this.#renewOnce(walked);
      if (this.#inner === walked) throw error;
    }
    if (this.#inner === walked) return;
    // What was given out already cannot be taken back.
    if (given > 0) throw madeAnew();
    yield* this.candidates(tenant, terms, from);
  }

  all(): AsyncIterable<PageRecord> {
    return this.#walk((index) => index.all());
  }

  totals(tenant: string): Promise<Totals> {
    return this.#inner.totals(tenant);
  }

  damage(): readonly SegmentDamage[] {
    return this.#inner.damage();
  }

  async checkpoint(): Promise<void> {
    // Whoever removes segments next rests on it: it is to be saved by the index that stays.
    while (this.#gate) await this.#gate;
    await this.#answer(() => this.#inner.checkpoint());
  }

  async close(): Promise<void> {
    while (this.#gate) await this.#gate;
    try {
      await this.#inner.close();
    } catch (error) {
      if (!isIndexDamage(error)) throw error;
      this.#switching.giveUp();
    }
  }

  /** Makes the index anew from the segments and saves it. */
  async renew(): Promise<void> {
    await this.#switch(async () => this.#switching.renew(this.#inner));
  }

  /** Takes up another index that was saved, as a start would. */
  async takeUp(open: () => RecoverableIndex): Promise<void> {
    await this.#switch(async () => open());
  }

  /** Renews an index whose damage was met beside the calls. */
  renewInTime(): void {
    const damaged = this.#inner;
    void this.#renewOnce(damaged).catch(() => {});
  }

  /** A file of the index that is damaged costs time, not the answer. */
  async #answer<T>(ask: () => Promise<T>): Promise<T> {
    const asked = this.#inner;
    try {
      return await ask();
    } catch (error) {
      if (!isIndexDamage(error)) throw error;
      await this.#renewOnce(asked);
    }
    return ask();
  }

  async *#walk<T>(walk: (index: RecoverableIndex) => AsyncIterable<T>): AsyncGenerator<T> {
    const walked = this.#inner;
    let given = 0;
    try {
      for await (const each of walk(walked)) {
        given += 1;
        yield each;
      }
    } catch (error) {
      if (isIndexDamage(error)) await this.#renewOnce(walked);
      if (this.#inner === walked) throw error;
      if (given === 0) {
        yield* walk(this.#inner);
        return;
      }
      // What was given out already cannot be taken back.
      throw madeAnew(error);
    }
  }

  async #changing<T>(change: () => Promise<T>): Promise<T> {
    for (;;) {
      while (this.#gate) await this.#gate;
      this.#commits += 1;
      const asked = this.#inner;
      try {
        return await change();
      } catch (error) {
        if (!isIndexDamage(error)) throw error;
        this.#leave();
        await this.#renewOnce(asked);
        this.#commits += 1;
      } finally {
        this.#leave();
      }
    }
  }

  #leave(): void {
    this.#commits -= 1;
    if (this.#commits === 0) this.#idle?.();
  }

  async #renewOnce(damaged: RecoverableIndex): Promise<void> {
    await this.#switch(async () => (this.#inner === damaged ? this.#switching.renew(damaged) : this.#inner));
  }

  /** A failure, a full disk for instance, leaves the index as it was; it is tried again when the next page comes. */
  async #grow(): Promise<void> {
    const grown = async () => (this.#switching.isGrown(this.#inner) ? this.#switching.grow(this.#inner) : this.#inner);
    await this.#switch(grown, carryMarks).catch(() => {});
  }

  /**
   * Commits that are under way end first, and further ones wait.
   * @param carry  hands on what the segments do not tell, as it is in the moment when the other index takes over
   */
  async #switch(make: () => Promise<RecoverableIndex>, carry = carryRemovals): Promise<void> {
    while (this.#gate) await this.#gate;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    try {
      if (this.#commits > 0) {
        const idle = Promise.withResolvers<void>();
        this.#idle = idle.resolve;
        await idle.promise;
      }
      const before = this.#inner;
      const next = await make();
      if (next !== before) {
        carry(before, next);
        this.#inner = next;
        this.#numbering = undefined;
        this.#switching.letGo(before);
      }
    } finally {
      this.#idle = undefined;
      this.#gate = undefined;
      resolve();
    }
  }
}

/** What an index says of each of several ids, however it is asked. */
async function recordsOf(
  index: RecoverableIndex,
  tenant: string,
  group: string,
  ids: readonly string[],
): Promise<readonly Records[]> {
  if (index.recordsOf) return index.recordsOf(tenant, group, ids);
  return Promise.all(ids.map(async (id) => index.records(tenant, group, id)));
}

function madeAnew(cause?: unknown): PayloadStoreError {
  return new PayloadStoreError("UNAVAILABLE", "the index was made anew meanwhile: ask again", { cause });
}
