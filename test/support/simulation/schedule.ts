import { setImmediate as turn } from "node:timers/promises";
import type { SeededRandom } from "../../../bench/agent-trace-random.ts";
import { MemoryAttributeTable } from "../../../core/adapters/memory/memory-attribute-table.ts";
import { MemoryErasureLedger } from "../../../core/adapters/memory/memory-erasure-ledger.ts";
import { MemoryRowTable } from "../../../core/adapters/memory/memory-row-table.ts";
import { type ErrorCode, isPayloadStoreError } from "../../../core/errors.ts";
import { arrivalMsMax, type RowTimes, rowTimes } from "../../../core/compaction/row-times.ts";
import { knowledgeMsMax } from "../../../core/rows/knowledge.ts";
import { type Bug, noBug } from "./bug.ts";
import {
  type Answer,
  type Call,
  type CallKind,
  drawCall,
  everyGroup,
  idsOf,
  makeCall,
  subjectName,
  tenant,
  textOf,
  valueIn,
} from "./calls.ts";
import { Erased } from "./erased.ts";
import { type Handler, type LapsingServers, openHandler, type Servers } from "./handler.ts";
import { History } from "./history.ts";
import { classesMs, drawLapsing, drawLapsingCall, type LapsingKind, soonMs } from "./lapsing.ts";
import { Moments } from "./moments.ts";
import { ObjectServer } from "./object-server.ts";
import type { Weather } from "./process.ts";
import { World } from "./world.ts";

/** What a schedule came to. */
export interface ScheduleReport {
  /** What must not be, for people. */
  readonly violations: readonly string[];
  readonly calls: number;
  /** Calls whose outcome their client never knew. */
  readonly unknown: number;
  readonly events: number;
  /** Segments that were removed; rows that were written in the place of others; rows, and groups, that were removed. */
  readonly removed: number;
  readonly written: number;
  readonly swept: number;
  readonly closed: number;
  /** Erasures that are gone. */
  readonly erased: number;
  /** Finds that found something, and groups that went since all in them had expired. */
  readonly found: number;
  readonly lapsed: number;
  /** What happened, where it was asked for. */
  readonly story: readonly string[];
}

export interface ScheduleOptions {
  readonly bug?: Bug;
  /** Keeps what happened. */
  readonly tells?: boolean;
}

const second = 1_000;
const minute = 60 * second;

/** What a call may fail with when requests fail and others write the group. */
const mayFailWith: readonly ErrorCode[] = ["UNAVAILABLE", "CONFLICT", "LOCKED"];

/** What verify may tell at the end: segments of appends that failed wait for their grace. */
const mayRemain: readonly string[] = ["orphan"];

/** Runs a day apart, in which all that was erased goes: each does what the one before made ready. */
const runsUntilGone = 6;

const calm: Weather = { lost: 0, unanswered: 0, late: 0, freezes: 0, crashes: 0, skewMsMax: 0, triesMax: 3 };

/**
 * One schedule: handlers, and what works beside them, on one table and one bucket, with clients that call any of them. All of
 * it, also what fails and when, is drawn from the seed.
 */
export async function runSchedule(seed: number, options: ScheduleOptions = {}): Promise<ScheduleReport> {
  return new Schedule(seed, options).run();
}

/** Graces that nothing is added to. */
const tightTimes: Partial<RowTimes> = {
  restMs: arrivalMsMax + 1,
  graceMs: 2 * knowledgeMsMax,
  graceMsMin: 2 * knowledgeMsMax,
  orphanMs: 2 * arrivalMsMax + 1,
};

/** What kind of schedule it is: each leaves something out, so that what is left comes often. */
interface Kind extends CallKind {
  readonly weather: Weather;
  readonly handlers: number;
  readonly clients: number;
  readonly calls: number;
  /** With the last call of a stretch a client deletes a group. */
  readonly empties: boolean;
  /** Share of pauses of clients that are brief, and the longest of the others. */
  readonly briefShare: number;
  readonly pauseMsMax: number;
  /** Clients call in so many stretches, which begin so long after one another: long enough for what waits to be due. */
  readonly stretches: number;
  readonly stretchMs: number;
  readonly compactors: number;
  /** Longest pause between two runs of a compactor. */
  readonly workPauseMsMax: number;
  /** Compactors begin at the same time, and their lease keeps none of them away. */
  readonly meet: boolean;
  /** How long after one another they meet, where it is not with each stretch, and how many runs each does then, one soon after the other. */
  readonly meetMs?: number;
  readonly runsTogether: number;
  /** How long before a stretch begins they may meet, so that what they do last comes together with what clients do first. */
  readonly leadMsMax: number;
  /** Of one compactor. */
  readonly runsMax: number;
  /** What compaction waits for is as short as its rules allow. */
  readonly tight: boolean;
  readonly pageRowsMax: number;
  /** Set where payloads have attributes and expire. */
  readonly lapsing?: LapsingKind;
}

/**
 * Every third is {@link closing}, and in every fourth payloads have attributes and expire, by the seed alone: the others draw as they
 * did when some of them broke.
 */
function drawKind(random: SeededRandom, seed: number): Kind {
  const any = drawAnyKind(random);
  const kind = seed % 3 === 2 ? closing(any, random) : any;
  return seed % 4 === 3 ? lapsing(kind, random) : kind;
}

/** Payloads have attributes and expire, compactors come while they do, and erasures are also asked for by attributes and times. */
function lapsing(kind: Kind, random: SeededRandom): Kind {
  return {
    ...kind,
    lapsing: drawLapsing(random, kind.groups),
    erases: random.chance(0.6),
    compactors: Math.max(1, kind.compactors),
    workPauseMsMax: random.pick([20, 30, 9 * 60]) * minute,
    tight: random.chance(0.7),
  };
}

/**
 * Groups that are emptied, closed, removed and begun anew. Between two stretches of calls a group rests, is closed, and has its
 * grace; what is left to be swept and removed then is so while others write it again.
 */
function closing(kind: Kind, random: SeededRandom): Kind {
  const meetMs = random.pick([56, 62, 90]) * minute;
  const meetings = random.between(1, 3);
  return {
    ...kind,
    empties: true,
    erases: false,
    groups: kind.groups.slice(0, random.pick([1, 1, 2])),
    ids: random.between(1, 2),
    clients: random.between(2, 3),
    calls: 8,
    stretches: meetings === 1 ? 5 : 3,
    stretchMs: meetings * meetMs,
    compactors: random.between(1, 2),
    meet: true,
    meetMs,
    runsTogether: [4, 2, 1][meetings - 1]!,
    leadMsMax: random.pick([50, 300]),
    runsMax: 16,
    briefShare: random.pick([0.2, 0.8]),
    pauseMsMax: random.pick([40, 400, 10 * second]),
  };
}

function drawAnyKind(random: SeededRandom): Kind {
  const sometimes = (...values: readonly number[]) => random.pick(values);
  const triesMax = sometimes(1, 3, 3);
  // Of calls that nobody answered little can be said: they may not be too many.
  const often = triesMax === 1 ? 0.25 : 1;
  const weather: Weather = {
    lost: often * sometimes(0, 0.02, 0.08),
    unanswered: often * sometimes(0, 0.05, 0.15),
    late: often * sometimes(0, 0.03, 0.1),
    freezes: sometimes(0, 0, 0.02, 0.1),
    crashes: sometimes(0, 0, 0.01),
    skewMsMax: sometimes(0, 4 * minute),
    triesMax,
  };
  return {
    weather,
    handlers: random.between(2, 3),
    clients: random.between(2, 5),
    calls: random.between(4, 8),
    groups: ["a", "b", "c"].slice(0, sometimes(1, 1, 2, 3)),
    ids: random.between(1, 3),
    empties: false,
    briefShare: 0.7,
    pauseMsMax: sometimes(5, 40, 10 * second, 20 * minute),
    stretches: sometimes(1, 2, 3),
    stretchMs: sometimes(50, 120, 26 * 60) * minute,
    compactors: sometimes(0, 1, 1, 2),
    erases: random.chance(0.3),
    meet: random.chance(0.3),
    runsTogether: 1,
    leadMsMax: 0,
    runsMax: 12,
    tight: random.chance(0.5),
    workPauseMsMax: sometimes(50, 30 * minute, 9 * 60 * minute),
    pageRowsMax: sometimes(2, 5, 100),
  };
}

class Schedule {
  readonly #world: World;
  readonly #bug: Bug;
  readonly #kind: Kind;
  readonly #servers: Servers;
  readonly #history: History;
  readonly #erased: Erased;
  readonly #moments: Moments | undefined;
  readonly #beganMs: number;
  readonly #handlers: Handler[] = [];
  readonly #violations = new Set<string>();
  #calls = 0;
  #unknown = 0;
  #removed = 0;
  #written = 0;
  #swept = 0;
  #closed = 0;
  #found = 0;
  #lapsed = 0;
  #started = 0;
  #working = 0;

  constructor(seed: number, { bug = noBug, tells = false }: ScheduleOptions) {
    this.#world = new World(seed, { tells });
    this.#bug = bug;
    this.#kind = drawKind(this.#world.random, seed);
    const { pageRowsMax, ids, groups, lapsing, weather } = this.#kind;
    const moments = lapsing && new Moments();
    this.#moments = moments;
    const rows = new MemoryRowTable({ clock: this.#world, pageRowsMax });
    const objects = new ObjectServer(this.#world);
    this.#erased = new Erased({ rows, objects }, moments);
    this.#servers = {
      world: this.#world,
      rows,
      objects,
      erasures: new MemoryErasureLedger(),
      whenErasureKept: (record) => void this.#erased.kept(record),
      lapsing: moments && lapsingServers(moments),
    };
    this.#history = new History(ids, moments && { groups, moments, aheadMsMax: weather.skewMsMax });
    this.#beganMs = this.#world.nowMs();
  }

  async run(): Promise<ScheduleReport> {
    const { handlers, clients, compactors } = this.#kind;
    this.#world.tell(() => JSON.stringify(this.#kind));
    for (let i = 0; i < handlers; i++) this.#handlers.push(this.#openHandler());
    this.#working = clients;
    for (let i = 0; i < clients; i++) void this.#client(`client ${i}`).finally(() => (this.#working -= 1));
    for (let i = 0; i < compactors; i++) void this.#compactAgainAndAgain();
    await this.#world.run();
    await this.#lookAtTheEnd();
    for (const broken of this.#history.broken()) this.#violations.add(broken);
    for (const broken of this.#erased.broken) this.#violations.add(broken);
    return {
      violations: [...this.#violations],
      calls: this.#calls,
      unknown: this.#unknown,
      events: this.#world.events,
      removed: this.#removed,
      written: this.#written,
      swept: this.#swept,
      closed: this.#closed,
      erased: this.#erased.gone,
      found: this.#found,
      lapsed: this.#lapsed,
      story: this.#world.story ?? [],
    };
  }

  #openHandler(name = "handler"): Handler {
    const { weather, meet, tight } = this.#kind;
    const times = { ...(tight ? tightTimes : {}), ...this.#bug.times, ...(meet ? { leaseMs: 1 } : {}) };
    return openHandler(this.#servers, `${name} ${++this.#started}`, weather, { ...this.#bug, times });
  }

  /** Makes one call after the other, of any handler. */
  async #client(name: string): Promise<void> {
    const { random } = this.#world;
    const { calls, groups, ids, stretches, stretchMs, empties } = this.#kind;
    const beganMs = this.#world.nowMs();
    for (let i = 0; i < calls; i++) {
      const stretchOf = (call: number) => Math.floor((call * stretches) / calls);
      const stretchAtMs = beganMs + stretchOf(i) * stretchMs;
      await this.#world.sleep(Math.max(0, stretchAtMs - this.#world.nowMs()) + this.#drawPauseMs());
      const value = `${name.slice("client ".length)}.${i}`;
      const isLast = stretchOf(i + 1) > stretchOf(i);
      const call: Call =
        empties && isLast
          ? { kind: "delete the group", group: random.pick(groups), ids: idsOf(ids), value }
          : this.#drawCall(value);
      let answer = await this.#makeCall(name, call);
      if (answer?.kind === "done" && random.chance(0.2)) void this.#readAt(name, call, answer);
      if (answer?.kind === "done" && call.subject !== undefined && random.chance(0.5)) void this.#findAgain(name, call);
      // A request with a key may be made again: because nobody answered, or by mistake.
      for (let again = 0; again < 3 && call.key !== undefined && random.chance(answer ? 0.15 : 0.8); again++) {
        await this.#world.sleep(this.#drawPauseMs());
        answer = await this.#makeCall(name, call);
      }
    }
  }

  #drawCall(value: string): Call {
    const { random } = this.#world;
    const { lapsing } = this.#kind;
    if (!lapsing || !this.#moments) return drawCall(random, this.#kind, value);
    const known = { nowMs: this.#world.nowMs(), times: this.#moments.times };
    const call = drawLapsingCall(random, { ...this.#kind, lapsing }, value, known);
    this.#moments.writes(value, { group: call.group, ids: call.ids, subject: call.subject });
    return call;
  }

  /** @returns `undefined` where its client gave up, or was told that the outcome is unknown */
  async #makeCall(name: string, call: Call, handler: Handler = this.#anyHandler()): Promise<Answer | undefined> {
    const { random } = this.#world;
    const startedMs = this.#world.stamp();
    this.#calls += 1;
    this.#history.began(call, startedMs);
    const what = `${name}: ${call.kind} ${call.group}/${call.ids.join()} ${call.value}${call.key ? " by key" : ""}`;
    this.#world.tell(() => `${what}, of ${handler.process.name}`);
    const answering = makeCall(handler.store, call).catch((error: unknown) => this.#unknownOutcome(what, error));
    const watch = handler.clock.watch(answering);
    const givingUp = this.#world.sleep(random.pick([30 * second, 30 * second, 5 * minute, 60 * minute]));
    const answer = await Promise.race([
      answering,
      handler.process.died.then(() => undefined),
      givingUp.then(() => undefined),
    ]);
    const endedMs = this.#world.stamp();
    this.#world.tell(() => `${what} → ${JSON.stringify(answer) ?? "?"}`);
    if (!answer) this.#unknown += 1;
    if (answer?.kind === "done") this.#erased.stored(call);
    if (answer?.kind === "found" && Object.keys(answer.found).length > 0) this.#found += 1;
    const clocks = { leastMs: watch.leastMs, mostMs: this.#world.nowMs() };
    this.#history.ended(call, startedMs, endedMs, answer, clocks);
    return answer;
  }

  /** Reads what a call stored by its locations, some time later: it is there, or its segment is gone. */
  async #readAt(name: string, call: Call, { locations = [] }: Extract<Answer, { kind: "done" }>): Promise<void> {
    await this.#world.sleep(this.#world.random.pick([5, minute, 60 * minute]));
    const { store } = this.#anyHandler();
    for (const location of locations) {
      const what = `${name}: read at ${location.segment} what ${call.value} stored`;
      const bytes = await store.getAt({ tenant }, location).catch((error: unknown) => {
        if (!isPayloadStoreError(error, "GONE")) this.#unknownOutcome(what, error);
      });
      const found = bytes && textOf(bytes);
      if (found !== undefined && found !== call.value) this.#violations.add(`${what}: it is ${found}`);
    }
  }

  #unknownOutcome(what: string, error: unknown): undefined {
    if (isPayloadStoreError(error) && mayFailWith.includes(error.code)) return;
    this.#violations.add(`${what} failed with ${error instanceof Error ? error.stack : String(error)}`);
  }

  /** One that lives; another process takes the place of one that died. */
  #anyHandler(): Handler {
    const at = this.#world.random.between(0, this.#handlers.length - 1);
    if (this.#handlers[at]!.process.isDead) this.#handlers[at] = this.#openHandler();
    return this.#handlers[at]!;
  }

  #drawPauseMs(): number {
    const { random } = this.#world;
    return random.chance(this.#kind.briefShare) ? random.between(0, 10) : random.between(0, this.#kind.pauseMsMax);
  }

  /** Compacts in processes of their own, one after the other, as long as there are clients, and once more much later. */
  async #compactAgainAndAgain(): Promise<void> {
    const { random } = this.#world;
    for (let runs = 1, isLast = false; !isLast; runs++) {
      isLast = runs === this.#kind.runsMax || this.#working === 0;
      const { workPauseMsMax, meet, runsTogether } = this.#kind;
      // Two that begin with a stretch meet one another, and clients.
      const waitMs = meet && (runs - 1) % runsTogether === 0 ? this.#drawWaitMs() : 0;
      const pauseMs = meet ? waitMs + random.between(0, 20) : random.between(0, workPauseMsMax);
      await this.#world.sleep(isLast ? random.pick([1, 30, 26 * 60]) * minute : pauseMs);
      const { process, store } = this.#openHandler("compactor");
      const { graceMs, graceMsMin } = { ...rowTimes, ...(this.#kind.tight ? tightTimes : {}), ...this.#bug.times };
      const compacting = store.compact({ graceMs: random.pick([graceMs, graceMsMin]) }).then(
        ({ freed, rows }) => {
          this.#removed += freed.length;
          this.#written += rows?.rowsWritten ?? 0;
          this.#swept += rows?.rowsRemoved ?? 0;
          this.#closed += rows?.groupsRemoved ?? 0;
        },
        (error: unknown) => this.#unknownOutcome(process.name, error),
      );
      await Promise.race([compacting, process.died]);
    }
  }

  /** How long it is until compactors meet next. */
  #drawWaitMs(): number {
    const { stretchMs, meetMs = stretchMs, leadMsMax } = this.#kind;
    const passedMs = this.#world.nowMs() - this.#beganMs;
    const meetAtMs = (Math.floor((passedMs + leadMsMax) / meetMs) + 1) * meetMs;
    const leadMs = leadMsMax === 0 ? 0 : this.#world.random.between(0, leadMsMax);
    return meetAtMs - leadMs - passedMs;
  }

  /** Compacts in peace until every erasure has to be gone, and whatever has expired. */
  async #seeThrough(): Promise<void> {
    const { process, store } = openHandler(this.#servers, "the last compactor", calm, this.#bug);
    const compacting = (async () => {
      const isOpen = async () => (await this.#servers.erasures.open()).length > 0 || (await this.#left()).length > 0;
      for (let runs = 0; runs < runsUntilGone && (await isOpen()); runs++) {
        await this.#world.sleep(26 * 60 * minute);
        await store.compact().catch((error: unknown) => this.#unknownOutcome(process.name, error));
      }
      for (const { id, state, reason } of await this.#servers.erasures.open())
        this.#violations.add(`erasure ${id} is never gone, but ${state}: ${reason ?? "no reason"}`);
      for (const left of await this.#left()) this.#violations.add(`all has expired, and there still is ${left}`);
      this.#lapsed += this.#lapsedGroups().length;
    })();
    await this.#runUntil(compacting);
  }

  /** Groups whose payloads all expire. */
  #lapsedGroups(): readonly string[] {
    const { groups, lapsing } = this.#kind;
    return groups.filter((group) => lapsing?.expiring[group] === 1);
  }

  /** What has to go since all of it expires: rows of such groups, and objects where there are no others. */
  async #left(): Promise<readonly string[]> {
    const { rows, objects } = this.#servers;
    const groups = this.#lapsedGroups();
    if (groups.length === 0) return [];
    const left: string[] = [];
    for await (const { partition, number } of rows.scan(`${tenant}/`))
      if (groups.some((group) => partition === `${tenant}/${group}`)) left.push(`row ${partition}#${number}`);
    if (groups.length === this.#kind.groups.length) for (const [key] of objects.all()) left.push(key);
    return left;
  }

  /** Also where code is loaded on the way, the first time in a process: that takes time of ours. */
  async #runUntil(work: Promise<void>): Promise<void> {
    let isDone = false;
    const done = work.finally(() => (isDone = true));
    done.catch(() => {});
    for (await this.#world.run(); !isDone; await this.#world.run()) await turn();
    await done;
  }

  /** When everything that was on its way has arrived, a new handler reads all there is. */
  async #lookAtTheEnd(): Promise<void> {
    const { groups, ids, lapsing, erases } = this.#kind;
    if (lapsing) await this.#runUntil(this.#findAtTheEnd());
    if (erases || lapsing) await this.#seeThrough();
    const last = openHandler(this.#servers, "the last handler", calm, this.#bug);
    const looking = (async () => {
      if (lapsing) await this.#findAtTheEnd(last);
      for (const group of groups) {
        for (const kind of ["get many", "list"] as const)
          await this.#makeCall("at the end", { kind, group, ids: idsOf(ids), value: "" }, last);
      }
      const { faults } = await last.store.verify();
      for (const fault of faults) {
        if (!mayRemain.includes(fault.kind)) this.#violations.add(`verify: ${JSON.stringify(fault)}`);
      }
    })();
    await this.#runUntil(looking);
  }

  async #findAtTheEnd(handler: Handler = openHandler(this.#servers, "a late handler", calm, this.#bug)): Promise<void> {
    for (const subject of this.#kind.lapsing?.subjects ?? []) await this.#find("at the end", subject, handler);
  }

  /** Looks for what a call stored: at once, or shortly before it expires. */
  async #findAgain(name: string, { subject = "", expires }: Call): Promise<void> {
    const { random } = this.#world;
    if (typeof expires === "number" && random.chance(0.6))
      await this.#world.sleep(Math.max(0, expires - random.pick(soonMs) - this.#world.nowMs()));
    await this.#find(name, subject);
  }

  async #find(name: string, subject: string, handler?: Handler): Promise<void> {
    const call: Call = { kind: "find", group: everyGroup, ids: idsOf(this.#kind.ids), value: "", subject };
    await this.#makeCall(name, call, handler);
  }
}

function lapsingServers(moments: Moments): LapsingServers {
  return {
    attributes: new MemoryAttributeTable(),
    indexed: [subjectName],
    classesMs,
    whenFramed: (frame) => moments.framed(frame, valueIn),
  };
}
