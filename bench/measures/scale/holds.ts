import { createHistogram } from "node:perf_hooks";
import { setImmediate } from "node:timers";

/**
 * How long the event loop was held, turn by turn, while this runs. On a machine with other work the kernel takes the thread
 * away in the middle of a turn; turns in which it did, to any thread of the process, are told apart: what is left is what the
 * program itself takes, and its waits for the disk. The thread's own processor time is told for all turns.
 */
export class Holds {
  readonly #turnsUs = createHistogram();
  #ownMaxMs = 0;
  #cpuMaxMs = 0;
  #cpuMs = threadCpuMs();
  #interrupted = 0;
  #last = performance.now();
  #switches = switches();
  #running = true;
  readonly #each: () => void;

  /** @param each  called once a turn; what it takes is not counted */
  constructor(each: () => void = () => {}) {
    this.#each = each;
    setImmediate(() => this.#turn());
  }

  stop(): {
    readonly stallMaxMs: number;
    readonly stallP99Ms: number;
    readonly stallOwnMs: number;
    readonly stallCpuMs: number;
    readonly turnsInterrupted: number;
  } {
    this.#running = false;
    return {
      stallMaxMs: this.#turnsUs.max / 1000,
      stallP99Ms: this.#turnsUs.percentile(99) / 1000,
      stallOwnMs: this.#ownMaxMs,
      stallCpuMs: this.#cpuMaxMs,
      turnsInterrupted: this.#interrupted / Math.max(1, this.#turnsUs.count),
    };
  }

  #turn(): void {
    if (!this.#running) return;
    const now = performance.now();
    const ms = now - this.#last;
    const switched = switches();
    this.#cpuMaxMs = Math.max(this.#cpuMaxMs, threadCpuMs() - this.#cpuMs);
    this.#turnsUs.record(Math.max(1, Math.round(ms * 1000)));
    if (switched === this.#switches) this.#ownMaxMs = Math.max(this.#ownMaxMs, ms);
    else this.#interrupted += 1;
    this.#each();
    this.#switches = switches();
    this.#cpuMs = threadCpuMs();
    this.#last = performance.now();
    setImmediate(() => this.#turn());
  }
}

export function switches(): number {
  return process.resourceUsage().involuntaryContextSwitches;
}

/** Processor time of this thread so far, in ms. */
function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Longest time that a loop which does nothing was held, in ms: what the machine's other work does. */
export function longestGap(ms: number): number {
  let longest = 0;
  const start = performance.now();
  for (let last = start, now = start; now - start < ms; last = now) {
    now = performance.now();
    longest = Math.max(longest, now - last);
  }
  return longest;
}
