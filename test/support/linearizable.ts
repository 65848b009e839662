/** One call on a register, and when it was under way. */
export interface RegisterCall<State> {
  /** For people. */
  readonly what: string;
  readonly startedMs: number;
  /** `Infinity` for a call whose outcome is unknown: it may take effect at any time from its start on, or never. */
  readonly endedMs: number;
  /** What it makes of a state; `undefined` where it could not have had the outcome that it had. */
  readonly step: (state: State) => State | undefined;
  /** Set where it leaves every state as it is. */
  readonly reads?: true;
  /** What it leaves there that no other call does. Where it is gone, it does not come back. */
  readonly marks?: readonly Mark<State>[];
  /** Marks of others that are there when it takes effect. */
  readonly sees?: readonly Mark<State>[];
}

/** Something that one call leaves in a state: the same object wherever it is named. */
export interface Mark<State> {
  readonly isIn: (state: State) => boolean;
}

/**
 * Whether there is an order of the calls in which each had its outcome, and no call comes before one that had ended when it
 * began: the register is linearizable. Wing and Gong's search, with a memory of what was tried.
 *
 * @param State  compared with `===`
 * @returns the calls as they are, with times, when there is no such order
 * Cost: exponential in how many writes overlap whose marks nobody sees, linear in how many calls there are.
 */
export function explainNonlinear<State extends string | number | boolean>(
  initial: State,
  calls: readonly RegisterCall<State>[],
): string | undefined {
  const ordered = calls.toSorted((a, b) => a.startedMs - b.startedMs);
  if (new Search(ordered).endsWell(0, initial)) return undefined;
  return ordered
    .map(({ what, startedMs, endedMs }) => `${startedMs.toFixed(2)}–${endedMs.toFixed(2)} ${what}`)
    .join("\n");
}

interface SeenMark<State> {
  readonly mark: Mark<State>;
  /** The calls of known outcome that see it. */
  readonly by: readonly number[];
  /** Who leaves it there: the place of a call of known outcome, −1 for none; a bit of one of unknown outcome, 0 for none. */
  readonly known: number;
  readonly unknown: bigint;
}

class Search<State extends string | number | boolean> {
  /** Calls of known outcome, and of unknown outcome, in order of their starts. */
  readonly #known: readonly RegisterCall<State>[];
  readonly #unknown: readonly RegisterCall<State>[];
  /** Which of them are in the order so far. */
  readonly #done: boolean[];
  #unknownDone = 0n;
  /** By what was done of known outcome, and the state: of unknown outcome, the least that was done on the way there. */
  readonly #tried = new Map<string, bigint[]>();
  /** A way that has overwritten what somebody saw later leads nowhere, however long one goes on. */
  readonly #seen: readonly SeenMark<State>[];

  constructor(ordered: readonly RegisterCall<State>[]) {
    this.#known = ordered.filter(({ endedMs }) => endedMs !== Infinity);
    this.#unknown = ordered.filter(({ endedMs }) => endedMs === Infinity);
    this.#done = this.#known.map(() => false);
    const seenBy = new Map<Mark<State>, number[]>();
    for (const [i, { sees = [] }] of this.#known.entries())
      for (const mark of sees) seenBy.set(mark, [...(seenBy.get(mark) ?? []), i]);
    const isMade = (mark: Mark<State>) => (call: RegisterCall<State>) => call.marks?.includes(mark) === true;
    this.#seen = [...seenBy].map(([mark, by]) => {
      const [known, unknown] = [this.#known.findIndex(isMade(mark)), this.#unknown.findIndex(isMade(mark))];
      return { mark, by, known, unknown: unknown < 0 ? 0n : 1n << BigInt(unknown) };
    });
  }

  /**
   * Whether the rest can be put in order from here on. Where it cannot, what is done is as it was.
   * @param from  all calls before it are done
   */
  endsWell(from: number, state: State): boolean {
    const read: number[] = [];
    let first = from;
    let next: number[];
    do {
      while (this.#done[first]) first += 1;
      if (first === this.#known.length) return true;
      next = this.#mayBeNext(first);
    } while (this.#read(next, state, read));

    if (!this.#isLost(state) && !this.#isTried(first, state)) {
      for (const i of next) {
        const { step, reads } = this.#known[i]!;
        const after = reads ? undefined : step(state);
        if (after === undefined) continue;
        this.#done[i] = true;
        if (this.endsWell(first, after)) return true;
        this.#done[i] = false;
      }
      const soonestEndMs = this.#soonestEndMs(next);
      for (const [i, { startedMs, step }] of this.#unknown.entries()) {
        if (startedMs > soonestEndMs) break;
        const bit = 1n << BigInt(i);
        const after = this.#unknownDone & bit ? undefined : step(state);
        // What changes nothing may as well never have been.
        if (after === undefined || after === state) continue;
        this.#unknownDone |= bit;
        if (this.endsWell(first, after)) return true;
        this.#unknownDone ^= bit;
      }
    }
    for (const i of read) this.#done[i] = false;
    return false;
  }

  /** Whether something is gone for good that is still to be seen. */
  #isLost(state: State): boolean {
    return this.#seen.some(({ mark, by, known, unknown }) => {
      if (mark.isIn(state) || by.every((i) => this.#done[i])) return false;
      return unknown === 0n ? known < 0 || this.#done[known]! : (this.#unknownDone & unknown) !== 0n;
    });
  }

  /** Those that began before any that is not done had ended: nobody else may come next. */
  #mayBeNext(first: number): number[] {
    const next: number[] = [];
    let soonestEndMs = Infinity;
    for (let i = first; i < this.#known.length; i++) {
      if (this.#done[i]) continue;
      const { startedMs, endedMs } = this.#known[i]!;
      // Whoever began later ended later too.
      if (startedMs > soonestEndMs) break;
      soonestEndMs = Math.min(soonestEndMs, endedMs);
      next.push(i);
    }
    return next;
  }

  #soonestEndMs(next: readonly number[]): number {
    return next.reduce((soonest, i) => Math.min(soonest, this.#known[i]!.endedMs), Infinity);
  }

  /**
   * Puts reads next that have their outcome now. There is no choice to come back to: in an order where such a read comes
   * later it can be moved here.
   * @returns whether there were any
   */
  #read(next: readonly number[], state: State, read: number[]): boolean {
    const before = read.length;
    for (const i of next) {
      const { reads, step } = this.#known[i]!;
      if (!reads || step(state) === undefined) continue;
      this.#done[i] = true;
      read.push(i);
    }
    return read.length > before;
  }

  /** Notes where the search is; whether that has led nowhere before. */
  #isTried(first: number, state: State): boolean {
    // Calls that are done are those before the first that is not, and some that began before it ended.
    let known = `${first}|${state}`;
    const { endedMs } = this.#known[first]!;
    for (let i = first + 1; i < this.#known.length && this.#known[i]!.startedMs <= endedMs; i++)
      if (this.#done[i]) known += `|${i}`;
    const before = this.#tried.get(known) ?? [];
    const done = this.#unknownDone;
    // Who has done less on the way can do the rest later: where that led nowhere, this does not either.
    if (before.some((less) => (less & done) === less)) return true;
    this.#tried.set(known, [...before.filter((more) => (more & done) !== done), done]);
    return false;
  }
}
