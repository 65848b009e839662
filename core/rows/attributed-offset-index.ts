import type { Page } from "../page/page.ts";
import type { Term } from "../page/terms.ts";
import type { Basis, Candidate, CommitOutcome, PageRecord } from "../ports/offset-index.ts";
import type { TermRows } from "../ports/term-rows.ts";
import type { AttributeRows } from "./attribute-rows.ts";
import { RowOffsetIndex, type RowOffsetIndexOptions } from "./row-offset-index.ts";

export interface AttributedOffsetIndexOptions extends RowOffsetIndexOptions {
  readonly attributes: AttributeRows;
}

/**
 * Pages as rows of a table, and the groups that have had an attribute as rows of another.
 *
 * Cost: as {@link RowOffsetIndex}, and one write for each indexed attribute that is new in its group.
 */
export class AttributedOffsetIndex extends RowOffsetIndex {
  readonly #attributes: AttributeRows;
  /** The rows that pages on their way need of their attributes: when they were put. */
  readonly #prepared = new WeakMap<Page, Promise<number>>();

  constructor({ attributes, ...options }: AttributedOffsetIndexOptions) {
    super(options);
    this.#attributes = attributes;
  }

  /** A page that is committed is found; one that is not leaves rows that nobody minds. */
  override async commit(record: PageRecord, page: Page, basis?: Basis): Promise<CommitOutcome> {
    const { tenant, group } = record;
    const putMs = await (this.#prepared.get(page) ?? this.#attributes.put(tenant, group, page));
    try {
      return await super.commit(record, page, basis, putMs);
    } catch (error) {
      this.#prepared.delete(page);
      this.#attributes.doubt(tenant, group, page);
      throw error;
    }
  }

  /** The rows by which groups are found. */
  get terms(): TermRows {
    return this.#attributes;
  }

  /** Puts the rows of its attributes while its segment is put. */
  prepare(tenant: string, group: string, page: Page): void {
    const putting = this.#attributes.put(tenant, group, page);
    putting.catch(() => {});
    this.#prepared.set(page, putting);
  }

  candidates(tenant: string, terms: readonly Term[], from?: string): AsyncIterable<Candidate> {
    return this.#attributes.candidates(tenant, terms, from);
  }
}
