import type { Timers } from "./platform.ts";

/**
 * Ends an attempt that takes too long, or whose caller has given up: its `signal` aborts what `fetch` does. Time counts
 * while something is waited for, not while the reader of a stream is busy.
 */
export class Watch {
  readonly #controller = new AbortController();
  readonly #timers: Timers;
  readonly #ms: number;
  readonly #outer: AbortSignal | undefined;
  readonly #giveUp = (): void => this.#controller.abort(this.#outer?.reason);

  /** @param ms  the longest wait for one answer, or for one piece of it */
  constructor(timers: Timers, ms: number, outer: AbortSignal | undefined) {
    this.#timers = timers;
    this.#ms = ms;
    this.#outer = outer;
    if (outer?.aborted) this.#giveUp();
    outer?.addEventListener("abort", this.#giveUp);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Does `work`, and rejects once it takes too long or is given up, also where the work does not listen to the signal. */
  async during<T>(work: () => Promise<T> | T): Promise<T> {
    const { signal } = this;
    let stop = (): void => {};
    const stopped = new Promise<never>((_resolve, reject) => {
      stop = () => reject(signal.reason as Error);
      signal.addEventListener("abort", stop);
      if (signal.aborted) stop();
    });
    const late = new Error(`no answer within ${Math.round(this.#ms)} ms`);
    const cancelTimer = this.#timers.after(this.#ms, () => this.#controller.abort(late));
    try {
      return await Promise.race([stopped, work()]);
    } finally {
      cancelTimer();
      signal.removeEventListener("abort", stop);
    }
  }

  /** Nothing is waited for any more. */
  end(): void {
    this.#outer?.removeEventListener("abort", this.#giveUp);
  }
}

/** Resolves after so many milliseconds, or as soon as the signal fires. */
export async function pause(timers: Timers, ms: number, signal: AbortSignal | undefined): Promise<void> {
  let stop = (): void => {};
  let cancelTimer = (): void => {};
  await new Promise<void>((resolve) => {
    stop = resolve;
    cancelTimer = timers.after(ms, resolve);
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) resolve();
  });
  cancelTimer();
  signal?.removeEventListener("abort", stop);
}
