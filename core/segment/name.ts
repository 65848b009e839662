import { invariant } from "../invariant.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";

const digits = "0123456789abcdefghjkmnpqrstvwxyz";
const timeDigits = 10;
const countDigits = 6;
const randomDigits = 10;
/** Length of a segment name. */
export const segmentNameBytes: number = timeDigits + countDigits + randomDigits;

const pattern = /^[0-9a-hjkmnp-tv-z]{26}$/;

/** Names within one millisecond; where a random start leaves too few, the next millisecond is used. */
const countsPerMs = 32 ** countDigits;

/** Whether a text is spelled as a segment name; anything else is never turned into a path. */
export function isSegmentName(text: string): boolean {
  return pattern.test(text);
}

/** When a segment was named, by its writer's clock: milliseconds since 1970. */
export function segmentTimeMs(name: string): number {
  return valueOf(name.slice(0, timeDigits));
}

/**
 * Names segments in the order they are made: 10 digits of milliseconds, 16 random ones, in the alphabet of Crockford's
 * base 32 (as ULIDs are spelled, in lower case).
 *
 * A name is always greater than the last one given or seen, also within a millisecond and when the clock steps back, so
 * order in one store never rests on the clock. The full precision and 80 bits that nobody else has stay in the name:
 * cutting them loses data. Within a millisecond the first 30 of them count up from a random start.
 */
export class SegmentNames {
  readonly #clock: Clock;
  readonly #random: Random;
  #lastMs = 0;
  #lastCount = 0;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Later names will be greater than this one. */
  seen(name: string): void {
    const ms = segmentTimeMs(name);
    const count = valueOf(name.slice(timeDigits, timeDigits + countDigits));
    if (ms < this.#lastMs || (ms === this.#lastMs && count <= this.#lastCount)) return;
    this.#lastMs = ms;
    this.#lastCount = count;
  }

  next(): string {
    const nowMs = Math.floor(this.#clock.nowMs());
    const random = [...this.#random.bytes(countDigits + randomDigits)].map((byte) => digits.charAt(byte & 31)).join("");
    if (nowMs > this.#lastMs || this.#lastCount + 1 >= countsPerMs) {
      this.#lastMs = Math.max(nowMs, this.#lastMs + 1);
      this.#lastCount = valueOf(random.slice(0, countDigits));
    } else {
      this.#lastCount += 1;
    }
    const name = spell(this.#lastMs, timeDigits) + spell(this.#lastCount, countDigits) + random.slice(countDigits);
    invariant(isSegmentName(name), `segment name ${name}`);
    return name;
  }
}

function valueOf(text: string): number {
  let value = 0;
  for (const digit of text) value = value * 32 + digits.indexOf(digit);
  return value;
}

function spell(value: number, length: number): string {
  let text = "";
  for (let rest = value; text.length < length; rest = Math.floor(rest / 32)) text = digits.charAt(rest % 32) + text;
  return text;
}
