import type { Totals } from "../ports/offset-index.ts";
import type { SegmentDamage } from "../segment/scan.ts";
import type { IndexedSegment } from "./segment-table.ts";

/** What every saved index keeps besides its tables, as JSON. docs/format.md §8. */
export interface SavedState {
  readonly segments: readonly IndexedSegment[];
  readonly totals: readonly (readonly [string, Totals])[];
  readonly damage: readonly SegmentDamage[];
}

export type Fields = Readonly<Record<string, unknown>>;

export function isSavedState(value: unknown): value is SavedState {
  return (
    isFields(value) &&
    isList(value["segments"], isSegment) &&
    isList(value["totals"], (entry) => isPair(entry, "string") && isTotals(entry[1])) &&
    isList(value["damage"], isDamage)
  );
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

export function isList(value: unknown, isItem: (item: unknown) => boolean): value is readonly unknown[] {
  return Array.isArray(value) && value.every(isItem);
}

export function isPair(value: unknown, first: "string"): value is readonly [string, unknown] {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === first;
}

export function isWhole(value: unknown, min = 0, max: number = Number.MAX_SAFE_INTEGER): value is number {
  return Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max;
}

function isSegment(value: unknown): boolean {
  if (!isFields(value) || typeof value["tenant"] !== "string" || typeof value["name"] !== "string") return false;
  const covered = value["covered"];
  const covers = isFields(covered) && isWhole(covered["bytes"]) && isWhole(covered["frames"]);
  const { live, expiring, supersededMs, removed, torn } = value as Fields & Partial<IndexedSegment>;
  const weighs = isWhole(value["stored"]) && isList(live, (share) => isWhole(share)) && live.length === 3;
  const expires = expiring === undefined || isList(expiring, (by) => isList(by, isCount) && by.length === 3);
  const ends =
    (supersededMs === undefined || isWhole(supersededMs)) &&
    (removed === undefined || removed) &&
    (torn === undefined || torn);
  return isWhole(value["frames"]) && covers && typeof covered["sealed"] === "boolean" && weighs && expires && ends;
}

function isCount(value: unknown): boolean {
  return isWhole(value);
}

function isTotals(value: unknown): boolean {
  const counters = ["payloads", "rawBytes", "storedBytes", "none", "lz4", "zstd"];
  return isFields(value) && counters.every((name) => isWhole(value[name])) && typeof value["exact"] === "boolean";
}

function isDamage(value: unknown): boolean {
  return (
    isFields(value) &&
    ["tenant", "segment", "reason"].every((name) => typeof value[name] === "string") &&
    isWhole(value["start"]) &&
    isWhole(value["end"])
  );
}
