import { SeededRandom } from "../../../bench/agent-trace-random.ts";
import type { Clock } from "../../../core/ports/clock.ts";

interface Due {
  readonly atMs: number;
  /** Of two that are due at one time the one that was asked for first runs first. */
  readonly order: number;
  readonly run: () => void;
}

/** When a schedule begins: noon, by the servers' clock. */
const noonMs = Date.UTC(2026, 0, 1, 12);

/** A schedule that goes on for longer does not end by itself. */
const eventsMax = 50_000;

/**
 * Virtual time, one source of chance, and everything that is due. What is due runs one after the other, and whatever it sets
 * going runs to its end before the next: so a seed tells all of it.
 *
 * Nothing that runs in a world may wait for anything but the world: a real timer or a thread would end between two events
 * at one time, and between two others at another.
 */
export class World implements Clock {
  readonly random: SeededRandom;
  /** What happened, for people; only where it is asked for. */
  readonly story: string[] | undefined;
  readonly #queue: Due[] = [];
  #nowMs = noonMs;
  #order = 0;
  #stamp = 0;
  #events = 0;

  constructor(seed: number, { tells = false }: { readonly tells?: boolean } = {}) {
    this.random = new SeededRandom(seed);
    this.story = tells ? [] : undefined;
  }

  /** Milliseconds since 1970, by the servers' clock. */
  nowMs(): number {
    return this.#nowMs;
  }

  get events(): number {
    return this.#events;
  }

  /** A number greater than all before: in what order things happened, also those of one millisecond. */
  stamp(): number {
    return ++this.#stamp;
  }

  tell(what: () => string): void {
    this.story?.push(`${((this.#nowMs - noonMs) / 1000).toFixed(3).padStart(10)} s  ${what()}`);
  }

  after(ms: number, run: () => void): void {
    const due = { atMs: this.#nowMs + Math.max(0, ms), order: this.#order++, run };
    let at = this.#queue.length;
    // Latest first, so that the next one is at the end.
    while (at > 0 && isBefore(this.#queue[at - 1]!, due)) at -= 1;
    this.#queue.splice(at, 0, due);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve);
    });
  }

  /** Runs until nothing is due any more. */
  async run(): Promise<void> {
    await settled();
    for (let due = this.#queue.pop(); due; due = this.#queue.pop()) {
      this.#nowMs = due.atMs;
      due.run();
      await settled();
      this.#events += 1;
      if (this.#events > eventsMax) throw new Error(`the schedule does not end: ${eventsMax} events`);
    }
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Resolves once no promise is left to go on: Node comes back to its own queue only when that of promises is empty. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
