import { setImmediate as turn } from "node:timers/promises";
import type { Timers } from "../../core/entries/client.ts";

interface Waiting {
  readonly atMs: number;
  readonly run: () => void;
}

/** Turns of the event loop after which nothing that is not waited for goes on: answers of a store in memory need a few. */
const idleTurns = 30;

/** Time that passes only when it is told to, or when nothing else happens. */
export class VirtualTimers implements Timers {
  readonly #waiting = new Set<Waiting>();
  #nowMs = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, run: () => void): () => void {
    const waiting = { atMs: this.#nowMs + ms, run };
    this.#waiting.add(waiting);
    return () => this.#waiting.delete(waiting);
  }

  /** Moves on, and runs what falls due on the way, in order. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await this.#idle();
    for (let next = this.#next(); next && next.atMs <= endMs; next = this.#next()) {
      this.#fire(next);
      await this.#idle();
    }
    this.#nowMs = endMs;
  }

  /** Lets time pass, from one timer to the next, until a promise is settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = promise.finally(() => (isSettled = true));
    settled.catch(() => {});
    for (await this.#idle(); !isSettled; await this.#idle()) {
      const next = this.#next();
      if (next) this.#fire(next);
    }
    return settled;
  }

  #next(): Waiting | undefined {
    return [...this.#waiting].reduce<Waiting | undefined>((a, b) => (a && a.atMs <= b.atMs ? a : b), undefined);
  }

  #fire(waiting: Waiting): void {
    this.#waiting.delete(waiting);
    this.#nowMs = Math.max(this.#nowMs, waiting.atMs);
    waiting.run();
  }

  async #idle(): Promise<void> {
    for (let turns = 0; turns < idleTurns; turns++) await turn();
  }
}
