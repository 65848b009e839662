import type { SegmentDamage } from "../segment/scan.ts";

/**
 * Something that is lost for good, as a repair wrote it down: it outlives the index and the damaged bytes. Until somebody
 * accepts it, what it may have held is `CORRUPT`, never absent.
 */
export interface Loss extends SegmentDamage {
  /** Payloads that are damaged, where their page is whole; then `frames` is 0. */
  readonly ids?: readonly string[];
  /** File of the quarantine that holds the bytes as they were found. */
  readonly quarantined?: string;
  /** When it was written down, milliseconds since 1970. */
  readonly notedMs: number;
  readonly acceptedMs?: number;
}

/** The losses of a store. */
export interface LossList {
  all(): readonly Loss[];
}

/** A loss that was written down for the damage at a place of a segment. */
export function lossAt(
  losses: readonly Loss[],
  { tenant, segment, start, end = start + 1 }: { tenant: string; segment: string; start: number; end?: number },
): Loss | undefined {
  return losses.find((loss) => {
    const isThere = loss.tenant === tenant && loss.segment === segment;
    return isThere && start < Math.max(loss.end, loss.start + 1) && end > loss.start;
  });
}

/** Whether a note of the index says no more than what was accepted: the same place, and no more pages than then. */
export function isAccepted(accepted: readonly SegmentDamage[], note: SegmentDamage): boolean {
  return accepted.some((loss) => {
    const isThere = loss.tenant === note.tenant && loss.segment === note.segment && loss.group === note.group;
    const within = loss.start <= note.start && loss.end >= note.end;
    return (
      isThere && within && (loss.frames === undefined || (note.frames !== undefined && note.frames <= loss.frames))
    );
  });
}
