import { segmentTimeMs } from "../segment/name.ts";

/**
 * What of a segment expires when, coarsely: for a planner that looks once an hour or once a day. Ascending: by when it has
 * expired, milliseconds since 1970; bytes as they are stored; number of payloads.
 */
export type Expiring = [byMs: number, bytes: number, payloads: number][];

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Counts a payload of a segment, or with negative numbers counts it no more. */
export function countExpiring(
  expiring: Expiring,
  segment: string,
  expiresMs: number,
  bytes: number,
  payloads: 1 | -1,
): void {
  const step = stepMs(segment, expiresMs);
  const byMs = Math.ceil(expiresMs / step) * step;
  const at = expiring.findIndex(([known]) => known >= byMs);
  const found = expiring[at];
  if (found?.[0] !== byMs) {
    expiring.splice(at < 0 ? expiring.length : at, 0, [byMs, bytes, payloads]);
    return;
  }
  found[1] += bytes;
  found[2] += payloads;
  if (found[2] <= 0) expiring.splice(at, 1);
}

/** What certainly has expired. */
export function expiredAt(
  expiring: Expiring | undefined,
  nowMs: number,
): { readonly bytes: number; readonly payloads: number } {
  const expired = { bytes: 0, payloads: 0 };
  for (const [byMs, bytes, payloads] of expiring ?? []) {
    if (byMs > nowMs) break;
    expired.bytes += bytes;
    expired.payloads += payloads;
  }
  return expired;
}

/**
 * By when so much of what is alive has expired that at most `leftBytes` are left, milliseconds since 1970; `undefined` if that is never.
 * @param liveBytes  of all that is alive or has expired
 */
export function goneByMs(expiring: Expiring | undefined, liveBytes: number, leftBytes: number): number | undefined {
  let left = liveBytes;
  for (const [byMs, bytes] of expiring ?? []) {
    left -= bytes;
    if (left <= leftBytes) return byMs;
  }
  return undefined;
}

/** Before then nothing of a segment has expired, `undefined` if nothing ever does. */
export function firstExpiryMs(expiring: Expiring | undefined, segment: string): number | undefined {
  const first = expiring?.[0]?.[0];
  return first === undefined ? undefined : first - stepMs(segment, first) + 1;
}

/** How exactly times are kept, by how far ahead they are: so a segment has some 800 of them at most, and mostly one. */
function stepMs(segment: string, expiresMs: number): number {
  const aheadMs = expiresMs - segmentTimeMs(segment);
  return aheadMs <= 2 * dayMs ? hourMs : aheadMs <= 400 * dayMs ? dayMs : 100 * dayMs;
}
