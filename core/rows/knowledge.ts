import { PayloadStoreError } from "../errors.ts";

/**
 * How long what a process knows may be acted on, in milliseconds: the longest life of a Lambda invocation. docs/aws.md §4.
 *
 * A process can be frozen between its check and its request, for hours. So the check is made on the date that a request is
 * signed with: the server refuses a signature that is older than minutes, so nothing known longer ago can take effect.
 */
export const knowledgeMsMax: number = 15 * 60_000;

/**
 * To be called with each try of a request, after it was signed and before it is sent.
 *
 * @param knownMs  when what the request rests on was known; `Infinity` where it rests on nothing
 * @param signedMs  0 where the request has no date
 * @throws {PayloadStoreError} `UNAVAILABLE` when that is too long ago
 */
export function refuseHeldUp(knownMs: number, signedMs: number): void {
  const heldUpMs = signedMs === 0 ? Infinity : signedMs - knownMs;
  if (knownMs === Infinity || heldUpMs <= knowledgeMsMax) return;
  throw new PayloadStoreError(
    "UNAVAILABLE",
    "the process was held up for too long to commit safely, or its clock is wrong; the outcome is unknown if it was tried before",
    { details: { knownMs, signedMs } },
  );
}
