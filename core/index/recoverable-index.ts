import type { Page } from "../page/page.ts";
import type { OffsetIndex, PageRecord, SegmentState } from "../ports/offset-index.ts";
import type { FramePlace } from "../ports/segment-store.ts";
import type { SegmentDamage } from "../segment/scan.ts";
import type { SegmentTable } from "./segment-table.ts";

/** An index that can be made anew, and brought up to date, from what the segments say. */
export interface RecoverableIndex extends Omit<OffsetIndex, "candidates">, Required<Pick<OffsetIndex, "candidates">> {
  /** The segments that it took pages from, and how far. */
  readonly segments: SegmentTable;

  /**
   * Takes a page that a segment holds, while opening or following: pages known already are passed over, and a gap in the
   * sequences is kept as damage, since pages are lost in it.
   */
  replay(record: PageRecord, page: Page): Promise<"taken in" | "known">;

  /** Where the index has a page of a group, `undefined` if it has no page of this sequence. */
  placeOf(tenant: string, group: string, sequence: number): FramePlace | undefined;

  /** Says that a page it has lies elsewhere now: its frame was appended again. */
  relocate(record: PageRecord): void;

  /** Whether a page of a segment is not hidden. Cost: a look at every page. */
  isNeeded(tenant: string, segment: string): boolean;

  noteDamage(damage: SegmentDamage): void;

  /** Losses that somebody has accepted: they are noted no more, now and when they are met again. */
  acceptLosses(losses: readonly SegmentDamage[]): void;

  isEmptied(tenant: string, group: string, dying?: number): boolean;

  /** Pages of a group up to this sequence are hidden, 0 for none. */
  hiddenThrough(tenant: string, group: string): number;

  /** Every page of a group, hidden ones too, that lies in a segment which is still there; newest first. */
  history(tenant: string, group: string): Iterable<PageRecord>;

  torn(tenant: string): readonly string[];

  segmentStates(): readonly SegmentState[];

  segmentState(tenant: string, segment: string): SegmentState | undefined;

  /** Says that nothing in a segment is needed any more. */
  supersede(tenant: string, segment: string, nowMs: number): void;

  /** Says that a segment is gone, or about to be: its pages are not asked for any more. */
  markRemoved(tenant: string, segment: string): void;
}
