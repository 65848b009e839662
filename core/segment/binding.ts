import { setUint64, utf8, view } from "../bytes.ts";
import type { Digest } from "../ports/digest.ts";

/** One for all: a checksum ends before the next begins, and bindings are made for every frame that is read. */
const offsetBytes = new Uint8Array(8);
const offsetView = view(offsetBytes);

/**
 * Every checksum of a segment is bound to where its bytes lie: it starts from the segment's name and the offset, so a
 * frame or block that was copied, moved or forged elsewhere fails its checksum. docs/format.md §2.
 */
export class SegmentBinding {
  readonly segment: string;
  readonly #digest: Digest;
  readonly #nameCrc: number;

  constructor(digest: Digest, segment: string) {
    this.segment = segment;
    this.#digest = digest;
    this.#nameCrc = digest.crc32(utf8(segment));
  }

  /** CRC-32 over the segment's name, the offset as 8 bytes, then each part. */
  crc(offset: number, ...parts: readonly Uint8Array[]): number {
    setUint64(offsetView, 0, offset);
    let crc = this.#digest.crc32(offsetBytes, this.#nameCrc);
    for (const part of parts) crc = this.#digest.crc32(part, crc);
    return crc;
  }
}
