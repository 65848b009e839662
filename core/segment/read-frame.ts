import { PayloadStoreError } from "../errors.ts";
import type { Digest } from "../ports/digest.ts";
import type { FramePlace, SegmentStore } from "../ports/segment-store.ts";
import { SegmentBinding } from "./binding.ts";
import { decodeBlock, storedBlockBytes, type EncodedBlock } from "./block.ts";
import type { Decoded } from "./decoded.ts";
import { decodeFrameHeader, decodeFramePage, type FrameHeader } from "./frame.ts";

export interface FrameHead {
  readonly header: FrameHeader;
  /** The encoded page, its checksum verified. */
  readonly page: Uint8Array;
}

/** Reads frames and blocks from a segment store and checks them: what comes back is what was stored, or `CORRUPT`. */
export class FrameReader {
  readonly #segments: SegmentStore;
  readonly #digest: Digest;
  #binding: SegmentBinding | undefined;

  constructor(segments: SegmentStore, digest: Digest) {
    this.#segments = segments;
    this.#digest = digest;
  }

  /** Cost: one read, none where the head is held. @throws {PayloadStoreError} `CORRUPT`, `GONE`, `UNAVAILABLE` */
  async head(tenant: string, place: FramePlace): Promise<FrameHead> {
    const bytes =
      heldBytes(place, place.offset, place.headBytes) ??
      (await this.#segments.read(tenant, place.segment, place.offset, place.headBytes));
    const binding = this.#bind(place.segment);
    const header = expectWhole(decodeFrameHeader(bytes, place.offset, binding), tenant, place.segment);
    const page = expectWhole(decodeFramePage(bytes, header, place.offset, binding), tenant, place.segment);
    return { header, page };
  }

  /**
   * The blocks that lie in `bytes` bytes from `offset` on. Cost: one read, none where they are held.
   * @param place  the frame they belong to, where it is known
   */
  async blocks(
    tenant: string,
    segment: string,
    offset: number,
    bytes: number,
    place?: FramePlace,
  ): Promise<EncodedBlock[]> {
    const held = place && place.segment === segment ? heldBytes(place, offset, bytes) : undefined;
    if (!held && place?.inline && place.segment === segment) {
      const message = `frame ${tenant}/${segment} ends before byte ${offset + bytes}`;
      throw new PayloadStoreError("CORRUPT", message, { details: { tenant, segment } });
    }
    const body = held ?? (await this.#segments.read(tenant, segment, offset, bytes));
    const binding = this.#bind(segment);
    const blocks: EncodedBlock[] = [];
    for (let at = 0; at < body.length;) {
      const block = expectWhole(decodeBlock(body, at, offset, binding), tenant, segment);
      blocks.push(block);
      at += storedBlockBytes(block);
    }
    return blocks;
  }

  /** Reads go to few segments in a row: the last binding is kept. */
  #bind(segment: string): SegmentBinding {
    if (this.#binding?.segment !== segment) this.#binding = new SegmentBinding(this.#digest, segment);
    return this.#binding;
  }
}

/** What a place holds of these bytes of its segment, if it holds them all. */
function heldBytes({ held, offset: start }: FramePlace, offset: number, bytes: number): Uint8Array | undefined {
  if (!held || offset < start || offset + bytes > start + held.length) return undefined;
  return held.subarray(offset - start, offset - start + bytes);
}

function expectWhole<T>(read: Decoded<T>, tenant: string, segment: string): T {
  if (read.ok) return read.value;
  throw new PayloadStoreError("CORRUPT", `segment ${tenant}/${segment}: ${read.damage}`, {
    details: { tenant, segment },
  });
}
