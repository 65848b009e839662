/**
 * A key of the on-disk index: 50 bits in two words, of which the second has its bits at the top. 48 are of a keyed hash, and
 * two say of what.
 *
 * A billion ids have some two thousand pairs that share their bits. Two that do are one key with the values of both, and
 * the pages that the values name tell them apart: that costs a read, never an answer.
 */
export const key1Mask: number = 0xffff_c000 | 0;

/** What a key is the hash of: keys of different things are never one. */
export const ofGroup = 0;
export const ofId = 1;
export const ofRequest = 2;
export const ofTerm = 3;

/** The second word of a key: the hash's, with what it is of in bits 22 and 23. */
export function key1In(hash1: number, domain: 0 | 1 | 2 | 3): number {
  return (hash1 & 0xff3f_c000) | (domain << 22);
}

/** The bits of a key that stay in memory, one byte for each key: a key that a run has not is told by them 255 times in 256. */
export function fingerprintOf(key1: number): number {
  return (key1 >>> 14) & 0xff;
}

/** What a slot keeps of a key: what neither the part's number nor the fingerprint says. Below 2^(42 − partBits). */
export function remainderOf(key0: number, key1: number, partBits: number): number {
  const low = partBits === 0 ? key0 >>> 0 : key0 & (0xffff_ffff >>> partBits);
  return (low >>> 0) * 1024 + (key1 >>> 22);
}

export function key0Of(part: number, remainder: number, partBits: number): number {
  const low = Math.floor(remainder / 1024);
  return partBits === 0 ? low | 0 : (part << (32 - partBits)) | low;
}

export function key1Of(remainder: number, fingerprint: number): number {
  return (remainder << 22) | (fingerprint << 14);
}

export function partOf(key0: number, partBits: number): number {
  return partBits === 0 ? 0 : key0 >>> (32 - partBits);
}
