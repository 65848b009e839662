import { view } from "../../../core/bytes.ts";
import type { SeededRandom } from "../../../bench/agent-trace-random.ts";
import { limits } from "../../../core/limits.ts";

/** Lengths and counts at the edges of what fields and limits hold. */
const extremes = [
  0,
  1,
  127,
  128,
  255,
  65_535,
  65_536,
  limits.blockRawBytesMax,
  limits.blockRawBytesMax + 1,
  limits.pageBytesMax,
  limits.pageBytesMax + 1,
  limits.segmentFramesMax + 1,
  0x7fff_ffff,
  0x8000_0000,
  0xffff_ffff,
  2 ** 32,
  2 ** 48,
  Number.MAX_SAFE_INTEGER,
] as const;

/** Numbers as variable-length integers: the largest, ones that are too long, one that does not end. */
const varints: readonly (readonly number[])[] = [
  [0x00],
  [0x7f],
  [0x80, 0x01],
  [0xff, 0xff, 0x03],
  [0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  [0x80, 0x80, 0x80, 0x00],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
];

/** A copy with one to four changes. `others` are what pieces are taken from. May be longer or shorter, or the same. */
export function mutated(
  bytes: Uint8Array,
  others: readonly Uint8Array[],
  random: SeededRandom,
): Uint8Array<ArrayBuffer> {
  let changed = bytes.slice();
  for (let left = random.between(1, 4); left > 0; left--) changed = changedOnce(changed, others, random);
  return changed;
}

/** The same, of the same length: what is too long is cut, what is too short goes on with random bytes. */
export function mutatedInPlace(bytes: Uint8Array, others: readonly Uint8Array[], random: SeededRandom): Uint8Array {
  const changed = mutated(bytes, others, random);
  const whole = randomBytes(bytes.length, random);
  whole.set(changed.subarray(0, bytes.length));
  return whole;
}

export function randomBytes(length: number, random: SeededRandom): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = random.between(0, 255);
  return bytes;
}

function changedOnce(
  bytes: Uint8Array<ArrayBuffer>,
  others: readonly Uint8Array[],
  random: SeededRandom,
): Uint8Array<ArrayBuffer> {
  const { length } = bytes;
  const at = length === 0 ? 0 : random.between(0, length - 1);
  const kind = random.between(0, 9);
  if (length === 0 || kind === 0) return spliced(bytes, at, at, randomBytes(random.between(0, 40), random));
  if (kind <= 2) bytes[at]! ^= 1 << random.between(0, 7);
  else if (kind === 3) bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.between(0, 255)]);
  else if (kind === 4) return bytes.slice(0, at);
  else if (kind === 5) return spliced(bytes, at, Math.min(length, at + random.between(1, 64)), new Uint8Array(0));
  else if (kind === 6) {
    const other = random.pick([bytes, ...others]);
    const from = random.between(0, other.length);
    const piece = other.slice(from, from + random.between(0, 200));
    return spliced(bytes, at, random.chance(0.5) ? at : Math.min(length, at + piece.length), piece);
  } else if (kind === 7) return spliced(bytes, at, at + 1, Uint8Array.from(random.pick(varints)));
  else setLength(bytes, at, random);
  return bytes;
}

/** Writes an extreme over 2, 4 or 8 bytes. */
function setLength(bytes: Uint8Array, at: number, random: SeededRandom): void {
  const value = random.pick(extremes);
  const data = view(bytes);
  const width = random.pick([2, 4, 8]);
  // Fields of the formats lie at even places.
  const start = at & ~1;
  if (start + width > bytes.length) return;
  if (width === 2) data.setUint16(start, value % 0x1_0000, true);
  else if (width === 4) data.setUint32(start, value % 0x1_0000_0000, true);
  else data.setBigUint64(start, random.chance(0.1) ? 2n ** 64n - 1n : BigInt(value), true);
}

function spliced(bytes: Uint8Array, start: number, end: number, piece: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(start + piece.length + bytes.length - end);
  whole.set(bytes.subarray(0, start));
  whole.set(piece, start);
  whole.set(bytes.subarray(end), start + piece.length);
  return whole;
}
