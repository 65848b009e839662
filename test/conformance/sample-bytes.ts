/** A small seeded source of whole numbers (xorshift32): the same seed gives the same draws everywhere. */
export class Draws {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x9e3779b1) | 1;
    for (let i = 0; i < 8; i++) this.next();
  }

  /** An unsigned 32-bit integer. */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  /** 0 ≤ n < `end`. */
  below(end: number): number {
    return this.next() % end;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("pick from an empty list");
    return item;
  }

  /** 0 … `max`, as many of one length in bits as of any other. */
  logUniform(max: number): number {
    const bits = this.below(Math.ceil(Math.log2(max + 1)) + 1);
    return Math.min(max, bits === 0 ? 0 : 2 ** (bits - 1) + this.below(2 ** (bits - 1)));
  }
}

/** Bytes that no codec makes smaller. */
export function noise(length: number, seed: number): Uint8Array {
  const draws = new Draws(seed);
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 4) {
    const word = draws.next();
    bytes[i] = word;
    if (i + 1 < length) bytes[i + 1] = word >>> 8;
    if (i + 2 < length) bytes[i + 2] = word >>> 16;
    if (i + 3 < length) bytes[i + 3] = word >>> 24;
  }
  return bytes;
}

const words = ["agent ", "tool ", "call ", "flight ", "the ", "seat ", "refund ", "user ", '"id": ', "\n"].map((word) =>
  new TextEncoder().encode(word),
);

/** Bytes as agents write them, which every codec makes smaller from some hundred bytes on. */
export function prose(length: number, seed: number): Uint8Array {
  const draws = new Draws(seed);
  const bytes = new Uint8Array(length);
  let end = 0;
  while (end < Math.min(length, 2048)) {
    const word = draws.pick(words);
    bytes.set(word.subarray(0, length - end), end);
    end += word.length;
  }
  // What is longer repeats itself, as conversations do.
  while (end < length) {
    const start = draws.below(1024);
    bytes.copyWithin(end, start, start + Math.min(64 + draws.below(900), length - end));
    end += 64;
  }
  return bytes;
}

/** Text as bytes. */
export function text(string: string): Uint8Array {
  return new TextEncoder().encode(string);
}
