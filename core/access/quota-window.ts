import type { Measure } from "./access-key.ts";

/** Quotas are counted in windows of the clock, in milliseconds: minutes and UTC days. */
export const windowMs: Readonly<Record<Measure, number>> = { requestsPerMinute: 60_000, bytesPerDay: 86_400_000 };

/** The window that a time lies in, counted since 1970. */
export function windowAt(measure: Measure, timeMs: number): number {
  return Math.floor(timeMs / windowMs[measure]);
}
