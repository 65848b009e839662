import { PayloadStoreError } from "../errors.ts";
import type { Digest } from "../ports/digest.ts";
import type { FramePlace, SegmentStore } from "../ports/segment-store.ts";
import { decodeBase } from "./base.ts";
import { SegmentBinding } from "./binding.ts";
import { decodeBlock, storedBlockBytes, type EncodedBlock } from "./block.ts";
import type { Decoded } from "./decoded.ts";
import type { ByteRange } from "./footer.ts";
import { decodeFrameHeader, decodeFramePage, type FrameHeader } from "./frame.ts";

export interface FrameHead {
  readonly header: FrameHeader;
  /** The encoded page, its checksum verified. */
  readonly page: Uint8Array;
}

/** Keeps heads by where they lie, which never change, as many as its maker gives it memory for. */
export interface HeadCache {
  get(name: string): FrameHead | undefined;
  set(name: string, head: FrameHead): unknown;
  clear(): void;
}

/** Reads frames and blocks from a segment store and checks them: what comes back is what was stored, or `CORRUPT`. */
export class FrameReader {
  readonly #segments: Pick<SegmentStore, "read">;
  readonly #digest: Digest;
  readonly #heads: HeadCache | undefined;
  #binding: SegmentBinding | undefined;

  constructor(segments: Pick<SegmentStore, "read">, digest: Digest, heads?: HeadCache) {
    this.#segments = segments;
    this.#digest = digest;
    this.#heads = heads;
  }

  /** Cost: one read, none where the head is held or kept. @throws {PayloadStoreError} `CORRUPT`, `GONE`, `UNAVAILABLE` */
  head(tenant: string, place: FramePlace): FrameHead | Promise<FrameHead> {
    const { segment, offset, headBytes } = place;
    const held = heldBytes(place, offset, headBytes);
    if (held) return this.#checkedHead(tenant, place, held);
    const name = this.#heads && `${tenant}/${segment}/${offset}`;
    const kept = name && this.#heads?.get(name);
    if (kept) return kept;
    const read = this.#segments.read(tenant, segment, offset, headBytes);
    if (read instanceof Promise) return read.then((bytes) => this.#checkedHead(tenant, place, bytes, name));
    return this.#checkedHead(tenant, place, read, name);
  }

  /** @param name  to keep it under */
  #checkedHead(tenant: string, { segment, offset }: FramePlace, bytes: Uint8Array, name?: string): FrameHead {
    const binding = this.#bind(segment);
    const header = expectWhole(decodeFrameHeader(bytes, offset, binding), tenant, segment);
    const head = { header, page: expectWhole(decodeFramePage(bytes, header, offset, binding), tenant, segment) };
    if (name !== undefined) this.#heads?.set(name, head);
    return head;
  }

  /**
   * The blocks that lie in `bytes` bytes from `offset` on. Cost: one read, none where they are held.
   * @param place  the frame they belong to, where it is known
   * @param into  memory of that length for what is read and answered at once
   */
  blocks(
    tenant: string,
    segment: string,
    offset: number,
    bytes: number,
    place?: FramePlace,
    into?: Uint8Array,
  ): EncodedBlock[] | Promise<EncodedBlock[]> {
    const held = place && place.segment === segment ? heldBytes(place, offset, bytes) : undefined;
    if (!held && place?.inline && place.segment === segment) {
      const message = `frame ${tenant}/${segment} ends before byte ${offset + bytes}`;
      throw new PayloadStoreError("CORRUPT", message, { details: { tenant, segment } });
    }
    const body = held ?? this.#segments.read(tenant, segment, offset, bytes, into);
    if (body instanceof Promise) return body.then((read) => this.#checkedBlocks(tenant, segment, offset, read));
    return this.#checkedBlocks(tenant, segment, offset, body);
  }

  /**
   * The blocks of a base. Cost: one read, none where it is held.
   * @param base  where it lies in the segment
   * @throws {PayloadStoreError} `CORRUPT`, `GONE`, `UNAVAILABLE`
   */
  base(
    tenant: string,
    segment: string,
    base: ByteRange,
    place?: FramePlace,
  ): readonly EncodedBlock[] | Promise<readonly EncodedBlock[]> {
    const bytes = base.end - base.start;
    const held = place?.segment === segment ? heldBytes(place, base.start, bytes) : undefined;
    const read = held ?? this.#segments.read(tenant, segment, base.start, bytes);
    const check = (found: Uint8Array) =>
      expectWhole(decodeBase(found, base.start, this.#bind(segment)), tenant, segment);
    return read instanceof Promise ? read.then(check) : check(read);
  }

  #checkedBlocks(tenant: string, segment: string, offset: number, body: Uint8Array): EncodedBlock[] {
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
