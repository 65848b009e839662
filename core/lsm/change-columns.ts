import type { Several } from "./change.ts";

/** Keys with their changes, column by column; the columns may be longer than there are keys. */
export interface ChangeColumns {
  readonly keys: number;
  readonly key0: Int32Array;
  readonly key1: Int32Array;
  readonly kind: Uint8Array;
  readonly value: Int32Array;
  /** What the value of kind `several` points to. */
  readonly several: (Several | undefined)[];
}

/**
 * Columns whose room is used again: merges go through millions of parts, and what each of them left behind would wait
 * for the collector outside the heap, where nothing presses it to come.
 */
export class ColumnSpace implements ChangeColumns {
  keys = 0;
  key0: Int32Array = new Int32Array(0);
  key1: Int32Array = new Int32Array(0);
  kind: Uint8Array = new Uint8Array(0);
  value: Int32Array = new Int32Array(0);
  several: (Several | undefined)[] = [];

  /** Makes room for so many keys. What was there is to be written over. */
  reset(keys: number, several: (Several | undefined)[]): void {
    this.keys = keys;
    this.several = several;
    if (keys <= this.key0.length) return;
    const room = Math.ceil(keys * 1.25);
    this.key0 = new Int32Array(room);
    this.key1 = new Int32Array(room);
    this.kind = new Uint8Array(room);
    this.value = new Int32Array(room);
  }
}
