import { LRUCache } from "lru-cache";
import { emptyBytes } from "../../bytes.ts";
import { PageDirectory } from "../../page/page-directory.ts";
import type { FrameHead, HeadCache } from "../../segment/read-frame.ts";

/** What a head takes beside its memory, in bytes: name, objects, its place in the cache. An estimate. */
const headOverheadBytes = 512;

/** Asked for so often, and as long as that in bytes, a page has cost about twice what its {@link PageDirectory} does. */
const asksOfDirectory = 8;
const directedPageBytesMin = 1024;

/** Pieces of memory that wait to be used again, at most; and what they may take together, in bytes. */
const sparesMax = 4;
const spareBytesInAll = 262_144;

/**
 * Heads that were read last, up to a bound.
 *
 * A head that takes the place of another mostly takes its memory too: ten kilobytes outside the heap for each read that
 * misses cost more than the read itself. So what is got is valid until the cache changes.
 */
export class RecentHeads implements HeadCache {
  readonly #bytesMax: number;
  #heads: LRUCache<string, KeptHead>;
  readonly #grown: () => void;
  readonly #spareBytesMax: number;
  readonly #spares: ArrayBufferLike[] = [];
  #room: Uint8Array = emptyBytes;

  /**
   * @param bytesMax  bound of its memory, in bytes
   * @param grown  called when it has taken some
   */
  constructor(bytesMax: number, grown: () => void = () => {}) {
    const forSpares = Math.min(spareBytesInAll, bytesMax >>> 3);
    this.#spareBytesMax = Math.floor(forSpares / (sparesMax + 1));
    this.#grown = grown;
    this.#bytesMax = Math.max(1, bytesMax - forSpares);
    this.#heads = this.#empty();
  }

  /** What it takes now, in bytes, with all that spares may. */
  get bytes(): number {
    return this.#heads.calculatedSize + this.#spareBytesMax * (sparesMax + 1);
  }

  get(name: string): FrameHead | undefined {
    const head = this.#heads.get(name);
    if (!head || ++head.asks !== asksOfDirectory || head.page.length < directedPageBytesMin) return head;
    const directory = PageDirectory.of(head.page);
    if (!directory) return head;
    const directed = { ...head, directory };
    this.#heads.set(name, directed);
    this.#grown();
    return directed;
  }

  set(name: string, head: FrameHead): void {
    // What segments answered in memory of their own is not to be written to.
    const room = head.page.buffer === this.#room.buffer ? this.#room.buffer : undefined;
    if (room) this.#room = emptyBytes;
    const before = this.#heads.calculatedSize;
    this.#heads.set(name, { ...head, asks: 0, room });
    if (this.#heads.calculatedSize > before) this.#grown();
  }

  room(bytes: number): Uint8Array {
    if (roomBytes(bytes) > this.#spareBytesMax) return new Uint8Array(bytes);
    if (!isFitting(this.#room, bytes)) {
      const at = this.#spares.findIndex((spare) => isFitting(spare, bytes));
      const [spare = new ArrayBuffer(roomBytes(bytes))] = at < 0 ? [] : this.#spares.splice(at, 1);
      this.#spare(this.#room.buffer);
      this.#room = new Uint8Array(spare);
    }
    return this.#room.subarray(0, bytes);
  }

  /** Cost: the same however many there are. A cache that is emptied goes through them all: 19 ms for 24 MiB of short ones. */
  clear(): void {
    this.#heads = this.#empty();
    this.#spares.length = 0;
    this.#room = emptyBytes;
  }

  #empty(): LRUCache<string, KeptHead> {
    return new LRUCache({
      maxSize: this.#bytesMax,
      sizeCalculation: ({ page, room, directory }) =>
        (room ?? page).byteLength + headOverheadBytes + (directory?.bytes ?? 0),
      noDisposeOnSet: true,
      dispose: ({ room }) => room && this.#spare(room),
    });
  }

  #spare(memory: ArrayBufferLike): void {
    if (memory.byteLength === 0 || memory.byteLength > this.#spareBytesMax) return;
    this.#spares.push(memory);
    if (this.#spares.length > sparesMax) this.#spares.shift();
  }
}

/** Keeps nothing, and has memory for the head that is being looked at. */
export class HeadRoom implements HeadCache {
  #room: Uint8Array = emptyBytes;

  get(): undefined {}

  set(): void {}

  clear(): void {
    this.#room = emptyBytes;
  }

  room(bytes: number): Uint8Array {
    if (bytes > headRoomBytesMax) return new Uint8Array(bytes);
    if (this.#room.length < bytes) this.#room = new Uint8Array(Math.min(headRoomBytesMax, 2 * bytes));
    return this.#room.subarray(0, bytes);
  }
}

const headRoomBytesMax = 65_536;

interface KeptHead extends FrameHead {
  asks: number;
  /** The memory it lies in, where that is the cache's own. */
  readonly room: ArrayBufferLike | undefined;
}

/** A little more than is asked for, so that heads of nearly the same length can take one another's place. */
function roomBytes(bytes: number): number {
  return bytes + (bytes >>> 4);
}

/** Whether memory is long enough, and not much longer than what would be made. */
function isFitting({ byteLength }: { readonly byteLength: number }, bytes: number): boolean {
  return byteLength >= bytes && byteLength <= bytes + (bytes >>> 3);
}
