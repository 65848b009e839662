/**
 * A small seeded source of chance: the same seed gives the same draws on every machine.
 *
 * The sequence is sfc32 (Chris Doty-Humphrey, PractRand, public domain): 128 bits of state, 32-bit arithmetic only,
 * so no draw depends on how a platform rounds a float. Not for secrets.
 */
export class SeededRandom {
  #a: number;
  #b = 0x9e3779b9;
  #c = 0x243f6a88;
  #counter = 1;

  /** @param seed  a whole number; its low 32 bits count. */
  constructor(seed: number) {
    this.#a = seed | 0;
    // Twelve rounds, as PractRand does, before close seeds stop giving close draws.
    for (let round = 0; round < 12; round++) this.#next();
  }

  /** A whole number from `least` to `most`, both included; their distance stays below 2³². */
  between(least: number, most: number): number {
    return least + Math.floor((this.#next() / 2 ** 32) * (most - least + 1));
  }

  /** True with the given probability, 0–1. */
  chance(probability: number): boolean {
    return this.#next() < probability * 2 ** 32;
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    const item = items[this.between(0, items.length - 1)];
    if (item === undefined) throw new RangeError("pick from an empty list");
    return item;
  }

  /** `count` of the items, each at most once, in drawn order; all of them if there are fewer. */
  some<T>(items: readonly T[], count: number): T[] {
    const left = [...items];
    const drawn: T[] = [];
    while (drawn.length < count && left.length > 0) {
      drawn.push(...left.splice(this.between(0, left.length - 1), 1));
    }
    return drawn;
  }

  /** Lower-case hexadecimal digits. */
  hex(digits: number): string {
    return Array.from({ length: digits }, () => this.between(0, 15).toString(16)).join("");
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.between(0, 255));
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}
