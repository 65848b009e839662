import { invariant } from "../invariant.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";

const digits = "0123456789abcdefghjkmnpqrstvwxyz";
const timeDigits = 10;
const randomDigits = 16;
const pattern = /^[0-9a-hjkmnp-tv-z]{26}$/;

/** Whether a text is spelled as a segment name; anything else is never turned into a path. */
export function isSegmentName(text: string): boolean {
  return pattern.test(text);
}

/**
 * Names segments in the order they are made: 10 digits of milliseconds, 16 random ones, in the alphabet of Crockford's
 * base 32 (as ULIDs are spelled, in lower case).
 *
 * A name is always greater than the last one given or seen, also when the clock steps back, so order in one store never
 * rests on the clock. The full precision and 80 random bits stay in the name: cutting them loses data.
 */
export class SegmentNames {
  readonly #clock: Clock;
  readonly #random: Random;
  #lastMs = 0;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Later names will be greater than this one. */
  seen(name: string): void {
    let ms = 0;
    for (const digit of name.slice(0, timeDigits)) ms = ms * 32 + digits.indexOf(digit);
    if (ms > this.#lastMs) this.#lastMs = ms;
  }

  next(): string {
    this.#lastMs = Math.max(Math.floor(this.#clock.nowMs()), this.#lastMs + 1);
    let name = "";
    for (let rest = this.#lastMs, i = 0; i < timeDigits; i++, rest = Math.floor(rest / 32))
      name = digits.charAt(rest % 32) + name;
    for (const byte of this.#random.bytes(randomDigits)) name += digits.charAt(byte & 31);
    invariant(isSegmentName(name), `segment name ${name}`);
    return name;
  }
}
