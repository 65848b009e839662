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
  readonly #pieceBytes: number;
  /** Longer entries would push out too much that is read more often; in bytes. */
  readonly #entryBytesMax: number;
  readonly #pieces: { readonly memory: Uint8Array; readonly names: string[] }[] = [];
  readonly #piecesMax: number;
  readonly #entries = new Map<string, CachedBytes<Note> & { readonly piece: number }>();
  #piece = -1;
  #used: number;

  /** @param bytesMax  bound of its memory in bytes */
  constructor(bytesMax: number) {
    this.#pieceBytes = Math.min(pieceBytesMax, Math.floor(bytesMax / 2));
    this.#entryBytesMax = Math.floor(this.#pieceBytes / 4);
    this.#piecesMax = Math.max(2, Math.floor(bytesMax / pieceBytesMax));
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
    this.#entries.set(name, { bytes: kept, note, piece: this.#piece });
    this.#pieces[this.#piece]?.names.push(name);
    this.#used += bytes.length + entryOverheadBytes;
  }

  /** Forgets everything, and overwrites it. */
  clear(): void {
    this.#entries.clear();
    for (const { memory, names } of this.#pieces) {
      names.length = 0;
      memory.fill(0);
    }
    this.#piece = -1;
    this.#used = this.#pieceBytes;
  }

  get #memory(): Uint8Array {
    return this.#pieces[this.#piece]?.memory ?? emptyBytes;
  }

  /** Goes on in the next piece, which holds what was put in longest ago. */
  #turn(): void {
    this.#piece = (this.#piece + 1) % this.#piecesMax;
    this.#used = 0;
    const piece = this.#pieces[this.#piece];
    for (const name of piece?.names.splice(0) ?? []) this.#entries.delete(name);
    if (!piece) this.#pieces.push({ memory: new Uint8Array(this.#pieceBytes), names: [] });
  }
}
