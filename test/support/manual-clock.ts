import type { Clock } from "../../core/ports/clock.ts";

/** A clock that stands until it is moved. */
export class ManualClock implements Clock {
  /** Milliseconds since 1970; at first the beginning of a minute, at noon. */
  ms = 1_750_075_200_000;

  nowMs(): number {
    return this.ms;
  }
}
