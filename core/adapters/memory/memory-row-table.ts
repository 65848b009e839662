import { bytesEqual } from "../../bytes.ts";
import type { Clock } from "../../ports/clock.ts";
import type {
  RowCondition,
  RowKey,
  RowOutcome,
  RowPage,
  RowTable,
  ScannedRow,
  SignedAnswer,
  StoredRow,
} from "../../ports/row-table.ts";
import { refuseHeldUp } from "../../rows/knowledge.ts";

type KeptRow = StoredRow & { readonly record: Uint8Array };

export interface MemoryRowTableOptions {
  readonly clock: Clock;
  /** Rows of one page of a query; all of them by default. */
  readonly pageRowsMax?: number | undefined;
}

/** Rows in memory. What a call does is done when it returns its promise: one call is one step. */
export class MemoryRowTable implements RowTable {
  readonly name = "memory";
  readonly #clock: Clock;
  readonly pageRowsMax: number;
  /** Rows in order of their numbers. */
  readonly #partitions = new Map<string, Map<number, KeptRow>>();

  constructor({ clock, pageRowsMax = Infinity }: MemoryRowTableOptions) {
    this.#clock = clock;
    this.pageRowsMax = pageRowsMax;
  }

  async put(key: RowKey, record: Uint8Array, condition: RowCondition, restsOnMs: number): Promise<RowOutcome> {
    const signedMs = this.#clock.nowMs();
    refuseHeldUp(restsOnMs, signedMs);
    const there = this.#row(key);
    const holds = condition === "free" ? !there : there && bytesEqual(there.record, condition.holds);
    if (!holds) return { kind: "refused", signedMs, there };
    const rows = this.#partitions.get(key.partition) ?? new Map<number, KeptRow>();
    const isLast = key.number > (this.#last(key.partition)?.number ?? -Infinity);
    rows.set(key.number, { number: key.number, record: record.slice() });
    const ordered = isLast || there ? rows : new Map([...rows].sort(([a], [b]) => a - b));
    this.#partitions.set(key.partition, ordered);
    return { kind: "done", signedMs };
  }

  async remove(key: RowKey, record: Uint8Array, restsOnMs: number): Promise<RowOutcome> {
    const signedMs = this.#clock.nowMs();
    refuseHeldUp(restsOnMs, signedMs);
    const there = this.#row(key);
    if (!there || !bytesEqual(there.record, record)) return { kind: "refused", signedMs, there };
    const rows = this.#partitions.get(key.partition);
    rows?.delete(key.number);
    if (rows?.size === 0) this.#partitions.delete(key.partition);
    return { kind: "done", signedMs };
  }

  async get(key: RowKey): Promise<SignedAnswer & { readonly row: StoredRow | undefined }> {
    return { row: this.#row(key), signedMs: this.#clock.nowMs() };
  }

  async last(partition: string): Promise<SignedAnswer & { readonly row: StoredRow | undefined }> {
    return { row: this.#last(partition), signedMs: this.#clock.nowMs() };
  }

  async *query(partition: string, from: number = -Infinity): AsyncGenerator<RowPage> {
    for (let start = from; ;) {
      const all = this.#rows(partition);
      const left = start === -Infinity ? all : all.filter(({ number }) => number >= start);
      const rows = left.slice(0, this.pageRowsMax);
      yield { rows, signedMs: this.#clock.nowMs() };
      if (rows.length === left.length) return;
      start = rows.at(-1)!.number + 1;
    }
  }

  async *scan(prefix: string = "", after?: RowKey): AsyncGenerator<ScannedRow> {
    const partitions = [...this.#partitions.keys()];
    // Where the partition is gone, all are met again.
    const from = after ? Math.max(0, partitions.indexOf(after.partition)) : 0;
    for (const partition of partitions.slice(from)) {
      if (!partition.startsWith(prefix)) continue;
      for (const row of this.#rows(partition)) {
        if (after?.partition !== partition || row.number > after.number) yield { partition, ...row };
      }
    }
  }

  #row({ partition, number }: RowKey): KeptRow | undefined {
    return this.#partitions.get(partition)?.get(number);
  }

  #rows(partition: string): readonly KeptRow[] {
    return [...(this.#partitions.get(partition)?.values() ?? [])];
  }

  #last(partition: string): KeptRow | undefined {
    return this.#rows(partition).at(-1);
  }
}
