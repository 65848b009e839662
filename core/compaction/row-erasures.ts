import { isPayloadStoreError } from "../errors.ts";
import type { Digest } from "../ports/digest.ts";
import type { SegmentStore } from "../ports/segment-store.ts";
import type { StoredObject } from "../ports/stored-objects.ts";
import type {
  ErasedSegment,
  ErasureRecord,
  ErasureState,
  SharedErasure,
  SuccessorSegment,
} from "../erasure/erasure.ts";
import type { Eraser } from "../erasure/eraser.ts";
import { limits } from "../limits.ts";
import type { Prices } from "../placement.ts";
import { type CompactedRows, type GroupRows, madeMs, Mentions } from "../rows/group-rows.ts";
import { inParallel } from "./in-parallel.ts";
import type { SkippedCompaction } from "./compaction.ts";
import { type UntoldRows, whatToDo } from "./untold-rows.ts";

export interface RowErasuresTools {
  readonly eraser: Eraser;
  readonly rows: CompactedRows;
  readonly segments: SegmentStore;
  readonly digest: Digest;
  /** By dates of servers. */
  readonly nowMs: () => number;
  /** As `nowMs`, and never before it was called, however long the process stood still. */
  readonly askNowMs: () => Promise<number>;
  readonly lateMs: number;
}

/** What a pass that saw the whole table and the whole listing knows. */
export interface SeenObjects {
  /** When the pass began, by dates of servers. */
  readonly sinceMs: number;
  /** All that was there, but for what was stored since. */
  readonly objects: readonly StoredObject[];
  readonly freed: ReadonlySet<StoredObject>;
  /** Whether a row refers to it, or it was replaced and is in its grace. */
  readonly isNamed: (object: StoredObject) => boolean;
  /** Whether a row refers to it. */
  readonly isInUse: (object: StoredObject) => boolean;
  /** Whether something in a segment is alive. */
  readonly isHeld: (segment: StoredObject) => boolean;
  readonly untold: UntoldRows;
  /** No row that can be read refers to them, but one that cannot may. */
  readonly kept: ReadonlySet<StoredObject>;
  readonly skipped: readonly SkippedCompaction[];
}

/** Segments that are looked into at the same time, and between two looks at the clock. */
const surveyedAtOnce = 8;
const surveyedInOneGo = 64;

/** Groups whose frames are remembered for the segments that follow. */
const groupsRemembered = 2_000;

/** Read so much of a segment at once, in bytes. */
const hashedBytes = 8_388_608;

interface Open {
  record: ErasureRecord;
  /** Rows have some of it; rows that are in their grace do. */
  inRows: boolean;
  waitsForRows: boolean;
  reason: string | undefined;
  readonly into: Set<string>;
}

/**
 * The erasures that a run of compaction sees through. What an erasure hid is dead, and dead payloads leave rows and segments
 * anyway; this sees that all of them do, and says when they have. Nothing is `gone` that one pass has not seen to be:
 *
 * - no row has a payload that is dead and was stored before the cut, also no row that another stands for;
 * - no segment from before the cut has a frame of what was erased: each was compared with the rows once, by its footer;
 * - no object from before the cut is there that no row names: it may be of an append that failed, or of a merge.
 *
 * The cut is later than anything that read it before it was hidden can arrive. docs/decisions/0028.
 */
export class RowErasures {
  readonly #tools: RowErasuresTools;
  readonly #open: readonly Open[];

  private constructor(tools: RowErasuresTools, open: readonly ErasureRecord[]) {
    this.#tools = tools;
    this.#open = open.map((record) => {
      return { record, inRows: false, waitsForRows: false, reason: undefined, into: new Set<string>() };
    });
  }

  /** Takes up what was interrupted, and sets the cut of what is hidden. Cost: a query; a read and a write for each that is new. */
  static async begin(tools: RowErasuresTools, tenant: string | undefined, dryRun: boolean): Promise<RowErasures> {
    const open: ErasureRecord[] = [];
    for (const known of await tools.eraser.ledger.open(tenant)) {
      if (dryRun) {
        if (known.shared) open.push(known);
        continue;
      }
      try {
        const hidden = known.state === "hiding" ? await tools.eraser.resume(known) : known;
        if (hidden) open.push(hidden.shared ? hidden : await tools.eraser.save(await begun(hidden, tools)));
      } catch (error) {
        // Damage, or another process: the next run takes it up.
        if (!isPayloadStoreError(error, "CORRUPT")) whenTakenUpElsewhere(error);
      }
    }
    return new RowErasures(tools, open);
  }

  /** Erasures that were found in rows by an earlier part of the pass. */
  recall(names: readonly string[]): void {
    const known = new Set(names);
    for (const one of this.#open) one.inRows ||= known.has(nameOf(one.record));
  }

  /** Those that were found in rows so far. */
  get found(): readonly string[] {
    return this.#open.filter((one) => one.inRows || one.waitsForRows).map(({ record }) => nameOf(record));
  }

  /** Rows of a group that were made up to then may hold something erased; −∞ where none does. */
  cutMs(tenant: string, group: string): number {
    return Math.max(-Infinity, ...this.#of(tenant, group).map(({ record }) => record.shared!.cutMs));
  }

  /** Notes what a group has of them. */
  look({ tenant, group, counting, covered, hasGap }: GroupRows): void {
    const open = this.#of(tenant, group);
    if (open.length === 0) return;
    const mentions = new Mentions(counting);
    for (const one of open) {
      const { cutMs } = one.record.shared!;
      if (covered.some((row) => !row.row.ok || madeMs(row) <= cutMs)) one.waitsForRows = true;
      if (hasGap) one.reason = `rows of group ${JSON.stringify(group)} are missing: ${whatToDo}`;
      for (const [index, { says, sequence, ...row }] of counting.entries()) {
        if (typeof says === "string")
          one.reason = `row ${sequence} of group ${JSON.stringify(group)} cannot be read (${says}): ${whatToDo}`;
        else if (madeMs({ ...row, sequence }) <= cutMs)
          one.inRows ||= says.entries.some((hash) => !mentions.isAlive(hash, index));
      }
    }
  }

  /** Notes where payloads of a group were written again. */
  moved(tenant: string, group: string, segment: string): void {
    for (const { into } of this.#of(tenant, group)) into.add(segment);
  }

  /** Whether a segment has to be emptied. */
  mustGo(object: StoredObject): boolean {
    const { kind, tenant, name, modifiedMs } = object;
    return this.#open.some(({ record: { tenant: owner, segments, shared } }) => {
      if (kind !== "segments" || tenant !== owner) return false;
      if (shared!.takesAll) return modifiedMs <= shared!.cutMs;
      return segments.some(({ segment, state }) => segment === name && state !== "gone");
    });
  }

  /**
   * Compares the frames of segments that were stored before the cut with the rows, once for each erasure, and writes down
   * those that have a frame which no row needs. Cost: two GETs a segment, and a query for each group that is looked up.
   *
   * @param budget  `mayGoOn` throws, or answers that there is no time: the next run goes on behind what was compared
   */
  async survey(
    { objects, sinceMs, isNamed }: Pick<SeenObjects, "objects" | "sinceMs" | "isNamed">,
    { mayGoOn, ...bill }: SurveyBill & { readonly mayGoOn: () => Promise<boolean> },
  ): Promise<void> {
    const due = this.#open.filter(({ record: { shared } }) => !shared!.surveyed && shared!.cutMs <= sinceMs);
    for (const tenant of new Set(due.map(({ record }) => record.tenant))) {
      const ofTenant = due.filter(({ record }) => record.tenant === tenant);
      const isOld = ({ modifiedMs, name }: StoredObject) =>
        ofTenant.some(({ record: { shared } }) => modifiedMs <= shared!.cutMs && name > shared!.surveyedTo);
      const old = objects
        .filter((object) => object.kind === "segments" && object.tenant === tenant && isNamed(object) && isOld(object))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1));
      const survey = new Survey(this.#tools, tenant, bill);
      let at = 0;
      for (; at < old.length && (await mayGoOn()); at += surveyedInOneGo) {
        const some = old.slice(at, at + surveyedInOneGo);
        await inParallel(some, surveyedAtOnce, (object) => survey.compare(object, ofTenant));
      }
      const surveyed = at >= old.length;
      for (const one of ofTenant) {
        const { record } = one;
        const surveyedTo = surveyed ? (old.at(-1)?.name ?? "") : (old[at - 1]?.name ?? "");
        const shared = { ...record.shared!, surveyed, surveyedTo: max(record.shared!.surveyedTo, surveyedTo) };
        await this.#save(one, withSegments({ ...record, shared }, survey.foundOf(one)));
      }
    }
  }

  /** Says how far each of them is. */
  async end(seen: SeenObjects): Promise<void> {
    for (const one of this.#open) {
      const { record } = one;
      if (!isListed(record)) continue;
      await this.#save(one, await this.#ended(one, seen));
    }
  }

  async #ended({ record, inRows, waitsForRows, reason, into }: Open, seen: SeenObjects): Promise<ErasureRecord> {
    const { tenant, shared } = record;
    const { cutMs, surveyed, takesAll } = shared!;
    const left = seen.objects.filter((object) => object.tenant === tenant && !seen.freed.has(object));
    const there = new Map(left.map((object) => [`${object.kind}/${object.name}`, object]));
    const segments = record.segments.map((known): ErasedSegment => {
      const object = there.get(`segments/${known.segment}`);
      const state = !object ? "gone" : seen.isNamed(object) && seen.isHeld(object) ? "held" : "waiting";
      const left = seen.skipped.find(({ tenant: owner, segment }) => owner === tenant && segment === known.segment);
      const kept = object && seen.kept.has(object) ? seen.untold.reason(tenant) : undefined;
      return { ...known, state, reason: state === "held" ? left?.reason : kept };
    });
    const old = left.filter(({ modifiedMs }) => modifiedMs <= cutMs);
    const mustGo = old.filter((object) => takesAll && object.kind === "segments");
    const isHeld = segments.some(({ state }) => state === "held") || mustGo.some((object) => seen.isHeld(object));
    // What no row refers to was replaced, or may be of an append that failed: nobody can tell what it was of. That it is in its
    // grace by what one run has for a grace does not say that another run has looked into it.
    const waits = waitsForRows || mustGo.length > 0 || old.some((object) => !seen.isInUse(object));
    // Rows of other groups than its own have none of it.
    const untold = seen.untold.reason(tenant, record.selector.group);
    const isTold = cutMs <= seen.sinceMs && surveyed && untold === undefined && reason === undefined;
    const successors = joined(record.successors, [...into]);
    const isKept = old.some((object) => seen.kept.has(object));
    const next = {
      ...record,
      segments,
      successors,
      reason: untold ?? reason ?? (isKept ? seen.untold.reason(tenant) : undefined),
    };
    const state: ErasureState = !isTold || inRows || isHeld ? "compacting" : "waiting";
    if (state !== "waiting" || waits || segments.some((one) => one.state !== "gone")) return { ...next, state };
    const hashed: SuccessorSegment[] = [];
    for (const { segment } of successors) {
      hashed.push({ segment, sha256: await sha256(this.#tools, tenant, segment).catch(whenGone) });
    }
    return { ...next, successors: hashed, state: "gone", goneMs: Math.floor(this.#tools.nowMs()) };
  }

  async #save(one: Open, next: ErasureRecord): Promise<void> {
    if (JSON.stringify(next) === JSON.stringify(one.record)) return;
    try {
      one.record = await this.#tools.eraser.save(next);
    } catch (error) {
      whenTakenUpElsewhere(error);
      // Whoever changed it goes on with it: this run does not know what it says now.
      one.record = { ...one.record, state: "hidden" };
    }
  }

  #of(tenant: string, group: string): readonly Open[] {
    return this.#open.filter(({ record }) => record.tenant === tenant && isScope(record, group));
  }
}

/** What comparing costs is counted. */
interface SurveyBill {
  readonly prices: Prices;
  readonly spend: (dollars: number, requests: number) => void;
}

/** Which frames rows need, and which segments have others. */
class Survey {
  readonly #tools: RowErasuresTools;
  readonly #tenant: string;
  readonly #bill: SurveyBill;
  readonly #needed = new Map<string, Promise<ReadonlySet<string>>>();
  readonly #found = new Map<Open, ErasedSegment[]>();

  constructor(tools: RowErasuresTools, tenant: string, bill: SurveyBill) {
    this.#bill = bill;
    this.#tools = tools;
    this.#tenant = tenant;
  }

  foundOf(one: Open): readonly ErasedSegment[] {
    return (this.#found.get(one) ?? []).toSorted((a, b) => (a.segment < b.segment ? -1 : 1));
  }

  async compare({ name, modifiedMs, bytes }: StoredObject, open: readonly Open[]): Promise<void> {
    const { prices, spend } = this.#bill;
    const asked = open.filter(({ record: { shared } }) => modifiedMs <= shared!.cutMs && name > shared!.surveyedTo);
    spend(2 * prices.objectGet, 2);
    const scan = await this.#tools.segments.scan(this.#tenant, name).catch(whenGone);
    if (!scan) return;
    const dead = new Set<string>();
    for (const { group, offset } of scan.frames) {
      if (dead.has(group) || !asked.some(({ record }) => isScope(record, group))) continue;
      if (!(await this.#neededOf(group)).has(placeOf(name, offset))) dead.add(group);
    }
    const isDamaged = scan.damage.length > 0;
    const holding = asked.filter(({ record }) => isDamaged || [...dead].some((group) => isScope(record, group)));
    if (holding.length === 0) return;
    const gets = Math.ceil(bytes / hashedBytes);
    spend(gets * prices.objectGet, gets);
    const hash = await sha256(this.#tools, this.#tenant, name).catch(whenGone);
    for (const one of holding) {
      const found = this.#found.get(one) ?? [];
      found.push({ segment: name, state: "held", sha256: hash });
      this.#found.set(one, found);
    }
  }

  /** Frames of rows all of whose payloads are alive. */
  async #neededOf(group: string): Promise<ReadonlySet<string>> {
    const known = this.#needed.get(group);
    if (known) return known;
    const asking = this.#ask(group);
    this.#needed.set(group, asking);
    const [first] = this.#needed.keys();
    if (this.#needed.size > groupsRemembered && first !== undefined) this.#needed.delete(first);
    return asking;
  }

  async #ask(group: string): Promise<ReadonlySet<string>> {
    const { counting } = await this.#tools.rows.group(this.#tenant, group);
    const { prices, spend } = this.#bill;
    const bytes = counting.reduce((sum, { record }) => sum + record.length, 0);
    spend(prices.readUnit * Math.max(1, Math.ceil(bytes / 4096)), 1);
    const mentions = new Mentions(counting);
    return new Set(
      counting.flatMap(({ row, says }, index) => {
        if (!row.ok || typeof says === "string" || row.value.place.inline) return [];
        const isWhole = says.entries.every((hash) => mentions.isAlive(hash, index));
        return isWhole ? [placeOf(row.value.place.segment, row.value.place.offset)] : [];
      }),
    );
  }
}

/** Sets the cut. It has to lie behind the moment at which all was hidden, so the time is asked for after that is known. */
async function begun(record: ErasureRecord, { askNowMs, lateMs }: RowErasuresTools): Promise<ErasureRecord> {
  const takesAll = record.selector.everything === true;
  const shared: SharedErasure = {
    cutMs: Math.floor(await askNowMs()) + lateMs,
    surveyedTo: "",
    surveyed: takesAll,
    takesAll,
  };
  return { ...record, state: "compacting", shared };
}

/** A record has room for so many segments: where there are more, all from before the cut go. */
function withSegments(record: ErasureRecord, found: readonly ErasedSegment[]): ErasureRecord {
  const known = new Set(record.segments.map(({ segment }) => segment));
  const segments = [...record.segments, ...found.filter(({ segment }) => !known.has(segment))];
  const { erasureSegmentsMax } = limits;
  if (segments.length <= erasureSegmentsMax) return { ...record, segments };
  return {
    ...record,
    segments: segments.slice(0, erasureSegmentsMax),
    unlisted: (record.unlisted ?? 0) + segments.length - erasureSegmentsMax,
    shared: { ...record.shared!, takesAll: true },
  };
}

function joined(known: readonly SuccessorSegment[], names: readonly string[]): readonly SuccessorSegment[] {
  const all = new Set([...known.map(({ segment }) => segment), ...names]);
  return [...all].slice(0, limits.erasureSegmentsMax).map((segment) => ({ segment }));
}

/** SHA-256 of a whole segment, 64 hex digits. */
async function sha256({ segments, digest }: RowErasuresTools, tenant: string, segment: string): Promise<string> {
  const { size } = await segments.scan(tenant, segment);
  const hash = digest.sha256Parts();
  for (let at = 0; at < size; at += hashedBytes) {
    hash.update(await segments.read(tenant, segment, at, Math.min(hashedBytes, size - at)));
  }
  return hash.end();
}

/** Whether what is overwritten or deleted in a group is an erasure's concern. */
function isScope({ selector }: ErasureRecord, group: string): boolean {
  return selector.group === undefined || selector.group === group;
}

function isListed({ state }: ErasureRecord): boolean {
  return state === "compacting" || state === "waiting";
}

function placeOf(segment: string, offset: number): string {
  return `${segment} ${offset}`;
}

function nameOf({ tenant, id }: ErasureRecord): string {
  return `${tenant}/${id}`;
}

function max(a: string, b: string): string {
  return a > b ? a : b;
}

function whenGone(error: unknown): undefined {
  if (!isPayloadStoreError(error, "GONE")) throw error;
}

/** Whoever changed the record first goes on with it. */
function whenTakenUpElsewhere(error: unknown): void {
  if (!isPayloadStoreError(error, "CONFLICT")) throw error;
}
