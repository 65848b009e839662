import type { Clock } from "../../ports/clock.ts";
import { setImmediate } from "node:timers/promises";

/** Tells how long others have waited, and whether one of them had better not wait at all: then each step ends its slice. */
export interface SliceClock extends Clock {
  readonly isAwaited?: (() => boolean) | undefined;
}

/** What others wait for at most, but for one step: a clock that counts whole milliseconds says 2 after 1–2 of them. */
const sliceMs = 2;
/** Where the clock stands still, as it may in a simulation, or is set back. */
const stepsMax = 256;

/**
 * Takes the steps of a long work, of some 30 µs each, one after the other in slices of about 2 ms, between which everything else
 * that waits comes: more steps a slice where they are fast, and one where they are slow.
 */
export async function inSlices<T>(steps: Iterator<unknown, T>, clock: SliceClock): Promise<T> {
  for (;;) {
    const start = clock.nowMs();
    for (let taken = 0; taken < stepsMax; taken++) {
      const step = steps.next();
      if (step.done === true) return step.value;
      if (clock.isAwaited?.() === true) break;
      const passed = clock.nowMs() - start;
      if (passed >= sliceMs || passed < 0) break;
    }
    await setImmediate();
  }
}
