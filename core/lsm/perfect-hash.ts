import { invariant } from "../invariant.ts";
import { keysPerStep } from "./index-bounds.ts";

/**
 * A minimal perfect hash of one part of a run: n keys → 0 … n − 1, without the keys. docs/format.md §13.3.
 *
 * After PtrHash (Groot Koerkamp, 2025, arXiv:2502.15539): keys fall into buckets, and each bucket has a pilot of 8 bits
 * that sends its keys to slots of their own. Buckets take their turn by size; one that finds its slots taken puts out
 * the cheapest others, which take another turn. A few slots more than keys make that end; the keys in them are sent back
 * to the slots that stay free below n.
 *
 * Both 32-bit words of a key, and the seed, make the 64 bits that bucket and slot come from: fewer would fail at ten
 * million keys. Size: 8 bits for 3.5 keys, and 16 bits for 96.
 */
export interface PartArrays {
  /** A pilot for each bucket. */
  readonly pilots: Uint8Array;
  /** Where the keys of the slots from n on lie. */
  readonly remap: Uint16Array;
}

/** Where a part lies in a run's arrays, and how long it is there. */
export interface PartShape {
  readonly keys: number;
  readonly pilotsAt: number;
  readonly buckets: number;
  readonly remapAt: number;
  readonly spare: number;
}

/** Keys of one part at most: {@link PartArrays.remap} has 16 bits for a slot. */
export const partKeysMax = 0xffff;

/** Pilots before a part that begins with key `start` of the run: a bucket for 7/2 keys, and one more a part. */
export function pilotsBefore(start: number, part: number): number {
  return Math.floor((start * 2) / 7) + part;
}

/** Remapped slots before a part: one for 96 keys, and one more a part. */
export function remapBefore(start: number, part: number): number {
  return Math.floor(start / 96) + part;
}

export function partShape(part: number, start: number, end: number): PartShape {
  const pilotsAt = pilotsBefore(start, part);
  const remapAt = remapBefore(start, part);
  return {
    keys: end - start,
    pilotsAt,
    buckets: pilotsBefore(end, part + 1) - pilotsAt,
    remapAt,
    spare: remapBefore(end, part + 1) - remapAt,
  };
}

/** The slot of a key of the part; any slot for another key. Cost: about 30 ns. */
export function slotOf(
  key0: number,
  key1: number,
  seed: number,
  keys: number,
  pilotsAt: number,
  buckets: number,
  remapAt: number,
  spare: number,
  { pilots, remap }: PartArrays,
): number {
  const pilot = pilots[pilotsAt + bucketOf(bucketHash(key0, key1, seed), buckets)]!;
  const slot = slotIn(slotHash(key0, key1, seed), pilot, keys + spare);
  return slot < keys ? slot : remap[remapAt + slot - keys]!;
}

const goldenRatio = 0x9e3779b1;
const unit = 1 / 0x1_0000_0000;

/** The multiplications that mix: a bijection of 32 bits with little bias (prospector's triple32, short form). */
export function mix(word: number): number {
  let x = word;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return x ^ (x >>> 15);
}

function bucketHash(key0: number, key1: number, seed: number): number {
  return mix(key0 ^ Math.imul(key1, 0x85ebca6b) ^ Math.imul(seed, goldenRatio));
}

function slotHash(key0: number, key1: number, seed: number): number {
  return mix(key1 ^ Math.imul(key0, 0xc2b2ae35) ^ Math.imul(seed, 0x27d4eb2f));
}

/** Six tenths of the keys to three tenths of the buckets: the big ones take their turn while slots are free. */
function bucketOf(hash: number, buckets: number): number {
  const share = (hash >>> 0) * unit;
  return Math.floor(share < 0.6 ? share * 0.5 * buckets : (0.3 + (share - 0.6) * 1.75) * buckets);
}

function slotIn(hash: number, pilot: number, slots: number): number {
  let x = hash ^ Math.imul(pilot + 1, goldenRatio);
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  x ^= x >>> 13;
  return Math.floor((x >>> 0) * unit * slots);
}

const none = -1;
const seedsMax = 256;
/** A bucket that was placed is not put out again for so many turns: two would put out each other for ever. */
const recentTurns = 16;

/** Turns that a step takes: 30 µs of them. */
const turnsPerStep = 64;

/** Builds one part after the other, not two at once, with arrays that it uses again. */
export class PerfectHashBuilder {
  #starts = new Int32Array(0);
  #hashes = new Int32Array(0);
  #owners = new Int32Array(0);
  #nextOfSize = new Int32Array(0);
  readonly #firstOfSize = new Int32Array(partKeysMax + 1);
  readonly #slots = new Int32Array(partKeysMax);
  #placed = new Int32Array(0);

  /**
   * Fills the part's place in `into` for the first `shape.keys` keys, which are different from each other.
   *
   * Cost: about 0.3 µs a key. It stops after each step, of some 30 µs.
   * @returns the seed that the part is looked up with
   */
  *build(key0: Int32Array, key1: Int32Array, shape: PartShape, into: PartArrays): Generator<void, number> {
    invariant(shape.keys <= partKeysMax, "a part has at most 65,535 keys");
    this.#makeRoom(shape);
    for (let seed = 0; seed < seedsMax; seed++) {
      const largest = yield* this.#fillBuckets(key0, key1, shape, seed);
      if (yield* this.#place(shape, largest, into.pilots)) {
        this.#fillRemap(shape, into.remap);
        return seed;
      }
    }
    throw new Error("invariant broken: the keys of a part differ, so one of 256 seeds tells them apart");
  }

  #makeRoom({ keys, buckets, spare }: PartShape): void {
    if (this.#hashes.length < keys) this.#hashes = new Int32Array(keys * 2);
    if (this.#owners.length < keys + spare) this.#owners = new Int32Array((keys + spare) * 2);
    if (this.#starts.length <= buckets + 1) {
      this.#starts = new Int32Array(buckets * 2 + 2);
      this.#nextOfSize = new Int32Array(buckets * 2 + 2);
      this.#placed = new Int32Array(buckets * 2 + 2);
    }
  }

  /** Sorts the keys' slot hashes by bucket, and the buckets by size. @returns the size of the largest bucket. */
  *#fillBuckets(
    key0: Int32Array,
    key1: Int32Array,
    { keys, buckets }: PartShape,
    seed: number,
  ): Generator<void, number> {
    const starts = this.#starts;
    starts.fill(0, 0, buckets + 2);
    for (let from = 0; from < keys; from += keysPerStep) {
      this.#countKeys(key0, key1, from, Math.min(keys, from + keysPerStep), buckets, seed);
      yield;
    }
    let largest = 0;
    for (let bucket = 2; bucket <= buckets + 1; bucket++) {
      largest = Math.max(largest, starts[bucket]!);
      starts[bucket] = starts[bucket]! + starts[bucket - 1]!;
    }
    yield;
    for (let from = 0; from < keys; from += keysPerStep) {
      this.#fillKeys(key0, key1, from, Math.min(keys, from + keysPerStep), buckets, seed);
      yield;
    }
    this.#firstOfSize.fill(none, 0, largest + 1);
    for (let bucket = buckets - 1; bucket >= 0; bucket--) this.#await(bucket);
    yield;
    return largest;
  }

  /** Counts keys one place behind their bucket, so that filling moves each start to where it belongs. */
  #countKeys(key0: Int32Array, key1: Int32Array, from: number, to: number, buckets: number, seed: number): void {
    const starts = this.#starts;
    for (let i = from; i < to; i++) {
      const bucket = bucketOf(bucketHash(key0[i]!, key1[i]!, seed), buckets);
      starts[bucket + 2] = starts[bucket + 2]! + 1;
    }
  }

  #fillKeys(key0: Int32Array, key1: Int32Array, from: number, to: number, buckets: number, seed: number): void {
    const starts = this.#starts;
    const hashes = this.#hashes;
    for (let i = from; i < to; i++) {
      const bucket = bucketOf(bucketHash(key0[i]!, key1[i]!, seed), buckets);
      const at = starts[bucket + 1]!;
      starts[bucket + 1] = at + 1;
      hashes[at] = slotHash(key0[i]!, key1[i]!, seed);
    }
  }

  #size(bucket: number): number {
    return this.#starts[bucket + 1]! - this.#starts[bucket]!;
  }

  /** Puts a bucket among those of its size that wait for their turn. */
  #await(bucket: number): void {
    const size = this.#size(bucket);
    this.#nextOfSize[bucket] = this.#firstOfSize[size]!;
    this.#firstOfSize[size] = bucket;
  }

  /** @returns false when it took too many turns: another seed is quicker. */
  *#place(
    { keys, buckets, spare, pilotsAt }: PartShape,
    largest: number,
    pilots: Uint8Array,
  ): Generator<void, boolean> {
    const slots = keys + spare;
    this.#owners.fill(none, 0, slots);
    this.#placed.fill(-recentTurns, 0, buckets);
    pilots.fill(0, pilotsAt, pilotsAt + buckets);
    let turns = 0;
    const turnsMax = 20 * buckets + 10_000;
    for (let size = largest; size > 0;) {
      const bucket = this.#firstOfSize[size]!;
      if (bucket === none) {
        size -= 1;
        continue;
      }
      if (turns++ > turnsMax) return false;
      if (turns % turnsPerStep === 0) yield;
      this.#firstOfSize[size] = this.#nextOfSize[bucket]!;
      const pilot = this.#cheapestPilot(bucket, slots, turns);
      if (pilot === none) return false;
      size = Math.max(size, this.#putOut(bucket, pilot, slots, pilots, pilotsAt));
      pilots[pilotsAt + bucket] = pilot;
      for (let i = this.#starts[bucket]!; i < this.#starts[bucket + 1]!; i++) {
        this.#owners[slotIn(this.#hashes[i]!, pilot, slots)] = bucket;
      }
      this.#placed[bucket] = turns;
    }
    return true;
  }

  /** The first pilot that puts out nobody, else the one that puts out the least, by the squares of the buckets' sizes. */
  #cheapestPilot(bucket: number, slots: number, turn: number): number {
    const first = Math.imul(turn, 0x3d) & 0xff;
    const free = this.#freePilot(bucket, slots, first);
    if (free !== none) return free;
    const hashes = this.#hashes;
    const owners = this.#owners;
    const starts = this.#starts;
    const taken = this.#slots;
    const start = starts[bucket]!;
    const keys = starts[bucket + 1]! - start;
    let best = none;
    let bestCost = Infinity;
    search: for (let i = 0; i < 256; i++) {
      const pilot = (first + i) & 0xff;
      let cost = 0;
      for (let key = 0; key < keys; key++) {
        const slot = slotIn(hashes[start + key]!, pilot, slots);
        const owner = owners[slot]!;
        if (owner !== none) {
          if (turn - this.#placed[owner]! < recentTurns) continue search;
          const size = starts[owner + 1]! - starts[owner]!;
          cost += size * size;
          if (cost >= bestCost) continue search;
        }
        for (let other = 0; other < key; other++) if (taken[other] === slot) continue search;
        taken[key] = slot;
      }
      bestCost = cost;
      best = pilot;
      if (cost === 1) break;
    }
    return best;
  }

  #freePilot(bucket: number, slots: number, first: number): number {
    const hashes = this.#hashes;
    const owners = this.#owners;
    const taken = this.#slots;
    const start = this.#starts[bucket]!;
    const keys = this.#starts[bucket + 1]! - start;
    search: for (let i = 0; i < 256; i++) {
      const pilot = (first + i) & 0xff;
      for (let key = 0; key < keys; key++) {
        const slot = slotIn(hashes[start + key]!, pilot, slots);
        if (owners[slot] !== none) continue search;
        for (let other = 0; other < key; other++) if (taken[other] === slot) continue search;
        taken[key] = slot;
      }
      return pilot;
    }
    return none;
  }

  /** Frees the slots that a bucket is about to take. @returns the size of the largest bucket that lost its own. */
  #putOut(bucket: number, pilot: number, slots: number, pilots: Uint8Array, pilotsAt: number): number {
    let largest = 0;
    for (let key = this.#starts[bucket]!; key < this.#starts[bucket + 1]!; key++) {
      const owner = this.#owners[slotIn(this.#hashes[key]!, pilot, slots)]!;
      if (owner === none) continue;
      const theirs = pilots[pilotsAt + owner]!;
      for (let i = this.#starts[owner]!; i < this.#starts[owner + 1]!; i++) {
        this.#owners[slotIn(this.#hashes[i]!, theirs, slots)] = none;
      }
      this.#await(owner);
      largest = Math.max(largest, this.#size(owner));
    }
    return largest;
  }

  #fillRemap({ keys, spare, remapAt }: PartShape, remap: Uint16Array): void {
    let free = 0;
    for (let i = 0; i < spare; i++) {
      if (this.#owners[keys + i] === none) {
        remap[remapAt + i] = 0;
        continue;
      }
      while (this.#owners[free] !== none) free += 1;
      remap[remapAt + i] = free++;
    }
  }
}
