/** The columns of {@link PageTable}, as a checkpoint stores them. */
export interface PageColumns {
  /** Ordinal of the segment. */
  readonly segment: Int32Array;
  readonly offset: Float64Array;
  readonly headBytes: Int32Array;
  readonly sequence: Int32Array;
  /** Page of the same group before this one, plus 1; 0 for the first. */
  readonly previous: Int32Array;
}

/** Every committed page, in the order of its commit: 24 bytes each. */
export class PageTable {
  #columns: PageColumns = emptyColumns(64);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** @returns the new page's ordinal. */
  add(segment: number, offset: number, headBytes: number, sequence: number, previous: number): number {
    if (this.#count === this.#columns.segment.length) this.#grow();
    const page = this.#count++;
    this.#columns.segment[page] = segment;
    this.#columns.offset[page] = offset;
    this.#columns.headBytes[page] = headBytes;
    this.#columns.sequence[page] = sequence;
    this.#columns.previous[page] = previous;
    return page;
  }

  relocate(page: number, segment: number, offset: number, headBytes: number): void {
    this.#columns.segment[page] = segment;
    this.#columns.offset[page] = offset;
    this.#columns.headBytes[page] = headBytes;
  }

  segment(page: number): number {
    return this.#columns.segment[page]!;
  }

  offset(page: number): number {
    return this.#columns.offset[page]!;
  }

  headBytes(page: number): number {
    return this.#columns.headBytes[page]!;
  }

  sequence(page: number): number {
    return this.#columns.sequence[page]!;
  }

  /** The page before it in its group, or −1. */
  previous(page: number): number {
    return this.#columns.previous[page]! - 1;
  }

  /** The used part of each column, to be copied before the next change. */
  columns(): PageColumns {
    const { segment, offset, headBytes, sequence, previous } = this.#columns;
    const n = this.#count;
    return {
      segment: segment.subarray(0, n),
      offset: offset.subarray(0, n),
      headBytes: headBytes.subarray(0, n),
      sequence: sequence.subarray(0, n),
      previous: previous.subarray(0, n),
    };
  }

  restore(columns: PageColumns): void {
    this.#columns = columns;
    this.#count = columns.segment.length;
  }

  #grow(): void {
    const grown = emptyColumns(Math.max(64, Math.ceil(this.#columns.segment.length * 1.5)));
    grown.segment.set(this.#columns.segment);
    grown.offset.set(this.#columns.offset);
    grown.headBytes.set(this.#columns.headBytes);
    grown.sequence.set(this.#columns.sequence);
    grown.previous.set(this.#columns.previous);
    this.#columns = grown;
  }
}

function emptyColumns(capacity: number): PageColumns {
  return {
    segment: new Int32Array(capacity),
    offset: new Float64Array(capacity),
    headBytes: new Int32Array(capacity),
    sequence: new Int32Array(capacity),
    previous: new Int32Array(capacity),
  };
}
