import { LRUCache } from "lru-cache";

interface Chunk {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * What was read of segments lately, up to a number of bytes. Segments never change, so nothing here is ever stale: what is
 * deleted or overwritten is not asked for any more.
 */
export class SegmentCache {
  readonly #segments: LRUCache<string, readonly Chunk[]>;

  constructor(bytesMax: number) {
    this.#segments = new LRUCache({
      maxSize: bytesMax,
      sizeCalculation: (chunks) => chunks.reduce((sum, { bytes }) => sum + bytes.length, 1),
    });
  }

  get(key: string, offset: number, length: number): Uint8Array | undefined {
    const chunks = this.#segments.get(key);
    const chunk = chunks?.find((held) => offset >= held.offset && offset + length <= held.offset + held.bytes.length);
    return chunk?.bytes.subarray(offset - chunk.offset, offset - chunk.offset + length);
  }

  add(key: string, offset: number, bytes: Uint8Array): void {
    const covers = (chunk: Chunk) =>
      offset <= chunk.offset && chunk.offset + chunk.bytes.length <= offset + bytes.length;
    const others = (this.#segments.peek(key) ?? []).filter((chunk) => !covers(chunk));
    this.#segments.set(key, [...others.slice(-7), { offset, bytes }]);
  }
}
