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
