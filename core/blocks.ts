import { whenThere } from "./at-once.ts";
import { emptyBytes } from "./bytes.ts";
import type { CodecPolicy } from "./codec-policy.ts";
import { limits } from "./limits.ts";
import type { Codec, CodecName, CodecOnBase, Codecs } from "./ports/codec.ts";
import type { EncodedBlock } from "./segment/block.ts";
import type { ByteRange } from "./segment/footer.ts";
import { restingBody } from "./segment/resting.ts";

/** What blocks may rest on, where it lies in the segment that they are for. */
export interface BlockBase {
  readonly range: ByteRange;
  readonly raw: Uint8Array;
}

/** A block rests on a base where that makes it smaller by so much: its readers may have to read the base as well. */
const restingShareMax = 7 / 8;

export interface BlockInput {
  readonly bytes: Uint8Array;
  readonly codec?: CodecName | undefined;
}

/**
 * Cuts payloads into blocks and encodes them. Neighbours share a block until it holds so many bytes; a payload
 * that long has blocks of its own, cut at `limits.blockRawBytesMax`. Payloads that name different codecs share none.
 * A block that its codec does not make smaller is stored as it is.
 */
export class BlockEncoder {
  readonly #codecs: Codecs;
  readonly #policy: CodecPolicy;
  readonly #sharedBytes: number;
  readonly #trial: Codec | undefined;
  /** Where the payloads of a shared block are gathered, one block after the other. */
  #gathered: Uint8Array = emptyBytes;

  /**
   * @param sharedBytes  up to which neighbours share a block, `limits.sharedBlockBytes` by default
   * @param trial  tells in less time than zstd of `codecs` whether a block had better rest on its base
   */
  constructor(codecs: Codecs, policy: CodecPolicy, sharedBytes: number = limits.sharedBlockBytes, trial?: Codec) {
    this.#trial = trial;
    this.#codecs = codecs;
    this.#policy = policy;
    this.#sharedBytes = sharedBytes;
  }

  /** @param base  what blocks may rest on: the frame that has them then lies in its segment, or nowhere */
  async encode(inputs: readonly BlockInput[], base?: BlockBase): Promise<EncodedBlock[]> {
    const blocks: EncodedBlock[] = [];
    for (const { parts, bytes, codec } of cut(inputs, this.#sharedBytes)) {
      const raw = this.#gather(parts);
      const chosen = byName(this.#codecs, codec ?? this.#policy({ raw, payloads: parts.length, payloadBytes: bytes }));
      let body = raw;
      // What is answered at once is not awaited: `raw` may lie where others gather their blocks.
      if (base && chosen.onBase) {
        const trying = this.#onBase(raw, { codec: chosen, onBase: chosen.onBase }, base);
        const tried = trying instanceof Promise ? await trying : trying;
        if (tried.resting) {
          blocks.push(tried.resting);
          continue;
        }
        body = tried.alone;
      } else if (chosen.code !== 0) {
        const encoding = this.#apart(chosen.encode(raw));
        body = encoding instanceof Promise ? await encoding : encoding;
      }
      if (body.length < raw.length) blocks.push({ codec: chosen.code, rawBytes: raw.length, body });
      else blocks.push({ codec: 0, rawBytes: raw.length, body: parts.length > 1 ? raw.slice() : raw });
    }
    return blocks;
  }

  /** The block on its base, where that pays, or what its codec makes of it alone: at once where the codecs answer at once. */
  #onBase(
    raw: Uint8Array,
    { codec, onBase }: { readonly codec: Codec; readonly onBase: CodecOnBase },
    { range, raw: base }: BlockBase,
  ): OnBase | Promise<OnBase> {
    const trial = this.#trial ?? codec;
    const isTold = trial === codec;
    return whenThere(this.#apart(trial.encode(raw)), (alone) =>
      whenThere(this.#apart((trial.onBase ?? onBase).encode(raw, base)), (tried) => {
        if (tried.length > Math.min(alone.length, raw.length) * restingShareMax)
          return whenThere(isTold ? alone : this.#apart(codec.encode(raw)), (told) => ({ alone: told }));
        return whenThere(isTold ? tried : this.#apart(onBase.encode(raw, base)), (frame) => {
          const body = restingBody(range, frame);
          return { resting: { codec: 2, rawBytes: raw.length, body, resting: { base: range, frame } } };
        });
      }),
    );
  }

  /** Others gather their blocks elsewhere while one is encoded in the pool. */
  #apart<T>(encoding: T): T {
    if (encoding instanceof Promise) this.#gathered = emptyBytes;
    return encoding;
  }

  /** The parts as one; valid until the next call if there are several. */
  #gather(parts: readonly Uint8Array[]): Uint8Array {
    if (parts.length === 1 && parts[0]) return parts[0];
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (this.#gathered.length < bytes) this.#gathered = new Uint8Array(bytes);
    let length = 0;
    for (const part of parts) {
      this.#gathered.set(part, length);
      length += part.length;
    }
    return this.#gathered.subarray(0, length);
  }
}

type OnBase = { readonly resting: EncodedBlock } | { readonly resting?: undefined; readonly alone: Uint8Array };

interface RawBlock {
  readonly parts: Uint8Array[];
  /** Length of the payload when there is one. */
  readonly bytes: number;
  readonly codec: CodecName | undefined;
}

/** All at once: what a caller changes of `inputs` while a block is encoded elsewhere is not seen. */
function cut(inputs: readonly BlockInput[], sharedBytes: number): RawBlock[] {
  const blocks: RawBlock[] = [];
  let shared: { parts: Uint8Array[]; bytes: number; codec: CodecName | undefined } | undefined;
  for (const { bytes, codec } of inputs) {
    if (bytes.length === 0) continue;
    if (shared && (shared.codec !== codec || shared.bytes + bytes.length > sharedBytes)) {
      blocks.push(shared);
      shared = undefined;
    }
    if (bytes.length >= sharedBytes) {
      for (let start = 0; start < bytes.length; start += limits.blockRawBytesMax) {
        const slice = bytes.subarray(start, start + limits.blockRawBytesMax);
        blocks.push({ parts: [slice], bytes: bytes.length, codec });
      }
      continue;
    }
    shared ??= { parts: [], bytes: 0, codec };
    shared.parts.push(bytes);
    shared.bytes += bytes.length;
  }
  if (shared) blocks.push(shared);
  return blocks;
}

function byName(codecs: Codecs, name: CodecName): Codecs[0] {
  return name === "none" ? codecs[0] : name === "lz4" ? codecs[1] : codecs[2];
}
