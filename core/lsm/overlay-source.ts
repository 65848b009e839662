import type { RunSource } from "./build-run.ts";
import { several, type ChangeKind } from "./change.ts";
import { ColumnSpace } from "./change-columns.ts";
import type { ChangeTable } from "./change-table.ts";
import { keysPerStep } from "./index-bounds.ts";
import { partOf } from "./index-key.ts";

/**
 * The changes of an overlay as a source of a run. They are copied, and sorted by the first bits of their hash, when the first
 * window is asked for: until then the overlay must not change.
 *
 * Memory: 17 bytes a key.
 */
export function overlaySource(overlay: ChangeTable): RunSource {
  return new OverlaySource(overlay);
}

/** By so many bits at most: some keys of an overlay a bucket. */
const bucketBitsMax = 14;

class OverlaySource implements RunSource {
  /** At most. */
  readonly keys: number;
  readonly #overlay: ChangeTable;
  readonly #columns = new ColumnSpace();
  readonly #bucketBits: number;
  #sorted: { readonly starts: Int32Array; readonly order: Int32Array } | undefined;

  constructor(overlay: ChangeTable) {
    this.#overlay = overlay;
    this.keys = overlay.size;
    this.#bucketBits = Math.min(bucketBitsMax, Math.ceil(Math.log2(this.keys + 1)));
  }

  *window(number: number, bits: number, into: ChangeTable): Generator<void, void> {
    this.#sorted ??= yield* this.#sort();
    const { starts } = this.#sorted;
    const finer = bits - this.#bucketBits;
    const first = finer > 0 ? number >>> finer : number << -finer;
    const last = finer > 0 ? first + 1 : (number + 1) << -finer;
    for (let from = starts[first]!, end = starts[last]!; from < end; from += keysPerStep) {
      this.#apply(this.#sorted.order, from, Math.min(end, from + keysPerStep), number, bits, into);
      yield;
    }
  }

  /** Counts the keys of each bucket, and places them. */
  *#sort(): Generator<void, { readonly starts: Int32Array; readonly order: Int32Array }> {
    yield* this.#overlay.gather(this.#columns);
    const { keys } = this.#columns;
    const starts = new Int32Array(2 ** this.#bucketBits + 2);
    for (let from = 0; from < keys; from += keysPerStep) {
      this.#count(from, Math.min(keys, from + keysPerStep), starts);
      yield;
    }
    for (let bucket = 2; bucket < starts.length; bucket++) starts[bucket] = starts[bucket]! + starts[bucket - 1]!;
    const order = new Int32Array(keys);
    for (let from = 0; from < keys; from += keysPerStep) {
      this.#place(from, Math.min(keys, from + keysPerStep), starts, order);
      yield;
    }
    return { starts, order };
  }

  /** Counted two places behind, so that placing them moves each start to where it belongs. */
  #count(from: number, to: number, starts: Int32Array): void {
    const { key0 } = this.#columns;
    for (let i = from; i < to; i++) {
      const at = partOf(key0[i]!, this.#bucketBits) + 2;
      starts[at] = starts[at]! + 1;
    }
  }

  #place(from: number, to: number, starts: Int32Array, order: Int32Array): void {
    const { key0 } = this.#columns;
    for (let i = from; i < to; i++) {
      const at = partOf(key0[i]!, this.#bucketBits) + 1;
      order[starts[at]!] = i;
      starts[at] = starts[at]! + 1;
    }
  }

  #apply(order: Int32Array, from: number, to: number, number: number, bits: number, into: ChangeTable): void {
    const { key0, key1, kind: kinds, value: values, several: lists } = this.#columns;
    for (let i = from; i < to; i++) {
      const at = order[i]!;
      if (partOf(key0[at]!, bits) !== number) continue;
      const kind = kinds[at] as ChangeKind;
      const value = values[at]! >>> 0;
      into.apply(key0[at]!, key1[at]!, kind, value, kind === several ? lists[value] : undefined);
    }
  }
}
