import { PayloadStoreError } from "./errors.ts";

/** When a payload begins to count as absent: a date, or milliseconds since 1970. */
export type ExpiresAt = Date | number;

/** The end of the time that JavaScript's dates can spell, in milliseconds since 1970. */
const latestMs = 8_640_000_000_000_000;

/** Whether a payload counts as absent. Without an expiry it never does. */
export function isExpired({ expiresMs }: { readonly expiresMs?: number | undefined }, nowMs: number): boolean {
  return expiresMs !== undefined && expiresMs <= nowMs;
}

/**
 * An expiry as it is kept, in whole milliseconds. One that is past is allowed: an export may hold some.
 * @throws {PayloadStoreError} `INVALID`
 */
export function checkedExpiry(expiresAt: ExpiresAt | undefined): number | undefined {
  if (expiresAt === undefined) return undefined;
  const ms: unknown = typeof expiresAt === "object" ? (expiresAt as Date | null)?.getTime?.() : expiresAt;
  if (Number.isSafeInteger(ms) && Number(ms) >= 0 && Number(ms) <= latestMs) return Number(ms);
  throw new PayloadStoreError("INVALID", "expiresAt must be a date, or whole milliseconds since 1970", {
    details: { field: "expiresAt" },
  });
}
