/** What a row is found by. */
export interface RowKey {
  /** Rows of one partition are read together, in order of their numbers. */
  readonly partition: string;
  readonly number: number;
}

export interface StoredRow {
  readonly number: number;
  /** `undefined` where something put a row without one. */
  readonly record: Uint8Array | undefined;
}

export interface ScannedRow extends StoredRow {
  readonly partition: string;
}

/**
 * What must be so for a write to take effect: no row has the key, or the row that has it holds exactly this record. The
 * check and the write are one step, whoever else writes.
 */
export type RowCondition = "free" | { readonly holds: Uint8Array };

/** When the request that was answered was signed: milliseconds since 1970, minutes from the server's own time at most. */
export interface SignedAnswer {
  readonly signedMs: number;
}

export type RowOutcome = SignedAnswer &
  (
    | { readonly kind: "done" }
    /** The condition did not hold; `there` is the row that had the key, if one had. It may be what an earlier try wrote. */
    | { readonly kind: "refused"; readonly there: StoredRow | undefined }
  );

export interface RowPage extends SignedAnswer {
  /** In order of their numbers. */
  readonly rows: readonly StoredRow[];
}

/**
 * A table of small records, of which any number of processes change single rows on conditions. A write that was answered is
 * seen by every read that begins afterwards, from any process; reads of several pages are no snapshot.
 *
 * Every call may be tried several times before it is answered. Each try of a write is refused unsent when it is signed later
 * than {@link knowledgeMsMax} (`core/rows/knowledge.ts`) after `restsOnMs`, which is when what it rests on was known: the date
 * of another signature, or `Infinity` where it rests on nothing. A try that is on its way may still arrive after the call
 * failed, minutes after it was signed.
 *
 * Every method throws {@link PayloadStoreError} `UNAVAILABLE`; of a write the outcome is unknown then.
 */
export interface RowTable {
  /** For messages. */
  readonly name: string;

  /** Puts a row in the place of what the condition names. Cost: one write, also when it is refused. */
  put(key: RowKey, record: Uint8Array, condition: RowCondition, restsOnMs: number): Promise<RowOutcome>;

  /** Removes the row that holds exactly this record. Cost: one write, also when it is refused. */
  remove(key: RowKey, record: Uint8Array, restsOnMs: number): Promise<RowOutcome>;

  /** Cost: one read. */
  get(key: RowKey): Promise<SignedAnswer & { readonly row: StoredRow | undefined }>;

  /** A partition's row with the greatest number. Cost: one read. */
  last(partition: string): Promise<SignedAnswer & { readonly row: StoredRow | undefined }>;

  /**
   * The rows of a partition, page by page; at least one page, which may be empty.
   * @param from  the least number asked for
   * Cost: one read a page, of as many units as it has 4 KB.
   */
  query(partition: string, from?: number): AsyncIterable<RowPage>;

  /**
   * Every row whose partition begins with `prefix`. Rows of one partition come together, in order of their numbers. Cost:
   * reads the whole table.
   *
   * @param after  goes on behind this row of an earlier scan, which need not be there any more
   */
  scan(prefix?: string, after?: RowKey): AsyncIterable<ScannedRow>;
}
