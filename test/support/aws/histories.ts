import { explainNonlinear, type RegisterCall } from "../linearizable.ts";
import {
  type Operation,
  type OperationAnswer,
  possibleStepOf,
  type Register,
  type Step,
  stepOf,
} from "./operations.ts";

/** What was done to each id, and when: to be put in order at the end. */
export class Histories {
  /** What ids have to begin with, by `<group>/<id>`; nothing by default. */
  readonly #before: ReadonlyMap<string, Register>;
  readonly #calls = new Map<string, RegisterCall<Register>[]>();
  readonly #keyed = new Map<string, { readonly operation: Operation; readonly startedMs: number; endedMs: number }>();

  constructor(before: ReadonlyMap<string, Register> = new Map()) {
    this.#before = before;
  }

  /** To be called before an operation begins. A second one with the same key is the first one, tried again. */
  began(operation: Operation, startedMs: number): void {
    const { key } = operation;
    if (key !== undefined && !this.#keyed.has(key)) this.#keyed.set(key, { operation, startedMs, endedMs: Infinity });
  }

  /** @param answer  `undefined` where there was none */
  ended(operation: Operation, startedMs: number, endedMs: number, answer: OperationAnswer | undefined): void {
    const keyed = operation.key === undefined ? undefined : this.#keyed.get(operation.key);
    if (keyed) {
      if (answer !== undefined) keyed.endedMs = Math.min(keyed.endedMs, endedMs);
      return;
    }
    if (answer !== undefined) this.#note(operation, startedMs, endedMs, stepOf(operation, answer));
    else this.#note(operation, startedMs, Infinity, possibleStepOf(operation));
  }

  /** Group and id of whatever was called. */
  names(): { readonly group: string; readonly id: string }[] {
    const keyed = [...this.#keyed.values()].flatMap(({ operation: { group, ids } }) =>
      ids.map((id) => `${group}/${id}`),
    );
    return [...new Set([...this.#calls.keys(), ...keyed])].map((name) => {
      const [group = "", id = ""] = name.split("/");
      return { group, id };
    });
  }

  /** The histories that no order explains. */
  broken(): string[] {
    for (const { operation, startedMs, endedMs } of this.#keyed.values()) {
      this.#note(operation, startedMs, endedMs, stepOf(operation, true));
    }
    this.#keyed.clear();
    return [...this.#calls].flatMap(([name, calls]) => {
      const explained = explainNonlinear(this.#before.get(name) ?? "", calls);
      return explained === undefined ? [] : [`${name}:\n${explained}`];
    });
  }

  #note({ kind, value, group, ids, key }: Operation, startedMs: number, endedMs: number, step: Step | undefined): void {
    if (!step) return;
    const what = [kind, value, ...(key === undefined ? [] : ["by key"]), ...(endedMs === Infinity ? ["?"] : [])].join(
      " ",
    );
    const reads = kind === "read" || kind === "has" ? { reads: true as const } : {};
    for (const id of ids) {
      const name = `${group}/${id}`;
      this.#calls.set(name, [...(this.#calls.get(name) ?? []), { what, startedMs, endedMs, step, ...reads }]);
    }
  }
}
