import { BlockDecoder } from "../block-decoder.ts";
import { isPayloadStoreError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Codecs } from "../ports/codec.ts";
import type { FramePlace } from "../ports/segment-store.ts";
import { storedBlockBytes, type EncodedBlock } from "../segment/block.ts";
import type { ByteRange } from "../segment/footer.ts";
import type { FrameReader } from "../segment/read-frame.ts";

/** When compaction lays blocks on bases. docs/decisions/0029 says why these. */
export interface BaseRules {
  /** A base decodes to so many bytes, or a block more. 0: no block rests on another. */
  readonly baseBytes: number;
  /** A segment has a new one after so many bytes: it lies near to what rests on it, and its loss takes no more than that along. */
  readonly baseEveryBytes: number;
}

export const baseRules: BaseRules = { baseBytes: 32_768, baseEveryBytes: 1_048_576 };

/** Blocks that are to become a base, in bytes: half of what a base may be, so that the one that makes it whole fits too. */
export const baseBlockBytes: number = limits.baseRawBytesMax / 2;

/** Bytes that lie in a segment that grows, and what they decode to. */
export interface Base {
  readonly segment: string;
  readonly range: ByteRange;
  readonly raw: Uint8Array;
}

export interface BaseTools {
  readonly segments: { readonly growing: (tenant: string) => string | undefined };
  readonly frames: FrameReader;
  readonly codecs: Codecs;
}

/** Tenants whose bases are kept: what they decode to is in memory. */
const tenantsMax = 16;

interface Growing {
  readonly segment: string;
  base: Base | undefined;
  /** Frames that are to become the next base, and their raw bytes as far as they are known. */
  gathered: { readonly range: ByteRange; readonly rawBytes: number } | undefined;
}

/**
 * What compaction has written to the segments that grow, as bases for what it writes next. A base is what was written to the
 * segment anyway, at its beginning and again after so many bytes: it holds no payload that the segment does not hold.
 */
export class GrowingBases {
  readonly #tools: BaseTools;
  #rules: BaseRules = baseRules;
  readonly #tenants = new Map<string, Growing>();

  constructor(tools: BaseTools) {
    this.#tools = tools;
  }

  /** Goes by these rules from now on. */
  follow(rules: Partial<BaseRules>): void {
    this.#rules = { ...baseRules, ...rules };
  }

  /** What blocks may rest on that are written to the tenant's segment next; it may have ended by the time they are. */
  of(tenant: string): Base | undefined {
    if (this.#rules.baseBytes === 0) return undefined;
    const base = this.#tenants.get(tenant)?.base;
    return base?.segment === this.#tools.segments.growing(tenant) ? base : undefined;
  }

  /** Whether what is written next may become a base: its blocks had better not be long. */
  wants(tenant: string): boolean {
    return this.#rules.baseBytes > 0 && this.of(tenant) === undefined;
  }

  /** Takes notice of a frame that was written. Cost: reads the base once it is gathered. */
  async wrote(tenant: string, place: FramePlace, blocks: readonly EncodedBlock[]): Promise<void> {
    if (this.#rules.baseBytes === 0) return;
    const growing = this.#growing(tenant, place.segment);
    if (growing.base && place.offset - growing.base.range.start >= this.#rules.baseEveryBytes) growing.base = undefined;
    if (growing.base || blocks.some(({ resting }) => resting)) return;
    growing.gathered = this.#gather(growing.gathered, place, blocks);
    if (!growing.gathered || growing.gathered.rawBytes < this.#rules.baseBytes) return;
    const { range } = growing.gathered;
    growing.gathered = undefined;
    // As its readers will: what they could not read is no base.
    const decoder = new BlockDecoder(tenant, this.#tools);
    try {
      const raw = await decoder.base(range, { segment: place.segment });
      growing.base = { segment: place.segment, range, raw };
    } catch (error) {
      if (!isPayloadStoreError(error)) throw error;
    }
  }

  /** Forgets bytes of segments that do not grow any more. */
  forgetSealed(): void {
    for (const [tenant, { segment }] of this.#tenants) {
      if (this.#tools.segments.growing(tenant) !== segment) this.#tenants.delete(tenant);
    }
  }

  #growing(tenant: string, segment: string): Growing {
    const known = this.#tenants.get(tenant);
    if (known?.segment === segment) return known;
    this.#tenants.delete(tenant);
    const [oldest] = this.#tenants.keys();
    if (this.#tenants.size >= tenantsMax && oldest !== undefined) this.#tenants.delete(oldest);
    const growing: Growing = { segment, base: undefined, gathered: undefined };
    this.#tenants.set(tenant, growing);
    return growing;
  }

  /** Frames become known in any order; others may lie between them, which then belong to the base as well. */
  #gather(
    before: Growing["gathered"],
    { offset, headBytes }: FramePlace,
    blocks: readonly EncodedBlock[],
  ): Growing["gathered"] {
    let rawBytes = before?.rawBytes ?? 0;
    let end = offset + headBytes;
    for (const block of blocks) {
      if (rawBytes >= this.#rules.baseBytes) break;
      rawBytes += block.rawBytes;
      end += storedBlockBytes(block);
    }
    const range = {
      start: Math.min(offset, before?.range.start ?? offset),
      end: Math.max(end, before?.range.end ?? 0),
    };
    const isShort = range.end - range.start <= limits.baseStoredBytesMax && rawBytes <= limits.baseRawBytesMax;
    if (isShort) return { range, rawBytes };
    return before ? this.#gather(undefined, { segment: "", offset, headBytes }, blocks) : undefined;
  }
}
