import { explainNonlinear, type Mark, type RegisterCall } from "../linearizable.ts";
import { type Answer, type Call, idsOf, type Seen } from "./calls.ts";

/** What the ids of a group hold, in their order: of each value its number, in so many bits. 0 stands for nothing. */
type GroupState = number;
const valueBits = 10;
const valuesMax = 2 ** valueBits - 1;
/** All of them fit into a small integer. */
const idsMax = 3;
type Step = RegisterCall<GroupState>["step"];

/** A request that is made several times under one key. */
interface Keyed {
  readonly call: Call;
  readonly startedMs: number;
  endedMs: number;
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

  /** @param ids  how many ids each group has */
  constructor(ids: number) {
    if (ids > idsMax) throw new RangeError(`a group of ${ids} ids: a state has room for ${idsMax}`);
    this.#ids = idsOf(ids);
  }

  /** To be called before a call begins. */
  began(call: Call, at: number): void {
    if (call.key !== undefined && !this.#keyed.has(call.key))
      this.#keyed.set(call.key, { call, startedMs: at, endedMs: Infinity });
  }

  /** @param answer  `undefined` where it is not known what became of it */
  ended(call: Call, startedMs: number, endedMs: number, answer: Answer | undefined): void {
    const keyed = call.key === undefined ? undefined : this.#keyed.get(call.key);
    const takesEffect = answer === undefined || answer.kind === "done";
    if (keyed && takesEffect) {
      if (answer) keyed.endedMs = Math.min(keyed.endedMs, endedMs);
      return;
    }
    if (answer === undefined) {
      const step = this.#effectOf(call);
      if (step) this.#note(call, startedMs, Infinity, step);
    } else if (answer.kind === "seen" && !answer.together) {
      for (const [id, value] of Object.entries(answer.seen)) {
        const one: Answer = { kind: "seen", seen: { [id]: value }, together: true };
        this.#note(call, startedMs, endedMs, this.#stepOf(call, one), one);
      }
    } else this.#note(call, startedMs, endedMs, this.#stepOf(call, answer), answer);
  }

  /** The groups whose calls no order explains, with their calls. */
  broken(): string[] {
    for (const { call, startedMs, endedMs } of this.#keyed.values()) {
      const step = this.#effectOf(call);
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
    const sees = answer?.kind === "seen" ? { sees: this.#marksOf(answer.seen) } : {};
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
  #effectOf({ kind, ids, value }: Call): Step | undefined {
    const at = this.#positions(ids);
    switch (kind) {
      case "write": {
        const written = this.#numberOf(value);
        return (state) => withValue(state, at, written);
      }
      case "create": {
        const created = this.#numberOf(value);
        return (state) => (valueAt(state, at[0]!) === 0 ? withValue(state, at, created) : undefined);
      }
      case "delete":
        return (state) => (valueAt(state, at[0]!) === 0 ? undefined : withValue(state, at, 0));
      case "delete the group":
        return () => 0;
      case "get":
      case "has":
      case "get many":
      case "list":
      case "contents":
        return undefined;
    }
  }

  #stepOf(call: Call, answer: Answer): Step {
    const at = this.#positions(call.ids);
    switch (answer.kind) {
      case "done":
        return this.#effectOf(call)!;
      case "refused":
        // Of a create there was a payload, of a delete there was none.
        return (state) => ((valueAt(state, at[0]!) !== 0) === (call.kind === "create") ? state : undefined);
      case "cleared":
        return (state) => (this.#payloads(state) === answer.payloads ? 0 : undefined);
      case "has":
        return (state) => ((valueAt(state, at[0]!) !== 0) === answer.has ? state : undefined);
      case "seen": {
        const seen = Object.entries(answer.seen);
        const positions = this.#positions(seen.map(([id]) => id));
        const expected = seen.map(([, value]) => this.#numberOf(value));
        return (state) => {
          for (let i = 0; i < positions.length; i++)
            if (valueAt(state, positions[i]!) !== expected[i]) return undefined;
          return state;
        };
      }
    }
  }

  #payloads(state: GroupState): number {
    let payloads = 0;
    for (let position = 0; position < this.#ids.length; position++) if (valueAt(state, position) !== 0) payloads += 1;
    return payloads;
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

function changesNothing(answer: Answer): boolean {
  return ["refused", "has", "seen"].includes(answer.kind) || (answer.kind === "cleared" && answer.payloads === 0);
}

function textOfCall(call: Call, endedMs: number, answer: Answer | undefined): string {
  return [
    `${call.kind} ${call.ids.join()}`,
    ...(["write", "create"].includes(call.kind) ? [`= ${call.value}`] : []),
    ...(call.key === undefined ? [] : ["by key"]),
    endedMs === Infinity ? "?" : answer ? `→ ${textOf(answer)}` : "",
  ].join(" ");
}

function textOf(answer: Answer): string {
  switch (answer.kind) {
    case "done":
    case "refused":
      return answer.kind;
    case "cleared":
      return `${answer.payloads}`;
    case "has":
      return `${answer.has}`;
    case "seen":
      return Object.entries(answer.seen)
        .map(([id, value]) => `${id}: ${value === "" ? "–" : value}`)
        .join(", ");
  }
}
