import { PayloadStoreError } from "./errors.ts";
import type { PageBlock } from "./page/page.ts";
import type { Digest } from "./ports/digest.ts";
import type { UploadReader } from "./ports/upload-store.ts";
import { SegmentBinding } from "./segment/binding.ts";
import { crcText } from "./segment/header.ts";

/** Reads the blocks of uploads and checks them against their page: what comes back is what was committed, or `CORRUPT`. */
export class UploadBlocks {
  readonly #uploads: UploadReader;
  readonly #digest: Digest;

  constructor(uploads: UploadReader, digest: Digest) {
    this.#uploads = uploads;
    this.#digest = digest;
  }

  /** Cost: one ranged read. @throws {PayloadStoreError} `CORRUPT`, `GONE`, `UNAVAILABLE` */
  async read(tenant: string, name: string, offset: number, block: PageBlock): Promise<Uint8Array> {
    const bytes = await this.#uploads.read(tenant, name, offset, block.bodyBytes);
    const computed = uploadBlockCrc(this.#digest, name, offset, bytes);
    if (computed === block.crc) return bytes;
    const message = `upload ${tenant}/${name}, block at byte ${offset}: crc ${crcText(block.crc ?? 0)} ≠ ${crcText(computed)}`;
    throw new PayloadStoreError("CORRUPT", message, { details: { tenant, upload: name } });
  }
}

/** A block's checksum, bound to where it lies, as those of segments are. docs/format.md §2. */
export function uploadBlockCrc(digest: Digest, name: string, offset: number, bytes: Uint8Array): number {
  return new SegmentBinding(digest, name).crc(offset, bytes);
}
