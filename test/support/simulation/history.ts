import { explainNonlinear, type Mark, type RegisterCall } from "../linearizable.ts";
import { type Answer, type Call, everyGroup, type Found, idsOf, type Seen } from "./calls.ts";
import type { Moments, Span } from "./moments.ts";

/** What the ids of a group hold, in their order: of each value its number, in so many bits. 0 stands for nothing. */
type GroupState = number;
const valueBits = 10;
const valuesMax = 2 ** valueBits - 1;
/** All of them fit into a small integer. */
const idsMax = 3;
type Step = RegisterCall<GroupState>["step"];

/** How often an erasure that nobody answered may hide something of a group, at most; where it is of several, more fails on the way. */
const takenUpMax = 3;
const takenUpMaxOfSeveral = 6;

/** Where payloads expire, and where groups are asked for together. */
export interface Lapsing {
  readonly groups: readonly string[];
  readonly moments: Moments;
  /** How far the clocks of processes are ahead of the servers' at most, in milliseconds. */
  readonly aheadMsMax: number;
}

/** The least that the clock of who answered was read as, and the servers' time when it had answered, both milliseconds since 1970. */
export type Clocks = Span;

/** Of a call that nobody answered, or that another try may have answered. */
const anyTime: Clocks = { leastMs: 0, mostMs: Infinity };

/** A request that is made several times under one key. */
interface Keyed {
  readonly call: Call;
  readonly startedMs: number;
  endedMs: number;
  clocks: Clocks;
}

/**
 * What clients asked and were answered, to be put in order at the end: for each group there must be an order of all calls in
 * which each had its answer, none comes before one that had ended when it began, and a request under a key comes once.
 */
export class History {
  readonly #ids: readonly string[];
  readonly #groups = new Map<string, RegisterCall<GroupState>[]>();
  readonly #keyed = new Map<string, Keyed>();
  /** Values by their numbers, from 1 on. */
  readonly #values = new Map<string, number>();
  /** By what a state has where they are. */
  readonly #marks = new Map<number, Mark<GroupState>>();

  readonly #lapsing: Lapsing | undefined;
  /** Values by their numbers less one. */
  readonly #named: string[] = [];

  /** @param ids  how many ids each group has */
  constructor(ids: number, lapsing?: Lapsing) {
    this.#lapsing = lapsing;
    if (ids > idsMax) throw new RangeError(`a group of ${ids} ids: a state has room for ${idsMax}`);
    this.#ids = idsOf(ids);
  }

  /** To be called before a call begins. */
  began(call: Call, at: number): void {
    if (call.key !== undefined && !this.#keyed.has(call.key))
      this.#keyed.set(call.key, { call, startedMs: at, endedMs: Infinity, clocks: anyTime });
  }

  /** @param answer  `undefined` where it is not known what became of it */
  ended(
    call: Call,
    startedMs: number,
    endedMs: number,
    answer: Answer | undefined,
    clocks: Clocks = { leastMs: 0, mostMs: 0 },
  ): void {
    if (call.group === everyGroup) {
      // Each group is looked into by itself.
      for (const group of this.#lapsing?.groups ?? [])
        this.ended({ ...call, group }, startedMs, endedMs, answer, clocks);
      return;
    }
    const keyed = call.key === undefined ? undefined : this.#keyed.get(call.key);
    const takesEffect = answer === undefined || answer.kind === "done";
    if (keyed && takesEffect) {
      if (answer && endedMs < keyed.endedMs) {
        keyed.endedMs = endedMs;
        keyed.clocks = { ...anyTime, mostMs: clocks.mostMs };
      }
      return;
    }
    if (answer === undefined) {
      const step = this.#effectOf(call, anyTime);
      // Whoever takes up an erasure hides again what it is of.
      const isOfSeveral = call.kind === "erase what is meant";
      const often = isOfSeveral ? takenUpMaxOfSeveral : isErasure(call) ? takenUpMax : 1;
      for (let i = 0; step && i < often; i++) this.#note(call, startedMs, Infinity, step);
    } else if (answer.kind === "seen" && !answer.together) {
      for (const [id, value] of Object.entries(answer.seen)) {
        const one: Answer = { kind: "seen", seen: { [id]: value }, together: true };
        this.#note(call, startedMs, endedMs, this.#stepOf(call, one, clocks), one);
      }
    } else this.#note(call, startedMs, endedMs, this.#stepOf(call, answer, clocks), answer);
    if (call.kind === "erase what is meant") this.#note(call, startedMs, Infinity, this.#erasing(call, "maybe"));
  }

  /** The groups whose calls no order explains, with their calls. */
  broken(): string[] {
    for (const { call, startedMs, endedMs, clocks } of this.#keyed.values()) {
      const step = this.#effectOf(call, clocks);
      if (step) this.#note(call, startedMs, endedMs, step);
    }
    this.#keyed.clear();
    return [...this.#groups].flatMap(([group, calls]) => {
      const explained = explainNonlinear(0, calls);
      return explained === undefined ? [] : [`no order explains the calls of group ${group}:\n${explained}`];
    });
  }

  #note(call: Call, startedMs: number, endedMs: number, step: Step, answer?: Answer): void {
    const calls = this.#groups.get(call.group) ?? [];
    const reads = answer && changesNothing(answer) ? { reads: true as const } : {};
    const writes = call.kind === "write" || (call.kind === "create" && answer?.kind !== "refused");
    const seen = answer && seenOf(call, answer);
    const sees = seen ? { sees: this.#marksOf(seen) } : {};
    const marks = writes ? { marks: this.#marksOf(Object.fromEntries(call.ids.map((id) => [id, call.value]))) } : {};
    calls.push({
      // Nobody asks unless something is wrong.
      get what() {
        return textOfCall(call, endedMs, answer);
      },
      startedMs,
      endedMs,
      step,
      ...reads,
      ...sees,
      ...marks,
    });
    this.#groups.set(call.group, calls);
  }

  /** What a call makes of a group where it takes effect; `undefined` where it never does. */
  #effectOf(call: Call, clocks: Clocks): Step | undefined {
    const { kind, ids, value } = call;
    const at = this.#positions(ids);
    switch (kind) {
      case "write": {
        const written = this.#numberOf(value);
        return (state) => withValue(state, at, written);
      }
      case "create": {
        const created = this.#numberOf(value);
        return (state) => (this.#mayMiss(valueAt(state, at[0]!), clocks) ? withValue(state, at, created) : undefined);
      }
      case "delete":
        return (state) => (this.#mayMeet(valueAt(state, at[0]!), clocks) ? withValue(state, at, 0) : undefined);
      case "delete the group":
        return () => 0;
      case "erase":
      case "erase the group":
        return (state) => withValue(state, at, 0);
      case "erase what is meant":
        return this.#erasing(call, true);
      case "get":
      case "has":
      case "get many":
      case "list":
      case "contents":
      case "find":
        return undefined;
    }
  }

  #stepOf(call: Call, answer: Answer, clocks: Clocks): Step {
    const at = this.#positions(call.ids);
    switch (answer.kind) {
      case "done":
      case "erased":
        return this.#effectOf(call, clocks)!;
      case "refused":
        // Of a create there was a payload, of a delete there was none.
        return this.#isThere(at[0]!, call.kind === "create", clocks);
      case "cleared":
        return (state) => this.#cleared(state, answer.payloads, clocks);
      case "has":
        return this.#isThere(at[0]!, answer.has, clocks);
      case "found":
        return this.#finding(call.subject, answer.found[call.group] ?? {}, clocks);
      case "seen": {
        const seen = Object.entries(answer.seen);
        const positions = this.#positions(seen.map(([id]) => id));
        const expected = seen.map(([, value]) => this.#numberOf(value));
        return (state) => {
          for (let i = 0; i < positions.length; i++)
            if (!this.#maySee(valueAt(state, positions[i]!), expected[i]!, clocks)) return undefined;
          return state;
        };
      }
    }
  }

  /** Where an id holds something, or nothing. */
  #isThere(position: number, isThere: boolean, clocks: Clocks): Step {
    return (state) => {
      const value = valueAt(state, position);
      return (isThere ? this.#mayMeet(value, clocks) : this.#mayMiss(value, clocks)) ? state : undefined;
    };
  }

  /** What is left of a group that was told to have had so many payloads; nothing is done where that is none. */
  #cleared(state: GroupState, payloads: number, clocks: Clocks): GroupState | undefined {
    let [least, most] = [0, 0];
    for (let position = 0; position < this.#ids.length; position++) {
      const value = valueAt(state, position);
      if (!this.#mayMiss(value, clocks)) least += 1;
      if (this.#mayMeet(value, clocks)) most += 1;
    }
    if (payloads < least || payloads > most) return undefined;
    return payloads === 0 ? state : 0;
  }

  /** Whatever has the subject is found, and nothing else. */
  #finding(subject: string | undefined, seen: Seen, clocks: Clocks): Step {
    const found = this.#ids.map((id) => this.#numberOf(seen[id] ?? ""));
    return (state) => {
      for (const [position, expected] of found.entries()) {
        const value = valueAt(state, position);
        const isOther =
          expected === 0 && value !== 0 && this.#lapsing?.moments.subjectOf(this.#nameOf(value)) !== subject;
        if (!isOther && !this.#maySee(value, expected, clocks)) return undefined;
      }
      return state;
    };
  }

  /** Hides what an erasure is of, or what it may be of. */
  #erasing({ selector = {} }: Call, isMeant: true | "maybe"): Step {
    return (state) => {
      const meant = this.#ids.flatMap((_, position) => {
        const value = valueAt(state, position);
        return value !== 0 && this.#lapsing?.moments.isMeant(this.#nameOf(value), selector) === isMeant
          ? [position]
          : [];
      });
      return withValue(state, meant, 0);
    };
  }

  #maySee(value: number, expected: number, clocks: Clocks): boolean {
    return expected === 0 ? this.#mayMiss(value, clocks) : value === expected && this.#mayMeet(value, clocks);
  }

  /** Whether what an id holds may be told to be there: it has not expired by the clock of who answers. */
  #mayMeet(value: number, { leastMs }: Clocks): boolean {
    return value !== 0 && (!this.#lapsing || this.#lapsing.moments.expiryOf(this.#nameOf(value)).mostMs > leastMs);
  }

  /** Whether it may be told not to be there: it has expired by the clock of who answers, or of who compacted. */
  #mayMiss(value: number, { mostMs }: Clocks): boolean {
    if (value === 0 || !this.#lapsing) return value === 0;
    const { moments, aheadMsMax } = this.#lapsing;
    return moments.expiryOf(this.#nameOf(value)).leastMs <= mostMs + aheadMsMax;
  }

  #nameOf(value: number): string {
    return this.#named[value - 1]!;
  }

  #positions(ids: readonly string[]): readonly number[] {
    return ids.map((id) => this.#ids.indexOf(id));
  }

  /** Of ids that hold something. */
  #marksOf(seen: Seen): readonly Mark<GroupState>[] {
    return Object.entries(seen).flatMap(([id, value]) => {
      if (value === "") return [];
      const position = this.#ids.indexOf(id);
      const number = this.#numberOf(value);
      const name = withValue(0, [position], number);
      const mark = this.#marks.get(name) ?? { isIn: (state: GroupState) => valueAt(state, position) === number };
      this.#marks.set(name, mark);
      return [mark];
    });
  }

  #numberOf(value: string): number {
    if (value === "") return 0;
    const number = this.#values.get(value) ?? this.#values.size + 1;
    if (number > valuesMax) throw new RangeError(`more than ${valuesMax} values: a state has no room for them`);
    if (!this.#values.has(value)) this.#named.push(value);
    this.#values.set(value, number);
    return number;
  }
}

function valueAt(state: GroupState, position: number): number {
  return (state >>> (position * valueBits)) & valuesMax;
}

function withValue(state: GroupState, positions: readonly number[], value: number): GroupState {
  let changed = state;
  for (const position of positions) {
    const shift = position * valueBits;
    changed = (changed & ~(valuesMax << shift)) | (value << shift);
  }
  return changed;
}

function isErasure({ kind }: Call): boolean {
  return ["erase", "erase the group", "erase what is meant"].includes(kind);
}

/** What an answer says of the ids of a group. */
function seenOf({ group }: Call, answer: Answer): Seen | undefined {
  if (answer.kind === "seen") return answer.seen;
  return answer.kind === "found" ? (answer.found[group] ?? {}) : undefined;
}

function changesNothing(answer: Answer): boolean {
  return (
    ["refused", "has", "seen", "found"].includes(answer.kind) || (answer.kind === "cleared" && answer.payloads === 0)
  );
}

function textOfCall(call: Call, endedMs: number, answer: Answer | undefined): string {
  const { selector, subject, expires } = call;
  return [
    `${call.kind} ${selector ? JSON.stringify(selector) : call.ids.join()}`,
    ...(subject === undefined ? [] : [`of ${subject}`]),
    ...(expires === undefined ? [] : [`until ${expires}`]),
    ...(["write", "create"].includes(call.kind) ? [`= ${call.value}`] : []),
    ...(call.key === undefined ? [] : ["by key"]),
    endedMs === Infinity ? "?" : answer ? `→ ${textOf(answer)}` : "",
  ].join(" ");
}

function textOf(answer: Answer): string {
  switch (answer.kind) {
    case "done":
    case "refused":
    case "erased":
      return answer.kind;
    case "cleared":
      return `${answer.payloads}`;
    case "has":
      return `${answer.has}`;
    case "seen":
      return textOfSeen(answer.seen);
    case "found":
      return textOfFound(answer.found);
  }
}

function textOfSeen(seen: Seen): string {
  return Object.entries(seen)
    .map(([id, value]) => `${id}: ${value === "" ? "–" : value}`)
    .join(", ");
}

function textOfFound(found: Found): string {
  const groups = Object.entries(found).map(([group, seen]) => `in ${group} ${textOfSeen(seen)}`);
  return groups.length === 0 ? "nothing" : groups.join("; ");
}
