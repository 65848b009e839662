import { PayloadStoreError } from "../errors.ts";
import type { Candidate, PageRecord } from "../ports/offset-index.ts";
import { isSegmentName } from "../segment/name.ts";
import type { SegmentTable } from "./segment-table.ts";

/** The pages that an index with numbers has for some attributes. */
export interface CandidatePages {
  readonly tenant: string;
  /** Their numbers from one on, ascending, some at a time. */
  readonly numbers: (from: number) => Iterable<readonly number[]>;
  /** A page, `undefined` where it is none of the tenant's. */
  readonly record: (number: number) => PageRecord | undefined;
  readonly segments: SegmentTable;
}

/**
 * Pages as candidates, in the order of their numbers, which is that of their commits. What is committed meanwhile comes
 * last, until there is nothing new.
 *
 * @param from  a cursor of {@link cursorOf}. One without a number names only the segment of its page, for an index that was
 *   made anew and has other numbers: it goes on at the segment before that one, since commits that were under way at the
 *   same time may have been numbered in another order than they lie.
 */
export function* candidatePages(pages: CandidatePages, from?: string): Generator<Candidate> {
  const { number, segment } = from === undefined ? { number: 0, segment: "" } : parseCursor(from);
  const firstSegment = number === undefined ? segmentBefore(segment, pages) : "";
  for (let next = number ?? 0, isNew = true; isNew;) {
    isNew = false;
    for (const some of pages.numbers(next)) {
      for (const found of some) {
        next = found + 1;
        isNew = true;
        const record = pages.record(found);
        if (record && record.place.segment >= firstSegment)
          yield { kind: "page", record, cursor: cursorOf(found, record) };
      }
    }
  }
}

/** The cursor as another index reads it, which has other numbers. */
export function withoutNumber(cursor: string): string {
  return cursor.slice(cursor.indexOf("-"));
}

function cursorOf(number: number, { place }: PageRecord): string {
  return `${number.toString(36)}-${place.segment}`;
}

function parseCursor(cursor: string): { readonly number: number | undefined; readonly segment: string } {
  const [, number = "", segment = ""] = /^([0-9a-z]{0,7})-([0-9a-z]+)$/.exec(cursor) ?? [];
  if (!isSegmentName(segment)) {
    throw new PayloadStoreError("INVALID", "`after` is not a cursor that a find answered", {
      details: { field: "after" },
    });
  }
  return { number: number === "" ? undefined : Number.parseInt(number, 36), segment };
}

function segmentBefore(segment: string, { tenant, segments }: CandidatePages): string {
  let before = "";
  for (const { tenant: owner, name } of segments.all()) {
    if (owner === tenant && name < segment && name > before) before = name;
  }
  return before;
}
