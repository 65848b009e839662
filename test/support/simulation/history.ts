import { explainNonlinear, type RegisterCall } from "../linearizable.ts";
import { type Answer, type Call, idsOf } from "./calls.ts";

/** What the ids of a group hold, in their order; "" stands for nothing. */
type GroupState = string;
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

  /** @param ids  how many ids each group has */
  constructor(ids: number) {
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
    const nothing = this.#join(this.#ids.map(() => ""));
    return [...this.#groups].flatMap(([group, calls]) => {
      const explained = explainNonlinear(nothing, calls);
      return explained === undefined ? [] : [`no order explains the calls of group ${group}:\n${explained}`];
    });
  }

  #note(call: Call, startedMs: number, endedMs: number, step: Step, answer?: Answer): void {
    const what = [
      `${call.kind} ${call.ids.join()}`,
      ...(["write", "create"].includes(call.kind) ? [`= ${call.value}`] : []),
      ...(call.key === undefined ? [] : ["by key"]),
      endedMs === Infinity ? "?" : answer ? `→ ${textOf(answer)}` : "",
    ].join(" ");
    const calls = this.#groups.get(call.group) ?? [];
    calls.push({ what, startedMs, endedMs, step });
    this.#groups.set(call.group, calls);
  }

  /** What a call makes of a group where it takes effect; `undefined` where it never does. */
  #effectOf({ kind, ids, value }: Call): Step | undefined {
    const at = this.#positions(ids);
    switch (kind) {
      case "write":
        return (state) => this.#with(state, at, value);
      case "create":
        return (state) => (this.#holds(state, at[0]!) ? undefined : this.#with(state, at, value));
      case "delete":
        return (state) => (this.#holds(state, at[0]!) ? this.#with(state, at, "") : undefined);
      case "delete the group":
        return (state) => this.#with(state, at, "");
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
        return (state) => (this.#holds(state, at[0]!) === (call.kind === "create") ? state : undefined);
      case "cleared":
        return (state) => {
          const payloads = state.split("|").filter((value) => value !== "").length;
          return payloads === answer.payloads ? this.#with(state, at, "") : undefined;
        };
      case "has":
        return (state) => (this.#holds(state, at[0]!) === answer.has ? state : undefined);
      case "seen": {
        const expected = Object.entries(answer.seen).map(([id, value]) => [this.#ids.indexOf(id), value] as const);
        return (state) => {
          const values = state.split("|");
          return expected.every(([position, value]) => values[position] === value) ? state : undefined;
        };
      }
    }
  }

  #positions(ids: readonly string[]): readonly number[] {
    return ids.map((id) => this.#ids.indexOf(id));
  }

  #holds(state: GroupState, position: number): boolean {
    return state.split("|")[position] !== "";
  }

  #with(state: GroupState, positions: readonly number[], value: string): GroupState {
    const values = state.split("|");
    for (const position of positions) values[position] = value;
    return this.#join(values);
  }

  #join(values: readonly string[]): GroupState {
    return values.join("|");
  }
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
