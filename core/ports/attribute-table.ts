import type { SignedAnswer } from "./row-table.ts";

/** A row of a partition, by a number below 2^120. */
export interface AttributeRow {
  readonly number: bigint;
  /** `undefined` where something put a row without one. */
  readonly record: Uint8Array | undefined;
}

/** Some rows of a partition, in order of their numbers. */
export interface AttributeRowPage {
  readonly rows: readonly AttributeRow[];
  /** The least number that further rows may have; `undefined` where there are none. */
  readonly next: bigint | undefined;
}

/**
 * A table of rows that are put whatever is there: what payloads are found by. A put that was answered is seen by
 * every query that begins afterwards, from any process. One that failed may still arrive, minutes later.
 *
 * Every method throws {@link PayloadStoreError} `UNAVAILABLE`; of a put the outcome is unknown then.
 */
export interface AttributeTable {
  /** For messages. */
  readonly name: string;

  /**
   * Puts a row, with the time at which that began. Each try is refused unsent when it is signed later than {@link knowledgeMsMax}
   * (`core/rows/knowledge.ts`) after it. Cost: one write.
   */
  put(partition: string, number: bigint, record: Uint8Array, putMs: number): Promise<SignedAnswer>;

  /** Removes a row that was put before a time, and not again since, in one step. Cost: one write, also where there is none. */
  removePutBefore(partition: string, number: bigint, beforeMs: number): Promise<void>;

  /**
   * The rows of a partition with that number and greater ones, at most so many.
   * Cost: one read, of as many units as they have 4 KB.
   */
  query(partition: string, from: bigint, rowsMax: number): Promise<AttributeRowPage>;
}
