import { invariant } from "../invariant.ts";
import type { RunSource } from "./build-run.ts";
import { several, type ChangeKind } from "./change.ts";
import type { ChangeTable } from "./change-table.ts";
import { partOf } from "./index-key.ts";

/** Keys of one overlay at most: a key's hash and its number share a double. */
const overlayKeysMax = 2 ** 20;
const keysBetweenStops = 2048;

/** The changes of an overlay as a source of a run. It takes a copy: the overlay may change, or be given up. */
export function overlaySource(overlay: ChangeTable): RunSource {
  const columns = overlay.columns();
  const { keys } = columns;
  invariant(keys <= overlayKeysMax, "an overlay is written before it has a million keys");
  const order = new Float64Array(keys);
  for (let i = 0; i < keys; i++) order[i] = (columns.key0[i]! >>> 0) * overlayKeysMax + i;
  order.sort();
  const place = (i: number) => order[i]! % overlayKeysMax;

  return {
    keys,
    windowBits: 32,
    *window(number, bits, into) {
      let i = 0;
      for (let end = keys; i < end;) {
        const middle = (i + end) >>> 1;
        if (partOf(columns.key0[place(middle)]!, bits) < number) i = middle + 1;
        else end = middle;
      }
      for (; i < keys; i++) {
        const at = place(i);
        if (partOf(columns.key0[at]!, bits) !== number) return;
        const kind = columns.kind[at] as ChangeKind;
        const value = columns.value[at]! >>> 0;
        into.apply(
          columns.key0[at]!,
          columns.key1[at]!,
          kind,
          value,
          kind === several ? columns.several[value] : undefined,
        );
        if (i % keysBetweenStops === 0) yield;
      }
    },
  };
}
