import type { Clock } from "../ports/clock.ts";
import type { Basis } from "../ports/offset-index.ts";
import { knowledgeMsMax } from "./knowledge.ts";

/** What is remembered of a group. */
export interface Known {
  readonly basis: Basis;
  /** When it was asked, by the clock of this machine. */
  readonly askedMs: number;
  /** Races that were lost since the last commit: others write the group too. */
  readonly losses: number;
}

/** How many groups' newest sequences are remembered. */
const groupsMax = 20_000;

/** A newest sequence that is remembered for longer is not a good guess any more, and soon one that may not be acted on. */
const knownMsMax = knowledgeMsMax / 3;

/** The newest sequences of the groups that were written or asked about last. */
export class KnownGroups {
  readonly #clock: Clock;
  /** Those used last come last. */
  readonly #groups = new Map<string, Known>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What is remembered, and not for too long to be a good guess. */
  fresh(partition: string): Known | undefined {
    const known = this.#groups.get(partition);
    if (known && this.#clock.nowMs() - known.askedMs > knownMsMax) this.#groups.delete(partition);
    return this.get(partition);
  }

  /** What is remembered, for however long. */
  get(partition: string): Known | undefined {
    const known = this.#groups.get(partition);
    if (!known) return undefined;
    this.#groups.delete(partition);
    this.#groups.set(partition, known);
    return known;
  }

  /** Remembers what a commit told. */
  know(partition: string, known: Known): void {
    const before = this.fresh(partition);
    // A query that was on its way while this process committed tells less than is known already.
    if (before && before.basis.sequence > known.basis.sequence) return;
    this.#groups.delete(partition);
    this.#groups.set(partition, known);
    if (this.#groups.size <= groupsMax) return;
    for (const oldest of this.#groups.keys()) {
      this.#groups.delete(oldest);
      break;
    }
  }

  /** Remembers what a question told, which wins no race. */
  learn(partition: string, known: Omit<Known, "losses">): void {
    this.know(partition, { ...known, losses: this.fresh(partition)?.losses ?? 0 });
  }

  forget(partition: string): void {
    this.#groups.delete(partition);
  }
}
