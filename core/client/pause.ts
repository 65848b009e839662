import { view } from "../bytes.ts";
import type { Random } from "../ports/random.ts";
import { clientLimits } from "./client-limits.ts";

/**
 * How long to wait before the next attempt, in milliseconds: exponential backoff with full jitter, so that clients which
 * failed together do not come back together. What the server asks for is waited in any case, and the jitter on top of it.
 *
 * @param attempt  the one that failed, from 1
 */
export function pauseMs(attempt: number, retryAfterMs: number | undefined, random: Random): number {
  const { pauseMsFirst, pauseMsMax } = clientLimits;
  const most = Math.min(pauseMsMax, pauseMsFirst * 2 ** (attempt - 1));
  return (retryAfterMs ?? 0) + most * fraction(random);
}

/** A number from 0 on and below 1. */
function fraction(random: Random): number {
  return view(random.bytes(4)).getUint32(0) / 2 ** 32;
}
