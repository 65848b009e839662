import type { Clock } from "../../../core/ports/clock.ts";

/** What a clock was read as, at the least, while somebody watched. */
export interface Watch {
  leastMs: number;
}

/** A clock, and what it is read as while somebody watches: what has expired is absent by the clock of who is asked. */
export class WatchedClock implements Clock {
  readonly #clock: Clock;
  readonly #watches = new Set<Watch>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    const ms = this.#clock.nowMs();
    for (const watch of this.#watches) watch.leastMs = Math.min(watch.leastMs, ms);
    return ms;
  }

  /** Watches until `work` has ended. */
  watch(work: Promise<unknown>): Watch {
    const watch: Watch = { leastMs: this.#clock.nowMs() };
    const end = () => void this.#watches.delete(watch);
    this.#watches.add(watch);
    work.then(end, end);
    return watch;
  }
}
