import { trifle } from "./plan.ts";

/** When compaction of a folder lays groups apart by how long they last. docs/decisions/0043 says why these. */
export interface ApartRules {
  /** Groups that last about as long go into a segment of their own from so many bytes on, as they were stored; others go with what lasts longer. */
  readonly apartBytes: number;
}

export const apartRules: ApartRules = { apartBytes: 4_194_304 };

/** What lasts up to so many times as long as another is as good as the same: a segment of both goes whole, not long after its first. */
const alikeTimes = 1.5;

/** Something that has bytes which are alive, and the time at which the last of them has expired, milliseconds since 1970; `Infinity` for never. */
export interface Lasting {
  readonly aliveBytes: number;
  readonly lastsMs: number;
}

/** What is written one behind the other. */
export interface LaidTogether<T> {
  /** All of it has expired then; `Infinity` for what is not laid apart. */
  readonly untilMs: number;
  readonly things: readonly T[];
}

/** Expiries are told apart by the hour, as the index does at most. */
const stepMs = 3_600_000;

/**
 * Divides things by how long they last, those first that go first. The last part is what is not laid apart: what never goes, what nothing
 * is alive of, what is too little for a segment of its own, and everything where that is nearly all. A pure function.
 */
export function layApart<T extends Lasting>(
  things: readonly T[],
  nowMs: number,
  rules: ApartRules,
): readonly LaidTogether<T>[] {
  const going = new Map<number, number>();
  let stayingBytes = 0;
  for (const { aliveBytes, lastsMs } of things) {
    const endMs = Math.ceil(lastsMs / stepMs) * stepMs;
    if (lastsMs === Infinity) stayingBytes += aliveBytes;
    else if (aliveBytes > 0) going.set(endMs, (going.get(endMs) ?? 0) + aliveBytes);
  }
  const ends = endsOfParts([...going], stayingBytes, nowMs, rules);
  const parts = [...ends, Infinity].map((untilMs) => ({ untilMs, things: [] as T[] }));
  for (const thing of things) {
    const part = thing.aliveBytes > 0 ? parts.find(({ untilMs }) => thing.lastsMs <= untilMs) : undefined;
    (part ?? parts.at(-1)!).things.push(thing);
  }
  return parts;
}

/** @param going  when something has expired, and its bytes */
function endsOfParts(
  going: readonly (readonly [endMs: number, bytes: number])[],
  stayingBytes: number,
  nowMs: number,
  { apartBytes }: ApartRules,
): readonly number[] {
  const ends: number[] = [];
  let [firstMs, lastMs, partBytes] = [0, 0, 0];
  for (const [endMs, bytes] of going.toSorted(([a], [b]) => a - b)) {
    if (endMs - nowMs > alikeTimes * firstMs) {
      firstMs = endMs - nowMs;
      if (partBytes >= apartBytes) {
        ends.push(lastMs);
        partBytes = 0;
      }
    }
    partBytes += bytes;
    lastMs = endMs;
  }
  if (partBytes >= apartBytes && stayingBytes > trifle * (stayingBytes + partBytes)) ends.push(lastMs);
  return ends;
}
