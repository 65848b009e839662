import type { SegmentSource } from "../../../core/segment/scan.ts";

/** A segment in memory that counts what is read of it, and refuses a read beyond its end or one too many. */
export class CountingSource implements SegmentSource {
  readonly tenant: string;
  readonly segment: string;
  readonly #bytes: Uint8Array;
  readonly #readsMax: number;
  reads = 0;

  constructor(tenant: string, segment: string, bytes: Uint8Array, readsMax: number) {
    this.tenant = tenant;
    this.segment = segment;
    this.#bytes = bytes;
    this.#readsMax = readsMax;
  }

  get size(): number {
    return this.#bytes.length;
  }

  read(offset: number, bytes: number): Uint8Array {
    this.reads += 1;
    if (this.reads > this.#readsMax) throw new Error(`read ${this.reads} of a segment of ${this.size} bytes`);
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= this.size)) {
      throw new Error(`${bytes} bytes at ${offset} are asked of a segment of ${this.size}`);
    }
    return this.#bytes.subarray(offset, offset + bytes);
  }
}
