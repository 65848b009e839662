import { PayloadStoreError } from "../errors.ts";
import type { PageDirectory } from "../page/page-directory.ts";
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
  /** Of a page that is asked for again and again: where its entries lie. */
  readonly directory?: PageDirectory | undefined;
}

/**
 * Keeps heads by where they lie, which never change, as many as its maker gives it memory for. A page of it may lie in memory
 * that is used again: what is got is valid until the next {@link room} or {@link set}.
 */
export interface HeadCache {
  get(name: string): FrameHead | undefined;
  /** @param head  its page may lie in what {@link room} answered last */
  set(name: string, head: FrameHead): unknown;
  clear(): void;
  /** Memory for a head of so many bytes, not cleared: used anew by the next call, unless a head in it was set. */
  room?(bytes: number): Uint8Array;
}

/** Bindings that are kept: of the segments that random reads of 64 GiB go to. A binding takes some hundred bytes. */
const bindingsMax = 1024;

/** Reads frames and blocks from a segment store and checks them: what comes back is what was stored, or `CORRUPT`. */
export class FrameReader {
  readonly #segments: Pick<SegmentStore, "read">;
  readonly #digest: Digest;
  readonly #heads: HeadCache | undefined;
  readonly #bindings = new Map<string, SegmentBinding>();

  constructor(segments: Pick<SegmentStore, "read">, digest: Digest, heads?: HeadCache) {
    this.#segments = segments;
    this.#digest = digest;
    this.#heads = heads;
  }

  /**
   * The head of a frame, in memory of its own. Cost: one read, none where it is held or kept.
   * @throws {PayloadStoreError} `CORRUPT`, `GONE`, `UNAVAILABLE`
   */
  head(tenant: string, place: FramePlace): FrameHead | Promise<FrameHead> {
    return this.look(tenant, place, this.#heads ? ofItsOwn : asItIs);
  }

  /**
   * What `use` makes of a head. The page may lie in memory that the next head takes: nothing of it is to outlive `use`. It is
   * answered at once where segments answer at once. Cost and errors: as {@link head}, without a copy.
   */
  look<T>(tenant: string, place: FramePlace, use: (head: FrameHead) => T): T | Promise<T> {
    const { segment, offset, headBytes } = place;
    const held = heldBytes(place, offset, headBytes);
    if (held) return use(this.#checkedHead(tenant, place, held));
    const heads = this.#heads;
    const name = heads && `${tenant}/${segment}/${offset}`;
    const kept = name && heads.get(name);
    if (kept) return use(kept);
    const read = this.#segments.read(tenant, segment, offset, headBytes, heads?.room?.(headBytes));
    if (read instanceof Promise) return read.then((bytes) => use(this.#checkedHead(tenant, place, bytes, name)));
    return use(this.#checkedHead(tenant, place, read, name));
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

  #bind(segment: string): SegmentBinding {
    const known = this.#bindings.get(segment);
    if (known) return known;
    if (this.#bindings.size >= bindingsMax) this.#bindings.clear();
    const binding = new SegmentBinding(this.#digest, segment);
    this.#bindings.set(segment, binding);
    return binding;
  }
}

function asItIs(head: FrameHead): FrameHead {
  return head;
}

function ofItsOwn({ header, page }: FrameHead): FrameHead {
  return { header, page: new Uint8Array(page) };
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
