import { utf8, utf8Length, utf8Text } from "../bytes.ts";
import { isPayloadStoreError, PayloadStoreError, throwIfAborted } from "../errors.ts";
import { decodePage, type PageEntry } from "../page/page.ts";
import { listPrices, movePays, type Prices, writeUnits } from "../placement.ts";
import type { Clock } from "../ports/clock.ts";
import type { FramePlace, WholeSegments } from "../ports/segment-store.ts";
import type { RowTable } from "../ports/row-table.ts";
import type { StoredObject, StoredObjects } from "../ports/stored-objects.ts";
import type { Eraser } from "../erasure/eraser.ts";
import { CompactedRows, type GroupRows, madeMs, Mentions, type RowSwap } from "../rows/group-rows.ts";
import { endOf, type ReadRow } from "../rows/group-pages.ts";
import { type Row, rowBytesMax } from "../rows/row.ts";
import { blockHeaderBytes } from "../segment/block.ts";
import { wholeSegment } from "../segment/frame.ts";
import { segmentTimeMs } from "../segment/name.ts";
import type {
  Compaction,
  CompactionReport,
  CompactOptions,
  RewrittenSegment,
  RowReport,
  SkippedCompaction,
} from "./compaction.ts";
import { addExpired, noneExpired } from "./expired-count.ts";
import { baseRules } from "./growing-bases.ts";
import { inParallel } from "./in-parallel.ts";
import { draftRun, type DraftOptions, type RowMergeTools, type RunDraft, termsWithout } from "./merge-rows.ts";
import { liveBytes, planCompaction, type PlannedSegment, type PlanRules, type SegmentUsage } from "./plan.ts";
import { RowErasures } from "./row-erasures.ts";
import { compactPartition, isDone, RowLease } from "./row-lease.ts";
import { type GroupPlan, hasExpired, planRows, type RowRun } from "./row-plan.ts";
import { type RowTimes, rowTimes } from "./row-times.ts";
import { type DraftedFrame, type SegmentDraft, SegmentDrafts } from "./segment-draft.ts";
import { notePrefix, UntoldRows } from "./untold-rows.ts";

export interface SharedCompactionTools extends Omit<RowMergeTools, "hasher" | "segments"> {
  readonly segments: WholeSegments;
  readonly rows: RowTable;
  readonly objects: StoredObjects;
  readonly clock: Clock;
  /** Takes up erasures, if the store keeps any. */
  readonly eraser?: Eraser | undefined;
  /** Of the store: rows are sealed with it. */
  readonly secret: Uint8Array;
  readonly prices?: Prices | undefined;
  readonly rules?: Partial<PlanRules> | undefined;
  readonly times?: Partial<RowTimes> | undefined;
}

/** A row that goes takes along what it is found by: no other commit that needs this may be on its way then. */
function timesOf({ times: changed, terms }: SharedCompactionTools): RowTimes {
  const times = { ...rowTimes, ...changed };
  const isFound = terms !== undefined && terms.indexed.size > 0;
  return isFound ? { ...times, restMs: Math.max(times.restMs, times.foundMs + foundRestMs) } : times;
}

/** What a process may take between putting the row by which a group is found and making the frame, in milliseconds. */
const foundRestMs = 300_000;

/** Errors that are not of one group alone. */
const endsRun = new Set<string>(["ABORTED", "CLOSED", "UNAVAILABLE"]);

/** Groups are prepared together, so that they share segments: so many, or so many bytes as they are stored. */
const batchGroups = 256;
const batchBytes = 16_777_216;

/** Groups that are read and encoded at the same time: each takes its payloads twice. */
const preparedAtOnce = 3;

/** Reads of a row whose frame lies in a segment, at most: its head, its blocks, and what these rest on. */
const getsOfRow = 3;

/** Rows that are written or removed at the same time. */
const writesAtOnce = 16;

/** A pass is gone on with for so long, in milliseconds: what was stored since it began waits for the next one. */
const passMsMax = 6 * 3_600_000;

/** Lines in one row that an unfinished pass leaves, and their length in bytes, if it is more than one. */
const notesPerRow = 3_500;
const noteBytesMax = 360_000;

/** Only what is dead makes a segment worth emptying here: objects cost nothing each, and rows of lone payloads do. */
const sharedRules = { smallCountMin: Infinity, tierAgesMs: [Infinity, Infinity] } as const;

/**
 * Compaction where several processes write, over rows of a table and objects. The rows of a group that pay are joined: a merged
 * page takes the place of the first, on the condition that this is the one that was read. What it stands for is removed after a
 * grace, and so are segments that no row refers to. Every step may be the last one, and be done again. docs/decisions/0026.
 */
export class SharedCompaction implements Compaction {
  readonly #tools: SharedCompactionTools;
  readonly #rows: CompactedRows;
  #running: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(tools: SharedCompactionTools) {
    this.#tools = tools;
    this.#rows = new CompactedRows(tools);
  }

  /** @throws {PayloadStoreError} `LOCKED` while another run is under way, here or elsewhere; `INVALID` for a grace that is too short */
  run(options: CompactOptions): Promise<CompactionReport> {
    const run = this.#run(options);
    this.#running = Promise.allSettled([this.#running, run]);
    return run;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(options: CompactOptions): Promise<CompactionReport> {
    const times = timesOf(this.#tools);
    const graceMs = options.graceMs ?? times.graceMs;
    if (!(graceMs >= times.graceMsMin)) {
      const least = `${times.graceMsMin / 1000} s`;
      const message = `the grace must be ${least} at least where several processes write: they may be held up so long`;
      throw new PayloadStoreError("INVALID", message, { details: { field: "graceMs", graceMs } });
    }
    const { rows, clock, random } = this.#tools;
    const leasing = { rows, clock, random, leaseMs: times.leaseMs };
    const lease = await (options.dryRun === true ? RowLease.look(leasing) : RowLease.take(leasing));
    const isStopped = () => this.#stopped;
    const { eraser, segments, digest } = this.#tools;
    const lateMs = times.erasedLateMs;
    const [nowMs, askNowMs] = [() => lease.nowMs(), () => lease.askNowMs()];
    const erasing = { rows: this.#rows, segments, digest, nowMs, askNowMs, lateMs };
    const { tenant, dryRun = false } = options;
    const beginning = eraser && RowErasures.begin({ ...erasing, eraser }, tenant, dryRun);
    const erasures = await beginning?.catch(async (error: unknown) => {
      if (!dryRun) await lease.release(lease.unfinished);
      throw error;
    });
    return new Run(this.#tools, this.#rows, lease, { ...options, times, graceMs, isStopped, erasures }).run();
  }
}

type RunOptions = CompactOptions & {
  readonly times: RowTimes;
  readonly graceMs: number;
  readonly isStopped: () => boolean;
  readonly erasures: RowErasures | undefined;
};

interface Pending {
  readonly tenant: string;
  readonly group: string;
  readonly mustMove?: ((segment: string) => boolean) | undefined;
}

interface Prepared extends DraftedFrame {
  readonly rows: GroupRows;
  readonly draft: RunDraft;
}

/** One run, and what it has found so far. */
class Run {
  readonly #tools: SharedCompactionTools;
  readonly #rows: CompactedRows;
  readonly #merging: RowMergeTools;
  readonly #lease: RowLease;
  readonly #options: RunOptions;
  readonly #endMs: number;
  readonly #marks = new Set<string>();
  /** Those of them that a row refers to; the others were replaced, and are in their grace. */
  readonly #inUse = new Set<string>();
  readonly #untold = new UntoldRows();
  readonly #live = new Map<string, number>();
  /** How many rows lie in each, as far as this run has looked. */
  readonly #rowsIn = new Map<string, number>();
  readonly #skipped: SkippedCompaction[] = [];
  /** Segments that took the place of the one that is being emptied. */
  readonly #into = new Set<string>();
  readonly #done = { pages: 0, payloads: 0, bytesIn: 0, bytesOut: 0, expired: noneExpired() };
  readonly #count = {
    groups: 0,
    groupsChanged: 0,
    groupsRemoved: 0,
    rowsWritten: 0,
    rowsRemoved: 0,
    rowsWaiting: 0,
    racesLost: 0,
    uploadsFreed: 0,
    requests: 0,
    dollars: 0,
  };
  readonly #prices: Prices;

  constructor(tools: SharedCompactionTools, rows: CompactedRows, lease: RowLease, options: RunOptions) {
    this.#tools = tools;
    this.#rows = rows;
    this.#merging = { ...tools, hasher: rows.hasher };
    this.#lease = lease;
    this.#options = options;
    this.#prices = tools.prices ?? listPrices;
    this.#endMs = tools.clock.nowMs() + (options.timeMsMax ?? Infinity);
  }

  async run(): Promise<CompactionReport> {
    const { tenant: only, dryRun, times, erasures } = this.#options;
    const left = only === undefined && dryRun !== true ? this.#lease.unfinished : undefined;
    const marks = left?.marks ?? [];
    // Who cannot read what was found begins anew: the next holder of the lease has ended that pass meanwhile.
    const notes = await this.#readMarks(marks);
    const before = notes ? left : undefined;
    this.#untold.recall(before?.untold ?? [], notes ?? []);
    erasures?.recall(before?.erasing ?? []);
    const sinceMs = before?.sinceMs ?? this.#lease.nowMs();
    let after = before?.after;
    let seen = after;
    let pending: Pending[] = [];
    let complete = true;
    let plan = planCompaction([], { nowMs: sinceMs });
    const segments: RewrittenSegment[] = [];
    let freed: readonly StoredObject[] = [];
    let deadShare = 0;
    try {
      for await (const scanned of this.#rows.groups(only, after)) {
        this.#goOn();
        if (!(await this.#mayGoOn())) {
          complete = false;
          break;
        }
        this.#count.groups += 1;
        const found = scanned.hasGap ? await this.#askAgain(scanned) : scanned;
        erasures?.look(found);
        const bytes = recordBytes(found);
        this.#spend(this.#prices.readUnit * Math.ceil(bytes / 4096), bytes / scanPageBytes);
        if (this.#isWorth(found)) pending.push({ tenant: found.tenant, group: found.group });
        else await this.#mark(found);
        seen = `${found.tenant}/${found.group}`;
        if (pending.length >= batchGroups) {
          await this.#work(pending);
          pending = [];
        }
        // What groups refer to that wait is not noted yet: who goes on begins with them.
        if (pending.length === 0) after = seen;
      }
      await this.#work(pending);
      after = seen;
      if (complete) {
        const objects: StoredObject[] = [];
        for await (const object of this.#tools.objects.list(only)) {
          // What was stored since the pass began is not judged by it.
          const isOld = object.modifiedMs <= sinceMs && segmentTimeMs(object.name) <= sinceMs;
          if (isOld) objects.push(object);
        }
        const lists = Math.max(1, Math.ceil(objects.length / 1000));
        this.#spend(this.#prices.objectPut * lists, lists);
        const isNamed = ({ kind, tenant, name }: StoredObject) => this.#marks.has(markOf(kind, tenant, name));
        const budget = { prices: this.#prices, spend: this.#spend.bind(this), mayGoOn: () => this.#mayGoOn() };
        if (dryRun !== true) await erasures?.survey({ objects, sinceMs, isNamed }, budget);
        const usages = this.#usages(objects);
        deadShare = deadOf(usages);
        const held = new Set(usages.map(({ tenant, segment }) => markOf("segments", tenant, segment)));
        const mustGo = new Set(
          objects
            .filter((object) => erasures?.mustGo(object))
            .map(({ tenant, name }) => markOf("segments", tenant, name)),
        );
        plan = planCompaction(usages, {
          ...this.#options,
          mustGo: (usage) =>
            mustGo.has(markOf("segments", usage.tenant, usage.segment)) || this.#options.mustGo?.(usage) === true,
          nowMs: sinceMs,
          rules: this.#planRules(),
        });
        if (dryRun === true) this.#priceSegments(plan.segments);
        else complete = await this.#emptySegments(plan.segments, segments);
        for (const { tenant, group, reason } of this.#untold.all()) {
          this.#skipped.push({ tenant, group, segment: "", reason });
        }
        const isOver = (object: StoredObject) =>
          !isNamed(object) && Math.max(object.modifiedMs, segmentTimeMs(object.name)) <= sinceMs - times.orphanMs;
        const { free, kept } = await this.#divided(objects.filter(isOver));
        freed = free;
        // One tenant's groups name none but its own segments, so a pass over them may judge these.
        if (dryRun !== true) {
          await this.#tools.objects.remove(freed);
          const isHeld = ({ kind, tenant, name }: StoredObject) => held.has(markOf(kind, tenant, name));
          const isInUse = ({ kind, tenant, name }: StoredObject) => this.#inUse.has(markOf(kind, tenant, name));
          const seen = { sinceMs, objects, freed: new Set(freed), kept, isNamed, isInUse, isHeld };
          await erasures?.end({ ...seen, untold: this.#untold, skipped: this.#skipped });
        }
        // The next run need not look at the groups again to go on with the segments: unless it would get no further, or new
        // groups have waited for long.
        const isLeft = !complete || plan.postponed > 0;
        const goesOn = isLeft && segments.length > 0 && this.#lease.nowMs() - sinceMs < passMsMax;
        if (!goesOn) after = undefined;
      }
    } finally {
      await this.#leave(after, sinceMs, marks);
    }
    const freedSegments = freed.filter(({ kind }) => kind === "segments");
    this.#count.uploadsFreed = freed.length - freedSegments.length;
    const requests = Math.ceil(this.#count.requests);
    const rows: RowReport = { ...this.#count, requests, deadShare, lagMs: Math.max(0, this.#lease.nowMs() - sinceMs) };
    return {
      plan,
      segments,
      ...this.#done,
      freed: freedSegments.map(({ tenant, name, bytes }) => ({ tenant, segment: name, bytes })),
      freedBytes: freed.reduce((sum, { bytes }) => sum + bytes, 0),
      waiting: plan.segments.length - segments.length,
      skipped: this.#skipped,
      complete,
      rows,
    };
  }

  /**
   * Which of the objects that no readable row names may go, and which are kept since one that cannot be read may name them.
   * Cost: two GETs for each segment of a tenant with such a row.
   */
  async #divided(
    over: readonly StoredObject[],
  ): Promise<{ readonly free: readonly StoredObject[]; readonly kept: ReadonlySet<StoredObject> }> {
    const free = over.filter((object) => this.#untold.mayName(object) === false);
    const kept = new Set(over.filter((object) => this.#untold.mayName(object) !== false));
    if (this.#options.dryRun === true) return { free, kept };
    for (const object of over.filter((object) => this.#untold.mayName(object) === undefined)) {
      if (!(await this.#mayGoOn())) break;
      this.#spend(2 * this.#prices.objectGet, 2);
      const { tenant, name } = object;
      const scan = await this.#tools.segments.scan(tenant, name).catch(whenGone);
      // Of one that is damaged it is not known what it has.
      const isTold = scan !== undefined && scan.damage.length === 0;
      const groups = new Set(scan?.frames.map(({ group }) => group));
      if (!isTold || this.#untold.areOf(tenant, groups)) continue;
      free.push(object);
      kept.delete(object);
    }
    return { free, kept };
  }

  #planRules(): Partial<PlanRules> {
    return { ...sharedRules, ...this.#tools.rules, ...this.#options.rules };
  }

  /** Rows that are swept while a scan goes on look like a gap: a group that has one is read once more, by itself. */
  async #askAgain({ tenant, group }: GroupRows): Promise<GroupRows> {
    const found = await this.#rows.group(tenant, group);
    this.#spend(this.#prices.readUnit * Math.ceil(recordBytes(found) / 4096), 1);
    return found;
  }

  #goOn(): void {
    if (this.#options.isStopped()) throw new PayloadStoreError("CLOSED", "the store is closed");
    throwIfAborted(this.#options.signal);
  }

  /** Whether there is time, money and all else of the budget left, and the lease. */
  async #mayGoOn(): Promise<boolean> {
    const { bytesMax = Infinity, requestsMax = Infinity, dollarsMax = Infinity } = this.#options;
    const { requests, dollars } = this.#count;
    if (this.#tools.clock.nowMs() >= this.#endMs) return false;
    if (this.#done.bytesOut >= bytesMax || requests >= requestsMax || dollars >= dollarsMax) return false;
    return this.#lease.goesOn();
  }

  #plan(found: GroupRows, mustMove?: (segment: string) => boolean): GroupPlan {
    const { times, graceMs } = this.#options;
    const erasedMs = this.#options.erasures?.cutMs(found.tenant, found.group);
    const [nowMs, expiredMs] = [this.#lease.nowMs(), this.#lease.pastMs()];
    return planRows(found, { nowMs, expiredMs, times, graceMs, erasedMs, mustMove });
  }

  #isWorth(found: GroupRows): boolean {
    const { sweep, runs, remove } = this.#plan(found);
    const isWorth = sweep.length > 0 || runs.length > 0 || remove !== undefined;
    if (!isWorth || this.#options.dryRun !== true) return isWorth;
    this.#price(found, { sweep, runs, remove });
    this.#count.groupsChanged += 1;
    return false;
  }

  /** What a group's work would cost. */
  #price({ counting }: GroupRows, { sweep, runs, remove }: GroupPlan): void {
    const { writeUnit, objectGet, objectPut } = this.#prices;
    for (const { from, to } of runs) {
      const run = counting.slice(from, to + 1);
      const apart = run.filter(({ row }) => row.ok && !row.value.place.inline).length;
      const units = Math.max(...run.slice(0, 1).map(({ record }) => writeUnits(record.length)), 1);
      this.#count.rowsWritten += 1;
      this.#spend(
        units * writeUnit + getsOfRow * apart * objectGet + objectPut / batchGroups,
        1 + getsOfRow * apart + 1 / batchGroups,
      );
    }
    for (const { record } of [...sweep, ...(remove ? [remove] : [])])
      this.#spend(writeUnits(record.length) * writeUnit, 1);
    this.#count.rowsRemoved += sweep.length;
  }

  /** What emptying segments would cost: each row that lies in one is read with its group, and written again. */
  #priceSegments(planned: readonly PlannedSegment[]): void {
    const { readUnit, writeUnit, objectGet, objectPut } = this.#prices;
    for (const { usage } of planned) {
      const rows = this.#rowsIn.get(markOf("segments", usage.tenant, usage.segment)) ?? 0;
      this.#spend(2 * objectGet + objectPut, 3);
      this.#spend(rows * (readUnit + 2 * objectGet + writeUnit), 4 * rows);
    }
  }

  /** Does what pays about some groups, which share segments. */
  async #work(groups: readonly Pending[]): Promise<void> {
    if (this.#options.dryRun === true) return;
    const { codecs } = this.#tools;
    const rules = { ...baseRules, ...this.#options.rules };
    let drafts = new SegmentDrafts<Prepared>(codecs, rules);
    await inParallel(groups, preparedAtOnce, async (pending) => {
      const into =
        (rows: GroupRows): DraftOptions["into"] =>
        async (entries, make) => {
          const { tenant, group } = rows;
          const segment = drafts.of(tenant, lifeOf(entries, this.#lease.nowMs()));
          const placed = await segment.add(async (as) => {
            const draft = await make(as);
            return { rows, draft, frame: { group, page: draft.encoded, blocks: draft.blocks } };
          });
          return placed.draft;
        };
      for await (const _ of this.#prepare(pending, into)) {
        if (drafts.bytes < batchBytes) continue;
        const full = drafts;
        drafts = new SegmentDrafts(codecs, rules);
        await this.#commit(full);
      }
    });
    await this.#commit(drafts);
  }

  /** Sweeps a group, and drafts what takes the place of its rows. */
  async *#prepare(
    { tenant, group, mustMove }: Pending,
    into: (rows: GroupRows) => DraftOptions["into"],
  ): AsyncGenerator<RunDraft> {
    this.#goOn();
    const partition = `${tenant}/${group}`;
    let rows = await this.#rows.group(tenant, group);
    this.#spend(this.#prices.readUnit * Math.ceil(recordBytes(rows) / 4096), 1);
    const { sweep, remove } = this.#plan(rows, mustMove);
    if (sweep.length > 0) rows = await this.#sweep(rows, sweep);
    // What is alive in the segments that are emptied was counted when the pass came to the group.
    await this.#mark(rows, mustMove === undefined);
    this.#count.groupsChanged += 1;
    if (remove) {
      this.#spend(this.#prices.writeUnit * writeUnits(remove.record.length), 1);
      if (await this.#rows.remove(partition, remove, rows.knownMs)) this.#count.groupsRemoved += 1;
      return;
    }
    const mentions = new Mentions(rows.counting);
    for (const run of this.#plan(rows, mustMove).runs) {
      for (let from = run.from; from <= run.to;) {
        const draft = await this.#draft(rows, { ...run, from }, mentions, { mustMove, into: into(rows) });
        if (!draft) break;
        from = draft.to + 1;
        yield draft;
      }
    }
  }

  async #draft(
    rows: GroupRows,
    run: RowRun,
    mentions: Mentions,
    options: Pick<DraftOptions, "mustMove" | "into">,
  ): Promise<RunDraft | undefined> {
    const { tenant, group, counting } = rows;
    const { signal } = this.#options;
    const apart = counting.slice(run.from, run.to + 1).filter(({ row }) => row.ok && !row.value.place.inline);
    this.#spend(getsOfRow * apart.length * this.#prices.objectGet, getsOfRow * apart.length);
    try {
      return await draftRun(this.#merging, rows, run, mentions, { ...options, nowMs: this.#lease.pastMs(), signal });
    } catch (error) {
      if (!isPayloadStoreError(error) || endsRun.has(error.code)) throw error;
      const { row } = counting[run.from]!;
      const segment = row.ok ? row.value.place.segment : "";
      this.#skipped.push({ tenant, group, segment, reason: error.message });
      return undefined;
    }
  }

  /**
   * Removes rows that others stand for. The one with the greatest number goes last: it tells writers which number is the next.
   * @returns the group without those that are gone
   */
  async #sweep(rows: GroupRows, sweep: readonly ReadRow[]): Promise<GroupRows> {
    const partition = `${rows.tenant}/${rows.group}`;
    const gone = new Set<ReadRow>();
    const remove = async (row: ReadRow) => {
      this.#spend(this.#prices.writeUnit * writeUnits(row.record.length), 1);
      if (await this.#rows.remove(partition, row, rows.knownMs)) gone.add(row);
    };
    const last = sweep.at(-1)!;
    await inParallel(sweep.slice(0, -1), writesAtOnce, remove);
    if (gone.size === sweep.length - 1) await remove(last);
    this.#count.rowsRemoved += gone.size;
    return { ...rows, covered: rows.covered.filter((row) => !gone.has(row)) };
  }

  /**
   * Stores drafts, many in one segment, and puts their rows in the place of those that they were made of. What expires about the
   * same time shares segments with its like: it goes then without a byte of others being written again.
   */
  async #commit(drafts: SegmentDrafts<Prepared>): Promise<void> {
    await drafts.settled();
    // Those of one tenant one after the other, so that they share nothing.
    for (const segments of drafts.byLife()) {
      await Promise.all(segments.map((segment) => this.#commitTogether(segment)));
    }
  }

  async #commitTogether(segment: SegmentDraft<Prepared>): Promise<void> {
    const { segments } = this.#tools;
    const { tenant, frames: prepared } = segment;
    const timeMs = Math.floor(this.#tools.clock.nowMs());
    const sharing = prepared.length;
    const frames = prepared.map(({ rows, draft: { page, sequence }, frame, offset }) => {
      const bytes = frame.blocks.reduce((sum, { body }) => sum + blockHeaderBytes + body.length, frame.page.length);
      const ids = page.entries.length + page.deleted.length + (page.merged?.requests.length ?? 0);
      const pays = page.entries.length > 0 && movePays(bytes + rowOverheadBytes, sharing, this.#prices);
      // A rebuild has to find what names an upload.
      const inSegment = pays || page.upload !== undefined ? (true as const) : undefined;
      const kind = page.entries.length > 0 ? ("payloads" as const) : ("tombstone" as const);
      const restsIn = frame.blocks.some(({ resting }) => resting) ? wholeSegment : undefined;
      // Payloads that may be erased meanwhile: what is held up for long is not stored any more.
      const restsOnMs = rows.knownMs;
      return { frame: { ...frame, kind, sequence, timeMs, ids, inSegment, restsIn, restsOnMs }, offset };
    });
    const isWhole = segment.rests || frames.some(({ frame: { inSegment } }) => inSegment);
    const places = isWhole
      ? await segments.appendWhole(tenant, frames)
      : await Promise.all(frames.map(({ frame }) => segments.append(tenant, frame)));
    const apart = new Set(places.filter(({ inline }) => !inline).map(({ segment }) => segment));
    this.#spend(apart.size * this.#prices.objectPut, apart.size);
    const pairs = prepared.map((one, i) => ({ ...one, place: places[i]! }));
    await inParallel(pairs, writesAtOnce, (one) => this.#swap(one));
    this.#options.onProgress?.({ segments: 0, ofSegments: 0, bytes: this.#done.bytesOut });
  }

  async #swap({ rows, draft, place }: Prepared & { readonly place: FramePlace }): Promise<void> {
    const { tenant, group, knownMs } = rows;
    const { page, blocks, before, closes, rawBytes, bytesIn } = draft;
    const partition = `${tenant}/${group}`;
    if (!before.row.ok || !page.merged) return;
    const bodyBytes = blocks.reduce((sum, { body }) => sum + blockHeaderBytes + body.length, 0);
    const row: Row = {
      place,
      bodyBytes,
      hashes: place.held ? undefined : this.#rows.hasher.page(tenant, group, page),
      covers: {
        upTo: draft.sequence,
        replaces: before.row.value.place.segment,
        closed: closes,
        tier: page.merged.tier,
        rawBytes,
      },
    };
    const swap: RowSwap = {
      partition,
      before,
      row,
      restsOnMs: Math.min(knownMs, place.storedMs ?? Infinity, segmentTimeMs(place.segment)),
    };
    const length = this.#rows.encode(swap).length;
    if (length > rowBytesMax) {
      this.#skipped.push({ tenant, group, segment: place.segment, reason: `its row would have ${length} bytes` });
      return;
    }
    await this.#forgetLost(rows, draft);
    this.#spend(this.#prices.writeUnit * Math.max(writeUnits(length), writeUnits(before.record.length)), 1);
    if (!(await this.#rows.swap(swap))) {
      this.#count.racesLost += 1;
      return;
    }
    if (!place.inline) {
      this.#into.add(place.segment);
      this.#options.erasures?.moved(tenant, group, place.segment);
    }
    this.#count.rowsWritten += 1;
    this.#count.rowsWaiting += draft.to - rows.counting.indexOf(before);
    this.#done.pages += 1;
    this.#done.payloads += page.entries.length;
    this.#done.bytesIn += bytesIn;
    this.#done.bytesOut += bodyBytes;
    addExpired(this.#done.expired, draft.expired);
  }

  /**
   * Removes the rows by which a group is found that no payload of it needs any more. Before the swap: who ends between the two
   * finds the payloads in the rows again, and with them what they were found by.
   */
  async #forgetLost(rows: GroupRows, { lost, from, to }: RunDraft): Promise<void> {
    const { terms } = this.#tools;
    if (!terms || lost.length === 0) return;
    const { tenant, group, knownMs } = rows;
    const nowMs = this.#lease.pastMs();
    const mentions = new Mentions(rows.counting);
    const finding = termsWithout(this.#merging, rows, { from, to }, mentions, { terms: lost, nowMs });
    const gone = await finding.catch((error: unknown) => {
      // Of what cannot be read nobody knows what it is found by.
      if (!isPayloadStoreError(error) || endsRun.has(error.code)) throw error;
      return [];
    });
    this.#spend(this.#prices.writeUnit * gone.length, gone.length);
    await terms.forget(tenant, group, gone, knownMs - this.#options.times.foundMs);
  }

  /**
   * Notes what the rows of a group refer to, and how much of it is alive.
   * @param counts  false where that was counted before
   */
  async #mark(found: GroupRows, counts = true): Promise<void> {
    const { times, graceMs } = this.#options;
    const { tenant, group, counting, covered, hasGap } = found;
    // What a row named that is missing is not known either.
    if (hasGap) this.#untold.add(tenant, group, missingBetween(counting));
    const settledMs = this.#lease.nowMs() - times.arrivalMs - graceMs;
    for (const row of [...counting, ...covered]) {
      if (!row.row.ok) {
        this.#untold.add(tenant, group, `row ${row.sequence} cannot be read (${row.row.damage})`);
        continue;
      }
      const { place, bodyBytes, covers } = row.row.value;
      if (covers && madeMs(row) > settledMs) this.#marks.add(markOf("segments", tenant, covers.replaces));
      if (place.inline) continue;
      this.#use(markOf("segments", tenant, place.segment));
      const uploads = bodyBytes === 0 ? await this.#uploadsOf(tenant, place) : [];
      // The row was replaced since it was read, and its grace is over: a pass that stood still for hours may not judge.
      if (!uploads) this.#untold.addTenant(tenant);
      for (const upload of uploads ?? []) this.#use(markOf("uploads", tenant, upload));
    }
    const mentions = new Mentions(counting);
    for (const [index, { row, says }] of counts ? counting.entries() : []) {
      if (!row.ok || typeof says === "string" || row.value.place.inline) continue;
      const isOver = hasExpired(says, this.#lease.pastMs());
      const alive = isOver ? 0 : says.entries.filter((hash) => mentions.isAlive(hash, index)).length;
      const share = says.entries.length === 0 ? 0 : alive / says.entries.length;
      const { place, bodyBytes } = row.value;
      const name = markOf("segments", tenant, place.segment);
      // A page without payloads, one that hides, is needed as it is.
      const isDead = alive === 0 && says.entries.length > 0;
      const bytes = isDead ? 0 : place.headBytes + bodyBytes * share + utf8Length(group) + footerBytesPerFrame;
      this.#live.set(name, (this.#live.get(name) ?? 0) + bytes);
      this.#rowsIn.set(name, (this.#rowsIn.get(name) ?? 0) + 1);
    }
  }

  #use(mark: string): void {
    this.#marks.add(mark);
    this.#inUse.add(mark);
  }

  /** The uploads that a page refers to, none or one; `undefined` where it is gone. Its row keeps the page in nearly all cases. */
  async #uploadsOf(tenant: string, place: FramePlace): Promise<readonly string[] | undefined> {
    try {
      const page = decodePage((await this.#tools.frames.head(tenant, place)).page);
      return page.ok && page.value.upload !== undefined ? [page.value.upload] : [];
    } catch (error) {
      if (isPayloadStoreError(error, "GONE")) return undefined;
      throw error;
    }
  }

  /** Segments that rows refer to, and how much of them is alive. */
  #usages(objects: readonly StoredObject[]): SegmentUsage[] {
    return objects.flatMap(({ kind, tenant, name, bytes }) => {
      const mark = markOf(kind, tenant, name);
      if (kind !== "segments" || !this.#marks.has(mark)) return [];
      const live = Math.min(bytes, Math.ceil(this.#live.get(mark) ?? 0));
      // What waits for its grace alone is not worth anything more.
      if (live === 0) return [];
      const createdMs = segmentTimeMs(name);
      const stored = Math.max(live, bytes - segmentOverheadBytes);
      return [{ tenant, segment: name, bytes, stored, live: [live, 0, 0] as const, expired: 0, createdMs }];
    });
  }

  /**
   * Writes again what is alive in segments that are mostly dead.
   * @param emptied  gets those that were
   * @returns whether it has been through all of them
   */
  async #emptySegments(planned: readonly PlannedSegment[], emptied: RewrittenSegment[]): Promise<boolean> {
    for (const { usage } of planned) {
      const { tenant, segment, bytes } = usage;
      if (!(await this.#mayGoOn())) return false;
      this.#spend(2 * this.#prices.objectGet, 2);
      const scan = await this.#tools.segments.scan(tenant, segment).catch(whenGone);
      // Another pass has freed it while this one stood still.
      if (!scan) continue;
      const groups = new Set(scan.frames.map(({ group }) => group));
      const mustMove = (held: string) => held === segment;
      this.#into.clear();
      await this.#work([...groups].map((group) => ({ tenant, group, mustMove })));
      emptied.push({ tenant, segment, bytes, into: [...this.#into] });
      // A run that goes on with this pass has nothing more to do about it.
      this.#live.delete(markOf("segments", tenant, segment));
      const progress = { segments: emptied.length, ofSegments: planned.length, bytes: this.#done.bytesOut };
      this.#options.onProgress?.(progress);
    }
    return true;
  }

  /** Lets go of the lease; of a pass that did not end, leaves what it found. */
  async #leave(after: string | undefined, sinceMs: number, marks: readonly number[]): Promise<void> {
    const { tenant, dryRun } = this.#options;
    if (dryRun === true) return;
    if (tenant !== undefined) {
      await this.#lease.release(this.#lease.unfinished);
      return;
    }
    const untold = this.#untold.tenants;
    const erasing = this.#options.erasures?.found;
    const left = after === undefined ? undefined : await this.#writeMarks();
    const unfinished = after === undefined || !left ? undefined : { after, sinceMs, marks: left, untold, erasing };
    // As long as the lease names them they are needed.
    if (await this.#lease.release(unfinished)) await this.#forgetMarks(marks);
  }

  /** @returns what was noted of rows that cannot be read; `undefined` where not all of what was noted is there */
  async #readMarks(numbers: readonly number[]): Promise<readonly string[] | undefined> {
    const untold: string[] = [];
    for (const number of numbers) {
      const { row } = await this.#tools.rows.get({ partition: compactPartition, number });
      const names = row?.record && utf8Text(row.record);
      if (names === undefined) return undefined;
      for (const line of names.split("\n")) {
        if (line.startsWith(notePrefix)) {
          untold.push(line);
          continue;
        }
        const [name = "", live] = line.split(" ");
        if (live === undefined) return undefined;
        this.#marks.add(name);
        if (live !== replacedMark) this.#inUse.add(name);
        if (Number(live) > 0) this.#live.set(name, Number(live));
      }
    }
    return untold;
  }

  /** @returns the numbers of their rows; `undefined` where something else has one of them: the pass is begun anew then */
  async #writeMarks(): Promise<readonly number[] | undefined> {
    const liveOf = (name: string) => (this.#inUse.has(name) ? Math.ceil(this.#live.get(name) ?? 0) : replacedMark);
    const names = Array.from(this.#marks, (name) => `${name} ${liveOf(name)}`);
    const numbers: number[] = [];
    for (const lines of recordsOf([...names, ...this.#untold.notes])) {
      const number = this.#lease.token * 10_000 + numbers.length + 1;
      const record = utf8(lines.join("\n"));
      const key = { partition: compactPartition, number };
      const put = await this.#tools.rows.put(key, record, "free", this.#lease.nowMs());
      this.#spend(this.#prices.writeUnit * writeUnits(record.length), 1);
      if (!isDone(put, record)) return undefined;
      numbers.push(number);
    }
    return numbers;
  }

  async #forgetMarks(numbers: readonly number[]): Promise<void> {
    for (const number of numbers) {
      const key = { partition: compactPartition, number };
      const { row, signedMs } = await this.#tools.rows.get(key);
      if (row?.record) await this.#tools.rows.remove(key, row.record, signedMs);
    }
  }

  #spend(dollars: number, requests: number): void {
    this.#count.requests += requests;
    this.#count.dollars += dollars;
  }
}

/** Divides lines among rows. */
function* recordsOf(lines: readonly string[]): Generator<readonly string[]> {
  let some: string[] = [];
  let bytes = 0;
  for (const line of lines) {
    const more = utf8Length(line) + 1;
    if (some.length === notesPerRow || (some.length > 0 && bytes + more > noteBytesMax)) {
      yield some;
      some = [];
      bytes = 0;
    }
    some.push(line);
    bytes += more;
  }
  if (some.length > 0) yield some;
}

function whenGone(error: unknown): undefined {
  if (!isPayloadStoreError(error, "GONE")) throw error;
}

/** Which row is the first that is missing, for people. */
function missingBetween(counting: readonly ReadRow[]): string {
  let expected = 1;
  for (const row of counting) {
    if (row.sequence !== expected) break;
    expected = endOf(row) + 1;
  }
  return `row ${expected} is missing`;
}

/** Stands in a note for the bytes that are alive in what was replaced. */
const replacedMark = "-";

/** A request of a scan answers so much, in bytes. */
const scanPageBytes = 1_048_576;

/** What a merged row has beside its frame, in bytes. */
const rowOverheadBytes = 128;

/** What a segment has beside its frames, and for each of them, in bytes: not dead, though nothing refers to it. */
const segmentOverheadBytes = 512;
const footerBytesPerFrame = 32;

const dayMs = 86_400_000;

/** Which payloads go together: a number for those that have all expired in about as many days, by powers of four. */
function lifeOf(entries: readonly Pick<PageEntry, "expiresMs">[], nowMs: number): number {
  const expiredMs = entries.reduce((latest, { expiresMs = Infinity }) => Math.max(latest, expiresMs), 0);
  return expiredMs === Infinity ? Infinity : Math.floor(Math.log2(Math.max(1, (expiredMs - nowMs) / dayMs)) / 2);
}

function markOf(kind: StoredObject["kind"], tenant: string, name: string): string {
  return `${kind}/${tenant}/${name}`;
}

function recordBytes({ counting, covered }: GroupRows): number {
  return [...counting, ...covered].reduce((sum, { record }) => sum + record.length, 0);
}

function deadOf(usages: readonly SegmentUsage[]): number {
  const bytes = usages.reduce((sum, { stored }) => sum + stored, 0);
  const live = usages.reduce((sum, usage) => sum + liveBytes(usage), 0);
  return bytes === 0 ? 0 : 1 - live / bytes;
}
