import { emptyBytes } from "./bytes.ts";

/** Memory is taken, and what lies in it forgotten, in pieces of this length, in bytes; of a small cache, in halves. */
const pieceBytesMax = 1_048_576;

/** What an entry takes beside its bytes, in bytes: name, view, a slot of the map. An estimate, so that many small ones are bounded too. */
const entryOverheadBytes = 256;

export interface CachedBytes<Note> {
  readonly bytes: Uint8Array;
  readonly note: Note;
}

/**
 * Keeps bytes that never change by where they lie, up to a bound, and forgets what was put in longest ago.
 *
 * They lie in memory that is used again, so a read that misses leaves no garbage: one buffer a read made the collector
 * stop a random read in a hundred for 4 ms. So what is in the cache is valid until its next change: it has to be used
 * before anything else runs.
 */
export class ByteCache<Note> {
  readonly #bytesMax: () => number;
  readonly #pieceBytes: number;
  readonly #piecesMin: number;
  /** Longer entries would push out too much that is read more often; in bytes. */
  readonly #entryBytesMax: number;
  /** In a ring: behind the one that is being filled, the one that was filled longest ago. */
  readonly #pieces: { readonly memory: Uint8Array; readonly names: string[] }[] = [];
  #entries = new Map<string, CachedBytes<Note>>();
  /** Memory that was forgotten, to be overwritten, and what is used again. */
  readonly #forgotten: Uint8Array[] = [];
  readonly #spares: Uint8Array[] = [];
  #piece = -1;
  #used: number;

  /**
   * @param bytesMin  memory that it may take in any case, in bytes
   * @param bytesMax  bound of its memory as it is now, in bytes; {@link giveWay} is to be called when it has become less
   */
  constructor(bytesMin: number, bytesMax: () => number = () => bytesMin) {
    this.#bytesMax = bytesMax;
    this.#pieceBytes = Math.min(pieceBytesMax, Math.floor(bytesMin / 2));
    this.#piecesMin = Math.max(2, Math.floor(bytesMin / pieceBytesMax));
    this.#entryBytesMax = Math.floor(this.#pieceBytes / 4);
    this.#used = this.#pieceBytes;
  }

  get(name: string): CachedBytes<Note> | undefined {
    return this.#entries.get(name);
  }

  /** Memory for an entry of up to `bytes` bytes, not cleared; `undefined` where it is too long to be kept. */
  room(bytes: number): Uint8Array | undefined {
    if (bytes > this.#entryBytesMax) return undefined;
    if (this.#used + bytes > this.#pieceBytes) this.#turn();
    return this.#memory.subarray(this.#used, this.#used + bytes);
  }

  /** Keeps bytes that fill the beginning of the last {@link room}, or a copy of bytes that lie elsewhere. */
  keep(name: string, bytes: Uint8Array, note: Note): void {
    if (this.#entries.has(name)) return;
    let kept = bytes;
    if (bytes.buffer !== this.#memory.buffer || bytes.byteOffset !== this.#used) {
      const room = this.room(bytes.length);
      if (!room) return;
      room.set(bytes);
      kept = room;
    }
    this.#entries.set(name, { bytes: kept, note });
    this.#pieces[this.#piece]?.names.push(name);
    this.#used += bytes.length + entryOverheadBytes;
  }

  /**
   * Forgets everything at once, and overwrites it in the steps that are left to be taken, a piece of memory each: some 0.1 ms. What
   * is kept meanwhile lies elsewhere.
   */
  clear(): Iterator<void> {
    // A map that is emptied goes through all it held.
    this.#entries = new Map();
    this.#piece = -1;
    this.#used = this.#pieceBytes;
    for (const { memory } of this.#pieces.splice(0)) this.#forgotten.push(memory);
    return this.#overwriting();
  }

  get #memory(): Uint8Array {
    return this.#pieces[this.#piece]?.memory ?? emptyBytes;
  }

  /** Lets go of what its bound has no room for any more, from the oldest on, and overwrites it. */
  giveWay(): void {
    const piecesMax = this.#piecesMax;
    while (this.#pieces.length + this.#spares.length + this.#forgotten.length > piecesMax) {
      if (this.#overwrite() || this.#spares.length > 0) {
        this.#spares.pop();
        continue;
      }
      const at = (this.#piece + 1) % this.#pieces.length;
      const [oldest] = this.#pieces.splice(at, 1);
      this.#forget(oldest!.names);
      oldest!.memory.fill(0);
      if (at < this.#piece) this.#piece -= 1;
    }
  }

  get #piecesMax(): number {
    return Math.max(this.#piecesMin, Math.floor(this.#bytesMax() / this.#pieceBytes));
  }

  /** Goes on in a new piece while there is room for one, else in that which holds what was put in longest ago. */
  #turn(): void {
    this.#used = 0;
    this.#piece += 1;
    if (this.#pieces.length < this.#piecesMax) {
      this.#overwrite();
      const memory = this.#spares.pop() ?? new Uint8Array(this.#pieceBytes);
      this.#pieces.splice(this.#piece, 0, { memory, names: [] });
      return;
    }
    this.#piece %= this.#pieces.length;
    this.#forget(this.#pieces[this.#piece]!.names);
  }

  #forget(names: string[]): void {
    for (const name of names.splice(0)) this.#entries.delete(name);
  }

  *#overwriting(): Generator<void> {
    while (this.#overwrite()) yield;
  }

  /** Overwrites a piece that was forgotten, for the next use. @returns whether there was one */
  #overwrite(): boolean {
    const piece = this.#forgotten.pop();
    piece?.fill(0);
    if (piece) this.#spares.push(piece);
    return piece !== undefined;
  }
}
