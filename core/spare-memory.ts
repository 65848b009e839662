/**
 * Memory of one length that is used again. One buffer for each use costs more than its bytes: what lies outside the heap brings the
 * collector on every 64 MiB, and that stops the thread for some 10 ms.
 */
export class SpareMemory {
  readonly #pieceBytes: number;
  readonly #piecesMax: number;
  readonly #pieces: Uint8Array[] = [];

  /**
   * @param pieceBytes  length of a piece, in bytes
   * @param piecesMax  how many are kept while nobody uses them
   */
  constructor(pieceBytes: number, piecesMax: number) {
    this.#pieceBytes = pieceBytes;
    this.#piecesMax = piecesMax;
  }

  get pieceBytes(): number {
    return this.#pieceBytes;
  }

  /** A piece that nobody else uses, not cleared. Whoever does not {@link give} it back leaves it to the collector. */
  take(): Uint8Array {
    return this.#pieces.pop() ?? new Uint8Array(this.#pieceBytes);
  }

  /** Gives a piece back: nothing may look at what lies in it from now on. */
  give(piece: Uint8Array): void {
    if (this.#pieces.length < this.#piecesMax) this.#pieces.push(piece);
  }

  /** Lets go of what nobody uses, and overwrites it. */
  forget(): void {
    for (const piece of this.#pieces.splice(0)) piece.fill(0);
  }
}

/** Bytes that are laid one behind the other into spare memory, for as long as somebody needs them all. */
export class SpareBytes {
  readonly #spares: SpareMemory;
  readonly #pieces: Uint8Array[] = [];
  #used: number;

  constructor(spares: SpareMemory) {
    this.#spares = spares;
    this.#used = spares.pieceBytes;
  }

  /** A copy of them; in memory of its own where they are long, so that little of a piece is left empty. */
  copy(bytes: Uint8Array): Uint8Array {
    if (bytes.length > this.#spares.pieceBytes / 4) return new Uint8Array(bytes);
    if (this.#used + bytes.length > this.#spares.pieceBytes) {
      this.#pieces.push(this.#spares.take());
      this.#used = 0;
    }
    const copy = this.#pieces.at(-1)!.subarray(this.#used, this.#used + bytes.length);
    copy.set(bytes);
    this.#used += bytes.length;
    return copy;
  }

  /** Whether bytes lie in what is given back. */
  holds({ buffer }: Uint8Array): boolean {
    return this.#pieces.some((piece) => piece.buffer === buffer);
  }

  /** Gives back the memory of all copies. */
  giveBack(): void {
    for (const piece of this.#pieces.splice(0)) this.#spares.give(piece);
    this.#used = this.#spares.pieceBytes;
  }
}
