import type { Hash128 } from "./key-hasher.ts";
import { WordTable } from "./word-table.ts";

/** Values of a term's slot. */
const newestEntry = 0; // ordinal + 1
const entriesOf = 1;

/** The columns of {@link TermTable}, as a checkpoint stores them. */
export interface TermColumns {
  /** Ordinal of the page. */
  readonly page: Int32Array;
  /** Entry of the same term before this one, plus 1; 0 for the first. */
  readonly previous: Int32Array;
}

/**
 * Attributes, by 64 bits of their hash → the pages that brought payloads with them, in the order of the commits.
 *
 * Memory: 8 bytes an attribute and page, and 16 a slot of an attribute. Nothing where payloads have none.
 */
export class TermTable {
  readonly table: WordTable = new WordTable(2, 2);
  #columns: TermColumns = { page: new Int32Array(0), previous: new Int32Array(0) };
  #count = 0;

  /** Attributes with their pages. */
  get count(): number {
    return this.#count;
  }

  /** A page is told once, and after all that are older. */
  add(term: Hash128, page: number): void {
    if (this.#count === this.#columns.page.length) this.#grow();
    const at = this.table.insert(term);
    const entry = this.#count++;
    this.#columns.page[entry] = page;
    this.#columns.previous[entry] = this.table.value(at, newestEntry);
    this.table.setValue(at, newestEntry, entry + 1);
    this.table.setValue(at, entriesOf, this.table.value(at, entriesOf) + 1);
  }

  /** How many pages a term has. */
  countOf(term: Hash128): number {
    const at = this.table.find(term);
    return at < 0 ? 0 : this.table.value(at, entriesOf);
  }

  /** The pages of a term from an ordinal on, oldest first. Cost: 5 ns each. */
  pagesFrom(term: Hash128, from: number): number[] {
    const at = this.table.find(term);
    const pages: number[] = [];
    let entry = at < 0 ? -1 : this.table.value(at, newestEntry) - 1;
    while (entry >= 0 && this.#columns.page[entry]! >= from) {
      pages.push(this.#columns.page[entry]!);
      entry = this.#columns.previous[entry]! - 1;
    }
    return pages.reverse();
  }

  /** The used part of each column, to be copied before the next change. */
  columns(): TermColumns {
    const { page, previous } = this.#columns;
    return { page: page.subarray(0, this.#count), previous: previous.subarray(0, this.#count) };
  }

  /**
   * @param pages  how many pages there are
   * @returns false when the words cannot be such a table; it is then not to be used
   */
  restore(columns: TermColumns, words: Int32Array, used: number, pages: number): boolean {
    const { page, previous } = columns;
    for (let entry = 0; entry < page.length; entry++) {
      const before = previous[entry]!;
      if (page[entry]! < 0 || page[entry]! >= pages || before < 0 || before > entry) return false;
    }
    if (!this.table.restore(words, used) || !this.table.firstValuesWithin(page.length)) return false;
    this.#columns = columns;
    this.#count = page.length;
    return true;
  }

  #grow(): void {
    const room = Math.max(64, Math.ceil(this.#count * 1.5));
    const grown = { page: new Int32Array(room), previous: new Int32Array(room) };
    grown.page.set(this.#columns.page);
    grown.previous.set(this.#columns.previous);
    this.#columns = grown;
  }
}
