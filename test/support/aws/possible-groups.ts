import assert from "node:assert/strict";

/** What a group may hold: payloads by id, told by a short text that stands for their bytes. */
export type GroupState = ReadonlyMap<string, string>;

/** What one commit makes of a group; `undefined` where it would not have been made in this state. */
export type Commit = (state: GroupState) => GroupState | undefined;

/**
 * All states that one group may be in, when the outcome of some commits is unknown.
 *
 * A commit whose outcome is unknown has taken effect, or it has not, or it will: its request may be on its way. The next
 * commit that is acknowledged settles it, for it has taken the only place where the other could have arrived.
 */
export class PossibleGroups {
  #states: readonly GroupState[] = [new Map()];
  #onTheirWay: readonly Commit[] = [];

  acknowledged(commit: Commit): void {
    this.#keep(this.#states.flatMap((state) => commit(state) ?? []));
    this.#onTheirWay = [];
  }

  unknown(commit: Commit): void {
    this.#onTheirWay = [...this.#onTheirWay, commit];
    this.#arrive();
  }

  /** Somebody read the group, or decided on it, and saw this. */
  observed(fits: (state: GroupState) => boolean): void {
    this.#keep(this.#states.filter(fits));
    this.#arrive();
  }

  /** Asserts that the group may look like this. */
  expect(found: GroupState): void {
    const texts = this.#states.map(textOf);
    assert.ok(texts.includes(textOf(found)), `the group is ${textOf(found)}, it may be ${texts.join(" or ")}`);
    this.observed((state) => textOf(state) === textOf(found));
  }

  #arrive(): void {
    for (const commit of this.#onTheirWay) {
      this.#keep([...this.#states, ...this.#states.flatMap((state) => commit(state) ?? [])]);
    }
  }

  #keep(states: readonly GroupState[]): void {
    assert.ok(states.length > 0, "no state explains what was seen");
    this.#states = [...new Map(states.map((state) => [textOf(state), state])).values()];
  }
}

export function puts(entries: Readonly<Record<string, string>>): Commit {
  return (state) => new Map([...state, ...Object.entries(entries)]);
}

export function creates(id: string, value: string): Commit {
  return (state) => (state.has(id) ? undefined : new Map([...state, [id, value]]));
}

export function deletes(id: string): Commit {
  return (state) => (state.has(id) ? new Map([...state].filter(([other]) => other !== id)) : undefined);
}

export function clears(): Commit {
  return (state) => (state.size > 0 ? new Map() : undefined);
}

function textOf(state: GroupState): string {
  const entries = [...state].map(([id, value]) => `${id}=${value}`).toSorted();
  return `{${entries.join()}}`;
}
