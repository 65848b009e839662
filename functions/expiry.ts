import { PayloadStoreError } from "../core/errors.ts";

/** Of requests: when what they store expires. Of answers: when a payload does. */
export const expiresHeader = "paylode-expires";

/** Of requests: the class that says how long what they store is kept. */
export const retentionHeader = "paylode-retention";

const isoPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * A time as lines and headers tell it: ISO 8601 with its offset from UTC, or milliseconds since 1970, which lines may give as a number.
 * @returns milliseconds since 1970. The store checks their range.
 * @throws {PayloadStoreError} `INVALID`
 */
export function expiryOf(told: string | number | undefined): number | undefined {
  if (told === undefined || typeof told === "number") return told;
  if (/^\d{1,16}$/.test(told)) return Number(told);
  const ms = isoPattern.test(told) ? Date.parse(told) : Number.NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new PayloadStoreError(
    "INVALID",
    "an expiry is ISO 8601 with its offset, like 2030-01-31T12:00:00Z, or ms since 1970",
    {
      details: { field: "expiresAt" },
    },
  );
}

/** The same, for answers. */
export function expiryText(expiresMs: number): string {
  return new Date(expiresMs).toISOString();
}
