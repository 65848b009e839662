import { isPayloadStoreError, PayloadStoreError, throwIfAborted } from "../errors.ts";
import { isExpired } from "../expiry.ts";
import { expiredAt } from "../index/expiring.ts";
import type { RecoverableIndex } from "../index/recoverable-index.ts";
import type { IndexedSegment } from "../index/segment-table.ts";
import { decodePlacedPage, type MergedRequest } from "../page/page.ts";
import { locationOf } from "../payload-head.ts";
import { Steps } from "../steps.ts";
import type { ReclaimingSegments } from "../ports/segment-store.ts";
import type { ReclaimingUploads } from "../ports/upload-store.ts";
import { segmentTimeMs } from "../segment/name.ts";
import type { SegmentScan } from "../segment/scan.ts";
import type {
  CompactionReport,
  Compaction,
  CompactOptions,
  RewrittenSegment,
  SkippedCompaction,
} from "./compaction.ts";
import { checkGrace } from "./compact-options.ts";
import { type BaseRules, GrowingBases } from "./growing-bases.ts";
import { joinedReport } from "./joined-report.ts";
import { inParallel } from "./in-parallel.ts";
import { addExpired, type Expired, noneExpired } from "./expired-count.ts";
import { mergedBytesMax, mergeGroup, type MergeTools } from "./merge-group.ts";
import { MergeRoom } from "./merge-room.ts";
import {
  deadShare,
  liveBytes,
  planCompaction,
  type PlannedSegment,
  type PlanRules,
  planRules,
  type SegmentUsage,
} from "./plan.ts";
import { uploadsThatGo } from "./uploads-that-go.ts";
import { type RestRules, restRules, spreadShare } from "./rest-rules.ts";

export interface LocalCompactionTools extends MergeTools {
  readonly segments: ReclaimingSegments;
  /** Uploads that came with a copy of a bucket, if there may be any. */
  readonly uploads?: ReclaimingUploads | undefined;
  readonly index: RecoverableIndex;
  readonly rules: Partial<PlanRules & BaseRules & RestRules>;
  readonly pace: Pace;
  /** Forgets what was kept of segments in memory, and resolves when it is overwritten. */
  readonly forget: () => Promise<void>;
}

/** Lets others run, as often as it is asked to, and as long as the run's rules say. */
export interface Pace {
  /** Begins a pass by these rules. */
  begin(rules: RestRules): void;
  /** Told which share of the pass's plan is done, 0 to 1. */
  reached(share: number): void;
}

/** How long idempotent requests are honoured after their page was merged away, in milliseconds. */
const requestsKeptMs = 86_400_000;

const graceMsDefault = 300_000;

/** Errors that are not of one group alone. */
const endsRun = new Set<string>(["ABORTED", "CLOSED", "UNAVAILABLE"]);

/** Groups that are merged at the same time: while one is compressed in the thread pool, others are read. */
const groupsAtOnce = 8;

/**
 * The same of large ones. They take memory at the same time: each may have 8 MiB of payloads in it, twice while they are laid into
 * blocks. Eight such groups took 131 MiB.
 */
const largeGroupsAtOnce = 4;

/** So many at most are merged one after the other until there is a base: what is merged at the same time could not rest on it. */
const groupsAloneMax = 128;

/** Payloads of a group that a segment holds, from which on it is a large one, in bytes. */
const largeGroupBytes = 1_048_576;

/** Frames and their entries, or groups, that are looked at before others run: some half a millisecond. */
const lookedAtBetweenPauses = 128;

/** Room that compaction leaves for others, in bytes. */
const roomLeftBytes = 67_108_864;

/**
 * Compaction where one process writes. Live payloads of a segment are committed once more, as pages that hide the older ones;
 * once nothing in it is needed it is superseded, and removed after a grace. Each step leaves a store that is whole, so it may
 * end anywhere and be run again. docs/decisions/0024.
 */
export class LocalCompaction implements Compaction {
  readonly #tools: LocalCompactionTools;
  /** Segments whose removal was begun and has failed, by their path. */
  readonly #leaving = new Set<string>();
  readonly #bases: GrowingBases;
  readonly #room = new MergeRoom(largeGroupsAtOnce * mergedBytesMax);
  #running: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(tools: LocalCompactionTools) {
    this.#tools = tools;
    this.#bases = new GrowingBases(tools);
  }

  /** One run at a time; a second one waits. */
  async run(options: CompactOptions): Promise<CompactionReport> {
    checkGrace(options.graceMs ?? graceMsDefault);
    const run = this.#running.then(() => this.#run(options));
    this.#running = run.catch(() => {});
    return run;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  #goOn({ signal }: CompactOptions): void {
    if (this.#stopped) throw new PayloadStoreError("CLOSED", "the store is closed");
    throwIfAborted(signal);
  }

  /** Where there is no grace, what had to wait for older segments is done at once. */
  async #run(options: CompactOptions): Promise<CompactionReport> {
    let report = await this.#pass(options);
    while (options.graceMs === 0 && report.complete && report.freed.length > 0 && report.skipped.some(isWaiting)) {
      const next = await this.#pass(options);
      report = joinedReport(report, next);
      if (next.freed.length === 0) break;
    }
    return report;
  }

  async #pass(options: CompactOptions): Promise<CompactionReport> {
    this.#goOn(options);
    const { segments, index, nowMs } = this.#tools;
    const endMs = nowMs() + (options.timeMsMax ?? Infinity);
    if (options.dryRun !== true) await this.#sealWhatPays(options);
    const usages = await this.#usages(options);
    const rules = { ...this.#tools.rules, ...options.rules };
    this.#bases.follow(rules);
    const { restMs, spreadMs } = { ...restRules, ...rules };
    this.#tools.pace.begin({ restMs, spreadMs: Math.min(spreadMs, spreadShare * (options.timeMsMax ?? Infinity)) });
    const plan = planCompaction(usages, { ...options, rules, nowMs: nowMs() });
    const bytesPlanned = plan.segments.reduce((sum, { usage }) => sum + usage.bytes, 0);
    const expired = noneExpired();
    const done = { segments: [] as RewrittenSegment[], bytesIn: 0, pages: 0, payloads: 0, bytesOut: 0, expired };
    const skipped: SkippedCompaction[] = [];
    let complete = true;
    const tell = (share: number, bytesOf = 0) => {
      this.#tools.pace.reached((done.bytesIn + share * bytesOf) / bytesPlanned);
      const progress = {
        segments: done.segments.length,
        ofSegments: plan.segments.length,
        share,
        bytes: done.bytesOut,
      };
      options.onProgress?.(progress);
    };
    const { deadShareMin } = { ...planRules, ...rules };
    const left = usages.filter(
      ({ draggedBytes = 0, ...usage }) =>
        draggedBytes > 0 && !plan.segments.some((one) => one.usage.segment === usage.segment),
    );
    for await (const planned of options.dryRun === true ? [] : this.#thoseThatPay(plan.segments, left, deadShareMin)) {
      this.#goOn(options);
      const { tenant, segment, bytes } = planned.usage;
      const isSpent = nowMs() >= endMs || done.bytesOut >= (options.bytesMax ?? Infinity);
      const full = segments.freeBytes() < planned.usage.bytes + roomLeftBytes;
      if (isSpent || full) {
        complete = false;
        if (full) skipped.push({ tenant, segment, reason: noRoom });
        break;
      }
      const into = new Set<string>();
      tell(0);
      let ending: "time" | "room" | undefined;
      // Groups reach into other segments, so one may take longer, and need more room, than it has bytes.
      const mayGoOn = () => {
        this.#goOn(options);
        if (nowMs() >= endMs) ending = "time";
        else if (segments.freeBytes() < mergedBytesMax + roomLeftBytes) ending = "room";
        return ending === undefined;
      };
      const left = await this.#empty(planned, done, into, { mayGoOn, tell: (share) => tell(share, bytes) });
      skipped.push(...left);
      if (ending !== undefined) {
        complete = false;
        if (ending === "room") skipped.push({ tenant, segment, reason: noRoom });
        break;
      }
      done.bytesIn += bytes;
      if (left.length === 0) {
        index.supersede(tenant, segment, nowMs());
        done.segments.push({ tenant, segment, bytes, into: [...into] });
      }
      tell(0);
    }
    const { freed, uploadBytes } = options.dryRun === true ? nothingFreed : await this.#free(options, skipped);
    const waiting = index.segments.all().filter((segment) => isSuperseded(segment)).length;
    const freedBytes = freed.reduce((sum, { bytes }) => sum + bytes, uploadBytes);
    return { plan, ...done, freed, freedBytes, waiting, skipped, complete };
  }

  /** A growing segment is compacted like the others where that pays: a small store has no other. */
  async #sealWhatPays({ tenant: only, mustGo, rules }: CompactOptions): Promise<void> {
    const { segments, index } = this.#tools;
    const { deadShareMin } = { ...planRules, ...this.#tools.rules, ...rules };
    const tenants = new Set(index.segments.all().map(({ tenant }) => tenant));
    for (const tenant of tenants) {
      const segment = segments.growing(tenant);
      const known = segment === undefined ? undefined : index.segments.find(tenant, segment);
      if (!known || (only !== undefined && tenant !== only)) continue;
      const usage = usageOf(known, this.#tools.nowMs());
      const isWorth = async () =>
        usage.stored > 0 && deadShare(await this.#dragging(usage, deadShareMin)) >= deadShareMin;
      if (mustGo?.(usage) || (await isWorth())) await segments.seal(tenant);
    }
  }

  /**
   * Tells of a segment of which nothing is alive what is written again with it: payloads of older segments whose groups it has pages
   * of, unless these are hidden or go with it. Cost: a scan of it; the heads of groups, until it is known that it does not pay.
   */
  async #dragging(usage: SegmentUsage, deadShareMin: number): Promise<SegmentUsage> {
    if (liveBytes(usage) > 0 || usage.stored === 0) return usage;
    const { tenant, segment } = usage;
    const { segments, lookup, pause, nowMs } = this.#tools;
    const scan = await segments.scan(tenant, segment);
    // Its damage is told when it is emptied.
    if (scan.damage.length > 0) return usage;
    const draggedMax = usage.stored * (1 / deadShareMin - 1);
    let draggedBytes = 0;
    for (const { group, through } of await this.#groupsOf(scan)) {
      if (draggedBytes > draggedMax) break;
      if (this.#isHidden(tenant, group, through) || this.#goesWith(tenant, segment, group, through)) continue;
      await pause();
      const { view } = await lookup.view(tenant, group);
      for (const { found, page } of view.places()) {
        if (page.sequence <= through && !isExpired(found.entry, nowMs())) draggedBytes += found.storedShare;
      }
    }
    return { ...usage, draggedBytes };
  }

  /** Segments in their order, then those of which nothing is needed any more once the others are emptied. */
  async *#thoseThatPay(
    planned: readonly PlannedSegment[],
    left: readonly SegmentUsage[],
    deadShareMin: number,
  ): AsyncGenerator<PlannedSegment> {
    yield* planned;
    for (const usage of left) {
      const { draggedBytes } = await this.#dragging(usage, deadShareMin);
      if (draggedBytes === 0) yield { usage, reason: "dead", tier: 0 };
    }
  }

  async #usages({ tenant: only, rules }: CompactOptions): Promise<SegmentUsage[]> {
    const { segments, index } = this.#tools;
    const { deadShareMin } = { ...planRules, ...this.#tools.rules, ...rules };
    const damaged = new Set(index.damage().map(({ tenant, segment }) => `${tenant}/${segment}`));
    const usages: SegmentUsage[] = [];
    for (const { tenant, segment, bytes } of await segments.segments()) {
      const known = index.segments.find(tenant, segment);
      const isOther = only !== undefined && tenant !== only;
      const isWhole =
        known && known.supersededMs === undefined && !known.removed && segments.growing(tenant) !== segment;
      if (isWhole && !isOther && !damaged.has(`${tenant}/${segment}`))
        usages.push(await this.#dragging({ ...usageOf(known, this.#tools.nowMs()), bytes }, deadShareMin));
    }
    return usages;
  }

  /** Writes again what is alive in a segment. @returns what could not be, for which it is kept */
  async #empty(
    { usage, tier, reason }: PlannedSegment,
    done: { pages: number; payloads: number; bytesOut: number; readonly expired: Expired },
    into: Set<string>,
    { mayGoOn, tell }: { readonly mayGoOn: () => boolean; readonly tell: (share: number) => void },
  ): Promise<readonly SkippedCompaction[]> {
    const { tenant, segment } = usage;
    const skipped: SkippedCompaction[] = [];
    const scan = await this.#tools.segments.scan(tenant, segment);
    const [damage] = scan.damage;
    if (damage) return [{ tenant, segment, reason: `it is damaged: ${damage.reason}` }];
    const groups = await this.#groupsOf(scan);
    const steps = this.#steps();
    let waiting = 0;
    for (const { group, through } of groups) {
      if (this.#waits(tenant, segment, group, through)) waiting += 1;
      const due = steps.did(1);
      if (due) await due;
    }
    // Its deletes would only be written again, and again, until what they hide is gone.
    if (waiting * 2 > groups.length && reason !== "erasure") {
      return [{ tenant, segment, reason: waitsForOlder }];
    }
    const growing = () => this.#tools.segments.growing(tenant);
    let ended = 0;
    let isWhole = true;
    const work = async ({ group, through, requests }: HeldGroup) => {
      try {
        if (this.#isHidden(tenant, group, through) && requests.length === 0) return;
        if (this.#goesWith(tenant, segment, group, through) && requests.length === 0) return;
        const mayMerge = (held: string) => held !== growing();
        const merged = await mergeGroup(
          this.#tools,
          { tenant, group },
          { through, requests, tier, bases: this.#bases, room: this.#room, mayMerge, mayGoOn },
        );
        isWhole &&= merged.isWhole;
        done.pages += merged.pages;
        done.payloads += merged.payloads;
        done.bytesOut += merged.bytes;
        for (const name of merged.into) into.add(name);
        addExpired(done.expired, merged.expired);
      } catch (error) {
        if (!isPayloadStoreError(error) || endsRun.has(error.code)) throw error;
        skipped.push({ tenant, segment, group, reason: error.message });
      } finally {
        ended += 1;
        tell(ended / groups.length);
      }
    };
    const { large = [], small = [] } = Object.groupBy(groups, ({ bytes }) =>
      bytes > largeGroupBytes ? "large" : "small",
    );
    let alone = 0;
    while (alone < Math.min(small.length, groupsAloneMax) && this.#bases.wants(tenant)) await work(small[alone++]!);
    await inParallel(small.slice(alone), groupsAtOnce, work);
    await inParallel(large, largeGroupsAtOnce, work);
    // The next run goes on with the groups that are left.
    if (!isWhole) return skipped;
    const left = new Set(skipped.map(({ group }) => group));
    for (const { group, through } of groups) {
      const due = steps.did(1);
      if (due) await due;
      if (left.has(group)) continue;
      if (this.#isHidden(tenant, group, through) || this.#goesWith(tenant, segment, group, through)) continue;
      skipped.push({ tenant, segment, group, reason: "its pages changed while they were merged" });
    }
    return skipped;
  }

  #steps(): Steps {
    return new Steps(this.#tools.pause, lookedAtBetweenPauses);
  }

  /** What a segment holds of each group, and the requests that may be sent again. */
  async #groupsOf(scan: SegmentScan): Promise<HeldGroup[]> {
    const { tenant, segment } = scan;
    const since = this.#tools.nowMs() - requestsKeptMs;
    const held = new Map<string, { through: number; bytes: number; requests: MergedRequest[] }>();
    const steps = this.#steps();
    for (const { group, sequence, timeMs, offset, headBytes, page: bytes } of scan.frames) {
      const known = held.get(group) ?? { through: 0, bytes: 0, requests: [] };
      held.set(group, known);
      known.through = Math.max(known.through, sequence);
      const read = decodePlacedPage(bytes);
      if (!read.ok) throw new PayloadStoreError("CORRUPT", `segment ${tenant}/${segment}: ${read.damage}`);
      const { page, places } = read.value;
      for (const entry of page.entries) known.bytes += entry.bytes;
      if (page.request && timeMs > since) {
        const placed = { group, sequence, timeMs, place: { segment, offset, headBytes } };
        known.requests.push({ ...page.request, timeMs, answer: places.map((found) => locationOf(placed, found)) });
      }
      known.requests.push(...(page.merged?.requests.filter((request) => request.timeMs > since) ?? []));
      const due = steps.did(1 + page.entries.length + page.deleted.length);
      if (due) await due;
    }
    return Array.from(held, ([group, { through, bytes, requests }]) => ({ group, through, bytes, requests }));
  }

  #isHidden(tenant: string, group: string, through: number): boolean {
    return this.#tools.index.hiddenThrough(tenant, group) >= through;
  }

  /** Whether a group has nothing but what goes with this segment: no payload, and no page elsewhere that would come back. */
  #goesWith(tenant: string, segment: string, group: string, through: number): boolean {
    const { index } = this.#tools;
    if (!index.isEmptied(tenant, group)) return false;
    let newest = 0;
    for (const { place, sequence } of index.history(tenant, group)) {
      if (place.segment !== segment) return false;
      newest = Math.max(newest, sequence);
    }
    // The segment may hold a page that is about to be committed.
    return newest >= through;
  }

  /** Whether a group has nothing but pages that hide others, in segments that are still there. */
  #waits(tenant: string, segment: string, group: string, through: number): boolean {
    if (this.#isHidden(tenant, group, through) || this.#goesWith(tenant, segment, group, through)) return false;
    return this.#tools.index.isEmptied(tenant, group);
  }

  /** Removes what was superseded long enough ago. */
  async #free(
    { graceMs = graceMsDefault, tenant: only }: CompactOptions,
    skipped: SkippedCompaction[],
  ): Promise<Freed> {
    const { segments, index, nowMs, forget } = this.#tools;
    const over = index.segments.all().filter((segment) => {
      const isAsked = only === undefined || segment.tenant === only;
      const isOver = isSuperseded(segment) && segment.supersededMs! + graceMs <= nowMs();
      return isAsked && (isOver || this.#leaving.has(pathOf(segment)));
    });
    const { due, uploadBytes } = await this.#freeUploads(over, skipped);
    if (due.length === 0) {
      await index.checkpoint();
      return nothingFreed;
    }
    for (const segment of due) {
      this.#leaving.add(pathOf(segment));
      index.markRemoved(segment.tenant, segment.name);
    }
    try {
      // What takes their place is durable first; and that they go, so that a start does not look for them.
      await segments.flush();
      await index.checkpoint();
      for (const segment of due) {
        await segments.remove(segment.tenant, segment.name);
        this.#leaving.delete(pathOf(segment));
      }
    } finally {
      this.#bases.forgetSealed();
      await forget();
    }
    const freed = due.map(({ tenant, name, covered }) => ({ tenant, segment: name, bytes: covered.bytes }));
    return { freed, uploadBytes };
  }

  /**
   * Removes the uploads that go with some segments, before these: wherever it ends, a segment that is still there tells which they are.
   * @returns the segments that may go, and what the uploads took
   */
  async #freeUploads(
    over: readonly IndexedSegment[],
    skipped: SkippedCompaction[],
  ): Promise<{ readonly due: readonly IndexedSegment[]; readonly uploadBytes: number }> {
    const { segments, index, uploads } = this.#tools;
    if (!uploads || over.length === 0) return { due: over, uploadBytes: 0 };
    const { uploads: going, kept } = await uploadsThatGo({ segments, uploads }, over);
    if (going.length > 0) {
      // What takes their place, or hides them, is durable first; and that the segments are not needed, so that nobody misses what they name.
      await segments.flush();
      await index.checkpoint();
    }
    for (const { tenant, name } of going) await uploads.remove(tenant, name);
    for (const { tenant, name: segment, damaged } of kept) {
      skipped.push({ tenant, segment, reason: `it names an upload that damaged segment ${damaged} may name too` });
    }
    const stays = new Set(kept.map(({ tenant, name }) => `${tenant}/${name}`));
    const due = over.filter((segment) => !stays.has(pathOf(segment)));
    return { due, uploadBytes: going.reduce((sum, { bytes }) => sum + bytes, 0) };
  }
}

interface Freed {
  readonly freed: readonly RewrittenSegment[];
  /** What uploads took that went with them. */
  readonly uploadBytes: number;
}

const nothingFreed: Freed = { freed: [], uploadBytes: 0 };

const noRoom = "the disk has no room to write its payloads again";
const waitsForOlder = "its deletes are needed until older segments are gone";

function isWaiting({ reason }: SkippedCompaction): boolean {
  return reason === waitsForOlder;
}

function pathOf({ tenant, name }: IndexedSegment): string {
  return `${tenant}/${name}`;
}

interface HeldGroup {
  readonly group: string;
  /** The newest of its pages in the segment. */
  readonly through: number;
  /** Lengths of its payloads in the segment, dead ones too. */
  readonly bytes: number;
  readonly requests: readonly MergedRequest[];
}

function isSuperseded({ supersededMs, removed }: IndexedSegment): boolean {
  return supersededMs !== undefined && removed === undefined;
}

function usageOf(segment: IndexedSegment, nowMs: number): SegmentUsage {
  const { tenant, name, covered, stored, live, expiring } = segment;
  const { bytes: expired } = expiredAt(expiring, nowMs);
  return { tenant, segment: name, bytes: covered.bytes, stored, live, expired, createdMs: segmentTimeMs(name) };
}
