import { hex } from "../bytes.ts";
import { PayloadStoreError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { IdempotentOptions } from "../payload.ts";
import type { Random } from "../ports/random.ts";

/** The key of one write, the same for all its attempts: the caller's own, or 128 random bits as 32 hex digits. */
export function idempotencyKeyOf({ idempotencyKey: given }: IdempotentOptions, random: Random): string {
  if (given === undefined) return hex(random.bytes(16));
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(given) && given.length <= limits.idempotencyKeyBytesMax)
    return given;
  const message = `idempotencyKey must be 1–${limits.idempotencyKeyBytesMax} ASCII characters, with spaces inside only: it is a header`;
  throw new PayloadStoreError("INVALID", message, { details: { field: "idempotencyKey" } });
}
