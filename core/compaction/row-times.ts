import { invariant } from "../invariant.ts";
import { knowledgeMsMax } from "../rows/knowledge.ts";

/** How long a signature is good for on DynamoDB, and how far dates of signatures lie around the server's time, in milliseconds. */
const signatureMs = 5 * 60_000;
const skewMs = 5 * 60_000;

/** Nothing takes effect later than this after what it rests on was known, in milliseconds. docs/aws.md §4. */
export const arrivalMsMax: number = knowledgeMsMax + signatureMs + skewMs;

/** What compaction waits for where several processes write, in milliseconds. A test may shorten them. */
export interface RowTimes {
  /** How old a row must be to be taken: no process still tries to put it, or takes another's row for lost. */
  readonly restMs: number;
  /** How long covered rows and the segments that rows were taken out of are kept, by default. */
  readonly graceMs: number;
  /** Shorter than this is refused: readers and writers of a quarter of an hour ago know the group as it was. */
  readonly graceMsMin: number;
  /** How late after its frame was made a row is there at the latest: graces begin then. */
  readonly arrivalMs: number;
  /** How old what no row refers to must be to go. */
  readonly orphanMs: number;
  /** How long after an erasure was seen to be hidden something may still be stored that holds some of it. */
  readonly erasedLateMs: number;
  /** How long after a row was put by which a group is found a commit that needs it is there at the latest. */
  readonly foundMs: number;
  /** How long a run holds its lease without saying that it goes on. */
  readonly leaseMs: number;
  /** How old a payload's only row must be to be taken out of the table. */
  readonly movedAfterMs: number;
}

export const rowTimes: RowTimes = {
  restMs: arrivalMsMax + 10 * 60_000,
  graceMs: 3_600_000,
  graceMsMin: 35 * 60_000,
  arrivalMs: arrivalMsMax,
  orphanMs: 86_400_000,
  erasedLateMs: 2 * arrivalMsMax,
  // It is put within what a process may be held up for, and a commit rests on that.
  foundMs: 2 * knowledgeMsMax + signatureMs + 2 * skewMs,
  leaseMs: 120_000,
  movedAfterMs: 86_400_000,
};

invariant(rowTimes.restMs > arrivalMsMax, "what rests is there");
invariant(rowTimes.graceMsMin > arrivalMsMax, "nobody acts on what was so before the grace");
invariant(rowTimes.graceMsMin >= 2 * knowledgeMsMax, "a closed group is left alone for two lives");
invariant(rowTimes.erasedLateMs >= 2 * arrivalMsMax, "what was on its way when an erasure was seen is there");
invariant(rowTimes.orphanMs > 2 * arrivalMsMax, "no row will name what is old");
