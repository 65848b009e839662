import type { RunBuild } from "./build-run.ts";
import { changeOf, clears, noChange, only, several, severalOf, type ChangeKind } from "./change.ts";
import type { ColumnSpace } from "./change-columns.ts";
import { keysPerStep } from "./index-bounds.ts";

/** Leaves those changes in the columns, side by side, that a run shall have. It stops after each step. */
export function* keepChanges(
  columns: ColumnSpace,
  { bottom, keeps }: Pick<RunBuild, "bottom" | "keeps">,
): Generator<void, void> {
  // The lists are those of a table, which others may go on to use.
  if (bottom) columns.several = [...columns.several];
  const { keys } = columns;
  let kept = 0;
  for (let from = 0; from < keys; from += keysPerStep) {
    kept = keepSome(columns, from, Math.min(keys, from + keysPerStep), kept, bottom, keeps);
    yield;
  }
  columns.keys = kept;
}

/** @returns the place behind those that are kept */
function keepSome(
  columns: ColumnSpace,
  from: number,
  to: number,
  kept: number,
  bottom: boolean,
  keeps: RunBuild["keeps"],
): number {
  const { key0, key1, kind: kinds, value } = columns;
  let place = kept;
  for (let i = from; i < to; i++) {
    if (bottom) settle(columns, i);
    const kind = kinds[i]!;
    if (kind === noChange || keeps?.(key0[i]!, key1[i]!) === false) continue;
    key0[place] = key0[i]!;
    key1[place] = key1[i]!;
    kinds[place] = kind;
    value[place++] = value[i]!;
  }
  return place;
}

/** What a change comes to where nothing is older: the set itself, or nothing. */
function settle(columns: ColumnSpace, i: number): void {
  const kind = columns.kind[i] as ChangeKind;
  if (kind === only) return;
  const value = columns.value[i]!;
  const whole = kind === several ? columns.several[value] : undefined;
  const settled = changeOf({ drops: true, adds: severalOf(kind, value, whole).adds, removes: [] });
  columns.kind[i] = settled.kind === clears ? noChange : settled.kind;
  if (settled.kind === several) columns.several[value] = settled.several;
  else columns.value[i] = settled.value;
}
