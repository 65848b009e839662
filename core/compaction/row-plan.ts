import { movePays } from "../placement.ts";
import { type CountingRow, type GroupRows, madeMs, Mentions } from "../rows/group-rows.ts";
import type { ReadRow } from "../rows/group-pages.ts";
import type { PageHashes } from "../rows/row.ts";
import { limits } from "../limits.ts";
import { mergedBytesMax } from "./merge-group.ts";
import { planRules } from "./plan.ts";
import type { RowTimes } from "./row-times.ts";

/** Rows of a group that are written again as one, by their places among those that count. */
export interface RowRun {
  readonly from: number;
  readonly to: number;
  /**
   * `must`: something in it has to go, or its segment has; `garbage`: much of it is dead; `rows`: a group is read by all its
   * rows; `moved`: it is cheaper kept in a segment.
   */
  readonly reason: "must" | "garbage" | "rows" | "moved";
}

/** What is to be done about a group. */
export interface GroupPlan {
  /** Rows that nobody needs any more. */
  readonly sweep: readonly ReadRow[];
  readonly runs: readonly RowRun[];
  /** The closed row of a group that is to be gone. */
  readonly remove?: ReadRow | undefined;
}

export interface RowPlanOptions {
  readonly nowMs: number;
  /** By when something has to have expired to be dead, milliseconds since 1970; `nowMs` by default. */
  readonly expiredMs?: number | undefined;
  readonly times: RowTimes;
  readonly graceMs: number;
  /** Rows that were made up to then must go where anything that they bring is dead, also what was overwritten. */
  readonly erasedMs?: number | undefined;
  /** Whether payloads must be written again that lie in a segment. */
  readonly mustMove?: ((segment: string) => boolean) | undefined;
}

/** What one row costs to read, at least, in the weighing of sizes: a read unit. */
const rowBytesLeast = 4096;

/** A row that has as many bytes, or payloads, as half a merged page is not joined with others for their number alone. */
const fullBytes = mergedBytesMax / 2;
const fullPayloads = limits.commitPayloadsMax / 2;

/**
 * What pays for a group, from its rows alone. A pure function.
 *
 * Rows are joined from the newest back, as long as the next is at most twice as long as all behind it: so a payload is written
 * again as often as the group doubles, and a group of n rows is left with log n.
 */
export function planRows({ counting, covered, hasGap }: GroupRows, options: RowPlanOptions): GroupPlan {
  const { nowMs, expiredMs = nowMs, times, graceMs } = options;
  const settledMs = nowMs - times.arrivalMs - graceMs;
  const isSettled = (row: ReadRow) => madeMs(row) <= settledMs;
  const sweep = sweepable(counting, covered, isSettled);
  if (hasGap) return { sweep: [], runs: [] };
  const [only] = counting;
  if (counting.length === 1 && covered.length === 0 && only?.row.ok && only.row.value.covers?.closed) {
    return { sweep, runs: [], remove: isSettled(only) ? only : undefined };
  }
  const mentions = new Mentions(counting);
  const facts = counting.map((row, index) => factsOf(row, index, mentions, expiredMs));
  const isEmpty = facts.every(({ alive }) => alive === 0);
  const unswept = covered.filter((row) => !sweep.includes(row)).map(({ sequence }) => sequence);
  const mayGo = counting.map((row, i) => {
    const { isUpload, alive } = facts[i]!;
    if (typeof row.says === "string" || !row.row.ok) return false;
    const { covers, place } = row.row.value;
    // The page of an upload gains nothing by moving; but others may have to leave its segment.
    if (isUpload && alive > 0 && options.mustMove?.(place.segment) !== true) return false;
    if (!covers) return madeMs(row) <= nowMs - times.restMs;
    // What it stands for is swept first: graces are counted by row, and one that is made anew again and again never ends.
    return isSettled(row) && !unswept.some((sequence) => sequence > row.sequence && sequence <= covers.upTo);
  });
  const must = counting.map((row, i) => {
    if (!row.row.ok) return false;
    const { isErased, isIdle, alive, payloads } = facts[i]!;
    const holdsErased = alive < payloads && madeMs(row) <= (options.erasedMs ?? -Infinity);
    return isErased || isIdle || isEmpty || holdsErased || options.mustMove?.(row.row.value.place.segment) === true;
  });
  const runs: RowRun[] = [];
  for (const [from, to] of stretches(mayGo)) {
    const run = runOf(facts, must, from, to);
    if (run) runs.push(run);
  }
  if (runs.length === 0 && only && counting.length === 1 && mayGo[0] && isDear(only, nowMs - times.movedAfterMs)) {
    runs.push({ from: 0, to: 0, reason: "moved" });
  }
  return { sweep, runs };
}

interface Facts {
  readonly bytes: number;
  /** Payloads, and how many of them are alive. */
  readonly payloads: number;
  readonly alive: number;
  /** It brings something that was deleted since. */
  readonly isErased: boolean;
  readonly hides: boolean;
  /** It hides something that is not there any more. */
  readonly isIdle: boolean;
  readonly isFull: boolean;
  readonly isUpload: boolean;
}

function factsOf({ row, says, record }: CountingRow, index: number, mentions: Mentions, expiredMs: number): Facts {
  if (typeof says === "string" || !row.ok) {
    const unknown = { isErased: false, hides: false, isIdle: false, isFull: false, isUpload: false };
    return { bytes: 0, payloads: 0, alive: 1, ...unknown };
  }
  const { place, bodyBytes, covers } = row.value;
  const { entries, deleted } = says;
  const bytes = place.inline ? record.length : place.headBytes + bodyBytes;
  return {
    bytes,
    payloads: entries.length,
    alive: hasExpired(says, expiredMs) ? 0 : entries.filter((hash) => mentions.isAlive(hash, index)).length,
    isErased: mentions.newestClear > index || entries.some((hash) => mentions.isErased(hash, index)),
    hides: says.clearsGroup || deleted.length > 0,
    isIdle: (says.clearsGroup && index === 0) || deleted.some((hash) => !mentions.hasBefore(hash, index)),
    isFull: (covers?.rawBytes ?? bytes) >= fullBytes || entries.length >= fullPayloads,
    // Blocks of an upload are not counted as the frame's; other frames without blocks are so short that rows keep them.
    isUpload: entries.length > 0 && bodyBytes === 0 && place.inline !== true,
  };
}

/** Whether all that a page brings has expired. */
export function hasExpired({ expiredMs = Infinity }: PageHashes, nowMs: number): boolean {
  return expiredMs <= nowMs;
}

/** The first and last of each row of neighbours that may go. */
function* stretches(mayGo: readonly boolean[]): Generator<[number, number]> {
  let from = -1;
  for (const [i, may] of [...mayGo, false].entries()) {
    if (may && from < 0) from = i;
    if (!may && from >= 0) {
      yield [from, i - 1];
      from = -1;
    }
  }
}

function runOf(facts: readonly Facts[], must: readonly boolean[], from: number, to: number): RowRun | undefined {
  const first = must.indexOf(true, from);
  if (first >= 0 && first <= to) {
    // With what hides it, which is not needed any more then.
    let last = first;
    for (let i = first; i <= to; i++) if (must[i] || facts[i]!.hides) last = i;
    return { from: first, to: last, reason: "must" };
  }
  const all = facts.slice(from, to + 1);
  const bytes = sum(all, (row) => row.bytes);
  const dead = sum(all, (row) => (row.payloads === 0 ? row.bytes : row.bytes * (1 - row.alive / row.payloads)));
  if (dead > planRules.deadShareMin * bytes) return { from, to, reason: "garbage" };
  let start = to;
  let joined = Math.max(rowBytesLeast, facts[to]!.bytes);
  while (start > from && !facts[start]!.isFull) {
    const before = facts[start - 1]!;
    const next = Math.max(rowBytesLeast, before.bytes);
    if (before.isFull || next > 2 * joined) break;
    joined += next;
    start -= 1;
  }
  return start < to ? { from: start, to, reason: "rows" } : undefined;
}

/** Covered rows whose grace is over. */
function sweepable(
  counting: readonly CountingRow[],
  covered: readonly ReadRow[],
  isSettled: (row: ReadRow) => boolean,
): readonly ReadRow[] {
  const over = counting.flatMap((row) =>
    row.row.ok && row.row.value.covers && isSettled(row) ? [{ from: row.sequence, to: row.row.value.covers.upTo }] : [],
  );
  return covered.filter(({ sequence }) => over.some(({ from, to }) => sequence > from && sequence <= to));
}

/** Whether a payload's only row is cheaper in a segment. */
function isDear(row: CountingRow, madeBeforeMs: number): boolean {
  const { row: read, record } = row;
  return (
    read.ok && read.value.place.inline === true && madeMs(row) <= madeBeforeMs && movePays(record.length, movedTogether)
  );
}

/** Rows that are taken out of the table share a PUT, about so many. */
const movedTogether = 64;

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
