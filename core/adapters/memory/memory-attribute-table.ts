import type { AttributeRowPage, AttributeTable } from "../../ports/attribute-table.ts";

/** Rows in memory. What a call does is done when it returns its promise: one call is one step. */
export class MemoryAttributeTable implements AttributeTable {
  readonly name = "memory";
  readonly #partitions = new Map<string, Map<bigint, Uint8Array>>();

  async put(partition: string, number: bigint, record: Uint8Array): Promise<void> {
    const rows = this.#partitions.get(partition) ?? new Map<bigint, Uint8Array>();
    rows.set(number, record.slice());
    this.#partitions.set(partition, rows);
  }

  async query(partition: string, from: bigint, rowsMax: number): Promise<AttributeRowPage> {
    const left = Array.from(this.#partitions.get(partition) ?? [], ([number, record]) => ({ number, record }))
      .filter(({ number }) => number >= from)
      .sort((a, b) => (a.number < b.number ? -1 : 1));
    const rows = left.slice(0, rowsMax);
    return { rows, next: rows.length < left.length ? rows.at(-1)!.number + 1n : undefined };
  }
}
