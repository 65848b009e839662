import { PayloadStoreError } from "./errors.ts";
import { limits } from "./limits.ts";
import {
  encodePage,
  type MergedPages,
  placesOf,
  type EntryPlace,
  type Page,
  type PageBlock,
  type PageEntry,
  type PageRequest,
} from "./page/page.ts";
import type { PlacedPage } from "./payload-head.ts";
import type { Clock } from "./ports/clock.ts";
import type { Basis, OffsetIndex } from "./ports/offset-index.ts";
import type { Random } from "./ports/random.ts";
import type { FramePlace, SegmentStore } from "./ports/segment-store.ts";
import type { EncodedBlock } from "./segment/block.ts";
import { invariant } from "./invariant.ts";

/** What a caller wants a page to say. */
export interface PageDraft {
  /** The page is the answer to this request alone; set only by what is prepared in the lane. */
  readonly request?: PageRequest | undefined;
  readonly clearsGroup?: boolean;
  readonly deleted?: readonly string[];
  readonly merged?: MergedPages | undefined;
  readonly entries: readonly DraftEntry[];
  readonly blocks: readonly EncodedBlock[];
  /** Segment that some of its blocks rest in; such a draft is prepared in the lane, and has a page to itself. */
  readonly restsIn?: string | undefined;
  /** Set where the body lies in an upload: such a draft has a page to itself, and no blocks. */
  readonly upload?: { readonly name: string; readonly blocks: readonly PageBlock[] } | undefined;
}

/** An entry, and how long it is kept from its commit on, in milliseconds, where its class says so; 0 for ever. */
export type DraftEntry = PageEntry & { readonly keptMs?: number | undefined };

/** A draft that depends on the group's state, and the state it depends on. */
export interface DecidedDraft {
  readonly draft: PageDraft;
  readonly basis: Basis;
}

/** A draft that was committed. */
export interface Committed extends PlacedPage {
  /** Where the draft's entries lie, in their order, relative to the end of the frame's head. */
  readonly entries: readonly EntryPlace[];
}

/** Bytes of pages and blocks that were stored, for commits and again by compaction. */
export interface WrittenBytes {
  appendedBytes: number;
  compactedBytes: number;
}

interface Waiting {
  /** Resolves when the draft is there; it took its place in the lane before. */
  readonly ready: Promise<PageDraft | undefined>;
  draft: PageDraft | undefined;
  readonly prepare: (() => Promise<DecidedDraft | undefined>) | undefined;
  /** When it came. */
  readonly enteredMs: number;
  readonly resolve: (committed: Committed | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Payloads and bytes of drafts that share a page. Beyond that sharing gains nothing and makes pages long to read. */
const foldedPayloadsMax = 1000;
const foldedBytesMax = 4_194_304;

/**
 * Commits pages, one at a time for each group: bytes first, then the page under the group's next sequence.
 *
 * A group's lane exists while something waits in it. Drafts that wait meanwhile and name different ids are folded into
 * one page, so many concurrent appends to a group cost few commits. What depends on the group's state (a delete, a
 * put-if-absent) is prepared in the lane, where nothing else of this process changes the group, and again whenever
 * another process took the sequence.
 */
export class CommitLanes {
  readonly #segments: SegmentStore;
  readonly #index: OffsetIndex;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #retention: TenantRetention;
  readonly #lanes = new Map<string, Waiting[]>();
  readonly #idle: (() => void)[] = [];
  /** Commits that a caller waits for, and all that callers have brought. */
  #calls = 0;
  #callsBegun = 0;
  #callsEnded: PromiseWithResolvers<void> | undefined;
  /** Commits under way; they never reject. */
  readonly #committing = new Set<Promise<void>>();
  #paused: Promise<void> | undefined;
  /** By tenant, since the store was opened. */
  readonly written: Map<string, WrittenBytes> = new Map();

  constructor(
    ports: { segments: SegmentStore; index: OffsetIndex; clock: Clock; random: Random },
    retention: TenantRetention = () => 0,
  ) {
    this.#retention = retention;
    this.#segments = ports.segments;
    this.#index = ports.index;
    this.#clock = ports.clock;
    this.#random = ports.random;
  }

  /** Commits a draft that holds whatever the group's state is. Drafts take effect in the order of the calls. */
  async append(tenant: string, group: string, draft: Promise<PageDraft>): Promise<Committed> {
    const committed = await this.#enter(tenant, group, draft, undefined);
    invariant(committed !== undefined, "a draft is committed or rejected");
    return committed;
  }

  /**
   * Commits what `prepare` makes of the group's state, or nothing when it makes nothing.
   * @param by  who waits for it: see {@link callsEnded}
   */
  decide(
    tenant: string,
    group: string,
    prepare: () => Promise<DecidedDraft | undefined>,
    by: "a caller" | "compaction" = "a caller",
  ): Promise<Committed | undefined> {
    return this.#enter(tenant, group, undefined, prepare, by);
  }

  /** How many commits callers have brought so far. */
  get callsBegun(): number {
    return this.#callsBegun;
  }

  /** Resolves once no caller waits for a commit; `undefined` if none does now. */
  callsEnded(): Promise<void> | undefined {
    if (this.#calls === 0) return undefined;
    this.#callsEnded ??= Promise.withResolvers<void>();
    return this.#callsEnded.promise;
  }

  /** Runs `work` while nothing is being committed; what waits in the lanes is committed afterwards. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    while (this.#paused) await this.#paused;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#paused = promise;
    try {
      await Promise.all(this.#committing);
      return await work();
    } finally {
      this.#paused = undefined;
      resolve();
    }
  }

  /** Resolves once no lane has anything to do. */
  async idle(): Promise<void> {
    if (this.#lanes.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle.push(resolve);
    await promise;
  }

  #enter(
    tenant: string,
    group: string,
    ready: Promise<PageDraft> | undefined,
    prepare: Waiting["prepare"],
    by: "a caller" | "compaction" = "a caller",
  ): Promise<Committed | undefined> {
    const committed = new Promise<Committed | undefined>((resolve, reject) => {
      const lane = `${tenant}\0${group}`;
      const waiting = this.#lanes.get(lane);
      const enteredMs = this.#clock.nowMs();
      const made = ready ?? Promise.resolve(undefined);
      const entry: Waiting = { ready: made, draft: undefined, prepare, enteredMs, resolve, reject };
      entry.ready.then(
        (draft) => (entry.draft = draft),
        () => {},
      );
      if (waiting) {
        waiting.push(entry);
        return;
      }
      this.#lanes.set(lane, [entry]);
      void this.#drain(lane, tenant, group);
    });
    if (by === "a caller") {
      this.#calls += 1;
      this.#callsBegun += 1;
      const ended = () => this.#callEnded();
      committed.then(ended, ended);
    }
    return committed;
  }

  #callEnded(): void {
    this.#calls -= 1;
    if (this.#calls > 0) return;
    this.#callsEnded?.resolve();
    this.#callsEnded = undefined;
  }

  async #drain(lane: string, tenant: string, group: string): Promise<void> {
    const waiting = this.#lanes.get(lane) ?? [];
    while (waiting.length > 0) {
      if (this.#paused) {
        await this.#paused;
        continue;
      }
      const [first] = waiting;
      try {
        await first?.ready;
      } catch (error) {
        waiting.shift()?.reject(error);
        continue;
      }
      // It may have been paused while the draft was made ready.
      if (this.#paused) continue;
      const sharing = takeSharing(waiting);
      const committing = this.#commit(tenant, group, sharing).catch((error: unknown) => {
        for (const { reject } of sharing) reject(error);
      });
      this.#committing.add(committing);
      await committing;
      this.#committing.delete(committing);
    }
    this.#lanes.delete(lane);
    if (this.#lanes.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #commit(tenant: string, group: string, sharing: readonly Waiting[]): Promise<void> {
    let framed: Framed | undefined;
    for (let attempt = 0; attempt < limits.commitAttemptsMax; attempt++) {
      const [first] = sharing;
      const decided = await first?.prepare?.();
      if (first?.prepare && !decided) {
        first.resolve(undefined);
        return;
      }
      const sequence = (decided ? decided.basis.sequence : await this.#index.lastSequence(tenant, group)) + 1;
      if (sequence > limits.sequenceMax) {
        throw new PayloadStoreError(
          "TOO_LARGE",
          `group ${JSON.stringify(group)} has had ${limits.sequenceMax} commits, which is its limit: use another group`,
        );
      }
      // A page that holds whatever the group's state is need not be stored again under another sequence.
      const drafts = decided ? [decided.draft] : sharing.flatMap(({ draft }) => draft ?? []);
      // What was held up since is not stored: an erasure could have been seen through meanwhile. docs/decisions/0028.
      const restsOnMs = this.#index.shared ? Math.min(...sharing.map(({ enteredMs }) => enteredMs)) : undefined;
      if (decided || !framed) framed = await this.#store(tenant, group, sequence, drafts, restsOnMs);
      const { page, places, place, timeMs } = framed;
      const outcome = await this.#index.commit({ tenant, group, sequence, place }, page, decided?.basis);
      if (outcome.kind === "taken") continue;

      let from = 0;
      for (const [i, { resolve }] of sharing.entries()) {
        const count = drafts[i]?.entries.length ?? 0;
        resolve({ group, sequence, place, timeMs, entries: places.slice(from, from + count) });
        from += count;
      }
      return;
    }
    throw new PayloadStoreError(
      "CONFLICT",
      `group ${JSON.stringify(group)}: other writers took the next sequence ${limits.commitAttemptsMax} times`,
    );
  }

  async #store(
    tenant: string,
    group: string,
    sequence: number,
    drafts: readonly PageDraft[],
    restsOnMs: number | undefined,
  ): Promise<Framed> {
    // What a group without payloads had before is not needed any more once a page says so.
    const clearsGroup = sequence > 1 && this.#index.isEmptied?.(tenant, group) === true;
    const timeMs = Math.floor(this.#clock.nowMs());
    const page = joinDrafts(drafts, clearsGroup, this.#random.bytes(16), { timeMs, keptMs: this.#retention(tenant) });
    const encoded = encodePage(page);
    this.#count(tenant, page, encoded.length);
    const appending = this.#segments.append(tenant, {
      kind: page.entries.length > 0 ? "payloads" : "tombstone",
      group,
      sequence,
      timeMs,
      page: encoded,
      ids: page.entries.length + page.deleted.length,
      inSegment: page.upload === undefined ? undefined : true,
      restsIn: drafts[0]?.restsIn,
      restsOnMs,
      // What it takes the place of is there until compaction has made it durable. docs/decisions/0035.
      mayWait: page.merged === undefined ? undefined : true,
      blocks: drafts.flatMap((draft) => draft.blocks),
    });
    // A turn later a segment store on disk waits for its sync, which leaves this thread time for what comes after it.
    await Promise.resolve();
    const places = placesOf(page);
    this.#index.prepare?.(tenant, group, page, places);
    return { page, places, timeMs, place: await appending };
  }

  #count(tenant: string, { merged, upload, blocks }: Page, pageBytes: number): void {
    const bytes = upload === undefined ? blocks.reduce((sum, { bodyBytes }) => sum + bodyBytes, pageBytes) : pageBytes;
    const written = this.written.get(tenant) ?? { appendedBytes: 0, compactedBytes: 0 };
    written[merged ? "compactedBytes" : "appendedBytes"] += bytes;
    this.written.set(tenant, written);
  }
}

/** How long a tenant's payloads are kept that have neither an expiry nor a class of their own, in milliseconds; 0 for ever. */
export type TenantRetention = (tenant: string) => number;

/** A page that is stored and not committed yet. */
interface Framed {
  readonly page: Page;
  readonly places: readonly EntryPlace[];
  readonly place: FramePlace;
  readonly timeMs: number;
}

/** Takes the next to commit, with those behind it that can share its page. */
function takeSharing(waiting: Waiting[]): Waiting[] {
  if (waiting.length === 1) return waiting.splice(0);
  const ids = new Set<string>();
  let payloads = 0;
  let bytes = 0;
  let count = 0;
  for (const { draft } of waiting) {
    if (!draft) break;
    payloads += draft.entries.length;
    for (const block of draft.blocks) bytes += block.body.length;
    const fits = count === 0 || (payloads <= foldedPayloadsMax && bytes <= foldedBytesMax);
    const alone = count > 0 && (draft.upload ?? waiting[0]?.draft?.upload) !== undefined;
    if (!fits || alone || draft.entries.some(({ id }) => ids.has(id))) break;
    for (const { id } of draft.entries) ids.add(id);
    count += 1;
  }
  return waiting.splice(0, Math.max(count, 1));
}

/** @param kept  when it is committed, and how long payloads are kept that say nothing themselves, in milliseconds; 0 for ever */
function joinDrafts(
  drafts: readonly PageDraft[],
  clearsGroup: boolean,
  commitId: Uint8Array,
  kept: { readonly timeMs: number; readonly keptMs: number },
): Page {
  const upload = drafts[0]?.upload;
  const entries = drafts.length === 1 && drafts[0] ? drafts[0].entries : drafts.flatMap((draft) => draft.entries);
  // What is merged has been given its time before.
  const saysNothing = kept.keptMs === 0 && entries.every((entry) => entry.keptMs === undefined);
  const isGiven = saysNothing || drafts[0]?.merged !== undefined;
  return {
    commitId,
    request: drafts[0]?.request,
    clearsGroup: clearsGroup || drafts.some((draft) => draft.clearsGroup === true),
    merged: drafts[0]?.merged,
    deleted: drafts.flatMap((draft) => draft.deleted ?? []),
    upload: upload?.name,
    blocks: upload?.blocks ?? drafts.flatMap((draft) => draft.blocks.map(pageBlock)),
    entries: isGiven ? entries : entries.map((entry) => entryKept(entry, kept)),
  };
}

/** An entry as a page has it. */
function entryKept(
  { keptMs: ofClass, ...entry }: DraftEntry,
  { timeMs, keptMs }: { readonly timeMs: number; readonly keptMs: number },
): PageEntry {
  const ms = ofClass ?? keptMs;
  return ms === 0 || entry.expiresMs !== undefined ? entry : { ...entry, expiresMs: timeMs + ms };
}

function pageBlock({ codec, rawBytes, body }: EncodedBlock): PageBlock {
  return { codec, rawBytes, bodyBytes: body.length };
}
