/** One call on a register, and when it was under way. */
export interface RegisterCall<State> {
  /** For people. */
  readonly what: string;
  readonly startedMs: number;
  /** `Infinity` for a call whose outcome is unknown: it may take effect at any time from its start on, or never. */
  readonly endedMs: number;
  /** What it makes of a state; `undefined` where it could not have had the outcome that it had. */
  readonly step: (state: State) => State | undefined;
}

/**
 * Whether there is an order of the calls in which each had its outcome, and no call comes before one that had ended when it
 * began: the register is linearizable. Wing and Gong's search, with a memory of what was tried.
 *
 * @param State  compared with `===`
 * @returns the calls as they are, with times, when there is no such order
 * Cost: exponential in how many calls overlap, linear in how many there are.
 */
export function explainNonlinear<State extends string | number | boolean>(
  initial: State,
  calls: readonly RegisterCall<State>[],
): string | undefined {
  const ordered = calls.toSorted((a, b) => a.startedMs - b.startedMs);
  /** By what was done of known outcome, and the state: of unknown outcome, the least that was done on the way there. */
  const tried = new Map<string, bigint[]>();

  const search = (done: bigint, unknownDone: bigint, from: number, state: State): boolean => {
    let first = from;
    while (first < ordered.length && (done | unknownDone) & (1n << BigInt(first))) first += 1;
    const known = `${done}|${state}`;
    const before = tried.get(known) ?? [];
    // Who has done less on the way can do the rest later: where that led nowhere, this does not either.
    if (before.some((less) => (less & unknownDone) === less)) return false;
    tried.set(known, [...before.filter((more) => (more & unknownDone) !== unknownDone), unknownDone]);

    // Nobody may come before a call that ended before it began.
    let soonestEndMs = Infinity;
    const next: number[] = [];
    const unknown: number[] = [];
    for (let i = first; i < ordered.length; i++) {
      const { startedMs, endedMs } = ordered[i]!;
      if ((done | unknownDone) & (1n << BigInt(i))) continue;
      if (startedMs > soonestEndMs) break;
      soonestEndMs = Math.min(soonestEndMs, endedMs);
      (endedMs === Infinity ? unknown : next).push(i);
    }
    if (soonestEndMs === Infinity) return true;
    for (const i of next) {
      const call = ordered[i]!;
      const after = call.startedMs > soonestEndMs ? undefined : call.step(state);
      if (after !== undefined && search(done | (1n << BigInt(i)), unknownDone, first, after)) return true;
    }
    for (const i of unknown) {
      const call = ordered[i]!;
      const after = call.startedMs > soonestEndMs ? undefined : call.step(state);
      if (after !== undefined && search(done, unknownDone | (1n << BigInt(i)), first, after)) return true;
    }
    return false;
  };

  if (search(0n, 0n, 0, initial)) return undefined;
  return ordered
    .map(({ what, startedMs, endedMs }) => `${startedMs.toFixed(2)}–${endedMs.toFixed(2)} ${what}`)
    .join("\n");
}
