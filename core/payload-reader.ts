import { concat, emptyBytes } from "./bytes.ts";
import { PayloadStoreError } from "./errors.ts";
import { limits } from "./limits.ts";
import type { Location, ReadRange } from "./payload.ts";
import type { CodecCode, Codecs } from "./ports/codec.ts";
import type { FramePlace } from "./ports/segment-store.ts";
import type { EncodedBlock } from "./segment/block.ts";
import { isSegmentName } from "./segment/name.ts";
import type { FrameReader } from "./segment/read-frame.ts";

/**
 * Reads payloads by location. It keeps the blocks it decoded last, so payloads of one block that are read one after the
 * other decode it once; a reader belongs to one call.
 */
export class PayloadReader {
  readonly #frames: FrameReader;
  readonly #codecs: Codecs;
  readonly #tenant: string;
  #blocks:
    | { segment: string; offset: number; stored: number; blocks: EncodedBlock[]; raw: (Uint8Array | undefined)[] }
    | undefined;

  constructor(frames: FrameReader, codecs: Codecs, tenant: string) {
    this.#frames = frames;
    this.#codecs = codecs;
    this.#tenant = tenant;
  }

  /**
   * The bytes, or the part of them in `range`. Only blocks that hold some of them are decoded. Cost: one read, none where
   * the frame is held.
   * @param place  the frame that holds the payload, where it is known
   * @throws {PayloadStoreError} `CORRUPT`, `GONE`, `UNAVAILABLE`; `INVALID` if the location is malformed
   */
  async read(location: Location, range?: ReadRange, place?: FramePlace): Promise<Uint8Array> {
    checkLocation(location);
    if (range && !(range.start >= 0 && range.end >= range.start)) {
      throw new PayloadStoreError("INVALID", "a range is 0 ≤ start ≤ end", { details: { field: "range" } });
    }
    const { start, length } = location;
    const from = start + Math.min(Math.max(range?.start ?? 0, 0), length);
    const to = start + Math.min(Math.max(range?.end ?? length, 0), length);
    const held = await this.#load(location, place);
    let rawStart = 0;
    const parts: Uint8Array[] = [];
    for (const [i, block] of held.blocks.entries()) {
      const rawEnd = rawStart + block.rawBytes;
      if (rawStart < to && rawEnd > from) {
        held.raw[i] ??= await this.#codecs[block.codec].decode(block.body, block.rawBytes);
        parts.push(held.raw[i].subarray(Math.max(from - rawStart, 0), to - rawStart));
      }
      rawStart = rawEnd;
    }
    if (rawStart < start + length) {
      throw new PayloadStoreError(
        "CORRUPT",
        `location of ${length} bytes at ${start} does not fit its ${rawStart} raw bytes`,
      );
    }
    if (parts.length === 0) return emptyBytes;
    // A payload is the caller's own: it neither keeps a shared block in memory nor lets one caller see another's change.
    // Not slice(): that of a Buffer, which zlib answers, is a view of the same bytes.
    return parts.length > 1 ? concat(parts) : new Uint8Array(parts[0] ?? emptyBytes);
  }

  /**
   * The payload's block as it is stored, its checksum verified, if it is one of these codecs and the payload is all of it.
   * Cost: as {@link read}, without decoding.
   */
  async stored(
    location: Location,
    codecs: readonly CodecCode[],
    place?: FramePlace,
  ): Promise<EncodedBlock | undefined> {
    const { start, length, codec } = location;
    if (start !== 0 || length === 0 || !codecs.includes(codec)) return undefined;
    const [block, ...others] = (await this.#load(location, place)).blocks;
    return block?.rawBytes === length && others.length === 0 ? block : undefined;
  }

  async #load(
    { segment, offset, stored }: Location,
    place: FramePlace | undefined,
  ): Promise<{ blocks: EncodedBlock[]; raw: (Uint8Array | undefined)[] }> {
    const held = this.#blocks;
    if (held && held.segment === segment && held.offset === offset && held.stored === stored) return held;
    const blocks = await this.#frames.blocks(this.#tenant, segment, offset, stored, place);
    this.#blocks = { segment, offset, stored, blocks, raw: [] };
    return this.#blocks;
  }
}

/** A location comes from a caller: it must not be able to ask for more than a payload's worth. */
export function checkLocation(location: Location): void {
  const { version, segment, offset, stored, start, length, page } = (location as Location | null) ?? ({} as Location);
  const whole = [offset, stored, start, length].every((value) => Number.isSafeInteger(value) && value >= 0);
  const storedMax = 2 * limits.commitBytesMax;
  const malformedPage =
    page !== undefined && !(Number.isSafeInteger((page as Location["page"] | null)?.sequence) && page.sequence > 0);
  const malformed =
    malformedPage || !whole || stored > storedMax || start + length > storedMax || (stored === 0 && length > 0);
  if (version !== 0 || typeof segment !== "string" || !isSegmentName(segment) || malformed) {
    throw new PayloadStoreError("INVALID", "the location is not one that `append` returned", {
      details: { field: "location" },
    });
  }
}
