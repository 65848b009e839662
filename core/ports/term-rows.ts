import type { Term } from "../page/terms.ts";

/**
 * Rows by which groups are found by their payloads' attributes: for each attribute and value the groups that have had payloads
 * with it. A row is there before the page that needs it, and a commit rests on when it was put.
 */
export interface TermRows {
  /** The attributes that have rows. */
  readonly indexed: ReadonlySet<string>;

  /**
   * Removes the rows of attributes that no payload of a group has any more, but for those that were put again since.
   *
   * @param putBeforeMs  rows that were put later are kept: a commit that needs them may be on its way
   * Cost: a write for each. @throws {PayloadStoreError} `UNAVAILABLE`
   */
  forget(tenant: string, group: string, terms: readonly Term[], putBeforeMs: number): Promise<void>;
}
