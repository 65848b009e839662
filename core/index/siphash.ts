/**
 * SipHash-2-4 with 128 bits of output, keyed: Aumasson & Bernstein, 2012, and the authors' reference for the long output.
 *
 * A per-store secret key keeps a tenant from choosing names that collide. 64-bit words are pairs of 32-bit halves, low
 * and high, because BigInt is twenty times slower here. Cost: about 0.15 µs for 32 bytes.
 */
export interface HashKey {
  readonly k0Low: number;
  readonly k0High: number;
  readonly k1Low: number;
  readonly k1High: number;
}

export const hashKeyBytes = 16;

export function hashKey(bytes: Uint8Array): HashKey {
  const data = new DataView(bytes.buffer, bytes.byteOffset, hashKeyBytes);
  return {
    k0Low: data.getInt32(0, true),
    k0High: data.getInt32(4, true),
    k1Low: data.getInt32(8, true),
    k1High: data.getInt32(12, true),
  };
}

/**
 * Hashes `length` bytes of `bytes` into the first words of `result`, least significant first.
 * @param words  4, or 2 for the lower half alone, which spares a quarter of the work on short names
 */
export function sipHash128(
  key: HashKey,
  bytes: Uint8Array,
  length: number,
  result: Int32Array,
  words: 2 | 4 = 4,
): void {
  begin(key, scratch);
  take(scratch, bytes, 0, length, result, words);
}

/** What is left of the first {@link prefixBytes} of messages that begin alike: each is hashed from there on. */
export type HashPrefix = Int32Array;

export const prefixBytes = 16;

/** Spares two of the three or four words that a short name behind a prefix has. */
export function hashPrefix(key: HashKey, bytes: Uint8Array, prefix: HashPrefix = new Int32Array(8)): HashPrefix {
  begin(key, prefix);
  take(prefix, bytes, 0, prefixBytes, undefined, 2);
  return prefix;
}

/** As {@link sipHash128} of `length` bytes of `bytes`, of which the first were taken as the prefix and are not looked at again. */
export function sipHashFrom(
  prefix: HashPrefix,
  bytes: Uint8Array,
  length: number,
  result: Int32Array,
  words: 2 | 4 = 4,
): void {
  take(prefix, bytes, prefixBytes, length, result, words);
}

/** One for all: a hash ends before the next begins. */
const scratch = new Int32Array(8);

/** v0..v3 as low and high halves; 0xee in v1 selects the long output. */
function begin(key: HashKey, state: Int32Array): void {
  state[0] = key.k0Low ^ 0x70736575;
  state[1] = key.k0High ^ 0x736f6d65;
  state[2] = key.k1Low ^ 0x6e646f6d ^ 0xee;
  state[3] = key.k1High ^ 0x646f7261;
  state[4] = key.k0Low ^ 0x6e657261;
  state[5] = key.k0High ^ 0x6c796765;
  state[6] = key.k1Low ^ 0x79746573;
  state[7] = key.k1High ^ 0x74656462;
}

/** Takes in the bytes from `from`, a multiple of 8, and ends the message; without `result` it goes on, and is kept in `state`. */
function take(
  state: Int32Array,
  bytes: Uint8Array,
  from: number,
  length: number,
  result: Int32Array | undefined,
  words: 2 | 4,
): void {
  let v0l = state[0]!;
  let v0h = state[1]!;
  let v1l = state[2]!;
  let v1h = state[3]!;
  let v2l = state[4]!;
  let v2h = state[5]!;
  let v3l = state[6]!;
  let v3h = state[7]!;
  let sum = 0;
  let swap = 0;

  const whole = length >>> 3;
  const last = !result ? whole - 1 : words === 4 ? whole + 2 : whole + 1;
  // Each word is mixed with two rounds; the last word carries the length. Then four rounds, and four more for the upper half.
  for (let step = from >>> 3; step <= last; step++) {
    let low = 0;
    let high = 0;
    let rounds = 2;
    if (step < whole) {
      const at = step << 3;
      low = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      high = bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24);
    } else if (step === whole) {
      for (let i = whole << 3; i < length; i++) {
        const byte = bytes[i]!;
        if ((i & 7) < 4) low |= byte << ((i & 3) << 3);
        else high |= byte << ((i & 3) << 3);
      }
      high |= (length & 0xff) << 24;
    } else {
      rounds = 4;
      if (step === whole + 1) v2l ^= 0xee;
      else v1l ^= 0xdd;
    }
    v3l ^= low;
    v3h ^= high;
    for (let round = 0; round < rounds; round++) {
      sum = (v0l + v1l) | 0;
      v0h = (v0h + v1h + (sum >>> 0 < v0l >>> 0 ? 1 : 0)) | 0;
      v0l = sum;
      swap = (v1l << 13) | (v1h >>> 19);
      v1h = (v1h << 13) | (v1l >>> 19);
      v1l = swap ^ v0l;
      v1h ^= v0h;
      swap = v0l;
      v0l = v0h;
      v0h = swap;

      sum = (v2l + v3l) | 0;
      v2h = (v2h + v3h + (sum >>> 0 < v2l >>> 0 ? 1 : 0)) | 0;
      v2l = sum;
      swap = (v3l << 16) | (v3h >>> 16);
      v3h = (v3h << 16) | (v3l >>> 16);
      v3l = swap ^ v2l;
      v3h ^= v2h;

      sum = (v0l + v3l) | 0;
      v0h = (v0h + v3h + (sum >>> 0 < v0l >>> 0 ? 1 : 0)) | 0;
      v0l = sum;
      swap = (v3l << 21) | (v3h >>> 11);
      v3h = (v3h << 21) | (v3l >>> 11);
      v3l = swap ^ v0l;
      v3h ^= v0h;

      sum = (v2l + v1l) | 0;
      v2h = (v2h + v1h + (sum >>> 0 < v2l >>> 0 ? 1 : 0)) | 0;
      v2l = sum;
      swap = (v1l << 17) | (v1h >>> 15);
      v1h = (v1h << 17) | (v1l >>> 15);
      v1l = swap ^ v2l;
      v1h ^= v2h;
      swap = v2l;
      v2l = v2h;
      v2h = swap;
    }
    v0l ^= low;
    v0h ^= high;
    if (result && step === whole + 1) {
      result[0] = v0l ^ v1l ^ v2l ^ v3l;
      result[1] = v0h ^ v1h ^ v2h ^ v3h;
    }
  }
  if (!result) {
    state[0] = v0l;
    state[1] = v0h;
    state[2] = v1l;
    state[3] = v1h;
    state[4] = v2l;
    state[5] = v2h;
    state[6] = v3l;
    state[7] = v3h;
    return;
  }
  if (words === 2) return;
  result[2] = v0l ^ v1l ^ v2l ^ v3l;
  result[3] = v0h ^ v1h ^ v2h ^ v3h;
}
