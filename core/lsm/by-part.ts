import type { RunBuild } from "./build-run.ts";
import { changeOf, clears, noChange, only, several, severalOf, type ChangeKind, type Several } from "./change.ts";
import type { ChangeColumns } from "./change-table.ts";
import { partOf } from "./index-key.ts";

const keysBetweenStops = 8192;

/** The kept keys of a window, part after part, with where the parts end. It stops every so many keys. */
export function* byPart(
  from: ChangeColumns,
  partBits: number,
  windowBits: number,
  { bottom, keeps }: Pick<RunBuild, "bottom" | "keeps">,
): Generator<void, { readonly columns: ChangeColumns; readonly ends: Int32Array }> {
  const parts = 2 ** (partBits - windowBits);
  const columns = {
    keys: from.keys,
    key0: new Int32Array(from.keys),
    key1: new Int32Array(from.keys),
    kind: new Uint8Array(from.keys),
    value: new Int32Array(from.keys),
    several: [...from.several],
  };
  const partIn = (key0: number) => partOf(key0, partBits) & (parts - 1);
  const ends = new Int32Array(parts + 1);
  for (let i = 0; i < from.keys; i++) {
    if (i % keysBetweenStops === keysBetweenStops - 1) yield;
    if (bottom) settle(from, columns.several, i);
    if (from.kind[i] === noChange) continue;
    if (keeps && !keeps(from.key0[i]!, from.key1[i]!)) from.kind[i] = noChange;
    else ends[partIn(from.key0[i]!) + 1] = ends[partIn(from.key0[i]!) + 1]! + 1;
  }
  for (let part = 0; part < parts; part++) ends[part + 1] = ends[part + 1]! + ends[part]!;
  const next = ends.slice();
  for (let i = 0; i < from.keys; i++) {
    if (i % keysBetweenStops === keysBetweenStops - 1) yield;
    if (from.kind[i] === noChange) continue;
    const part = partIn(from.key0[i]!);
    const to = next[part]!;
    next[part] = to + 1;
    columns.key0[to] = from.key0[i]!;
    columns.key1[to] = from.key1[i]!;
    columns.kind[to] = from.kind[i]!;
    columns.value[to] = from.value[i]!;
  }
  return { columns, ends };
}

/** What a change comes to where nothing is older: the set itself, or nothing. */
function settle(columns: ChangeColumns, lists: (Several | undefined)[], i: number): void {
  const kind = columns.kind[i] as ChangeKind;
  if (kind === only) return;
  const value = columns.value[i]!;
  const whole = kind === several ? lists[value] : undefined;
  const settled = changeOf({ drops: true, adds: severalOf(kind, value, whole).adds, removes: [] });
  columns.kind[i] = settled.kind === clears ? noChange : settled.kind;
  if (settled.kind === several) lists[value] = settled.several;
  else columns.value[i] = settled.value;
}
