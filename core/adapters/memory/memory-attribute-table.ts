import type { AttributeRowPage, AttributeTable } from "../../ports/attribute-table.ts";
import type { SignedAnswer } from "../../ports/row-table.ts";

interface Kept {
  readonly record: Uint8Array;
  readonly putMs: number;
}

/** Rows in memory. What a call does is done when it returns its promise: one call is one step. */
export class MemoryAttributeTable implements AttributeTable {
  readonly name = "memory";
  readonly #partitions = new Map<string, Map<bigint, Kept>>();

  async put(partition: string, number: bigint, record: Uint8Array, putMs: number): Promise<SignedAnswer> {
    const rows = this.#partitions.get(partition) ?? new Map<bigint, Kept>();
    rows.set(number, { record: record.slice(), putMs });
    this.#partitions.set(partition, rows);
    return { signedMs: putMs };
  }

  async removePutBefore(partition: string, number: bigint, beforeMs: number): Promise<void> {
    const rows = this.#partitions.get(partition);
    const kept = rows?.get(number);
    if (kept && kept.putMs < beforeMs) rows?.delete(number);
    if (rows?.size === 0) this.#partitions.delete(partition);
  }

  /** How many rows there are. */
  get size(): number {
    return Array.from(this.#partitions.values()).reduce((sum, rows) => sum + rows.size, 0);
  }

  async query(partition: string, from: bigint, rowsMax: number): Promise<AttributeRowPage> {
    const left = Array.from(this.#partitions.get(partition) ?? [], ([number, { record }]) => ({ number, record }))
      .filter(({ number }) => number >= from)
      .sort((a, b) => (a.number < b.number ? -1 : 1));
    const rows = left.slice(0, rowsMax);
    return { rows, next: rows.length < left.length ? rows.at(-1)!.number + 1n : undefined };
  }
}
