import { whenThere } from "./at-once.ts";
import type { CodecPolicy } from "./codec-policy.ts";
import { limits } from "./limits.ts";
import type { Codec, CodecName, CodecOnBase, Codecs } from "./ports/codec.ts";
import type { EncodedBlock } from "./segment/block.ts";
import type { ByteRange } from "./segment/footer.ts";
import { restingBody } from "./segment/resting.ts";
import { SpareMemory } from "./spare-memory.ts";

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
  /** Where the payloads of a shared block are gathered. */
  readonly #spares: SpareMemory;

  /**
   * @param sharedBytes  up to which neighbours share a block, `limits.sharedBlockBytes` by default
   * @param trial  tells in less time than zstd of `codecs` whether a block had better rest on its base
   * @param spares  pieces of `sharedBytes` or more; by default it keeps one itself
   */
  constructor(
    codecs: Codecs,
    policy: CodecPolicy,
    sharedBytes: number = limits.sharedBlockBytes,
    trial?: Codec,
    spares: SpareMemory = new SpareMemory(sharedBytes, 1),
  ) {
    this.#spares = spares;
    this.#trial = trial;
    this.#codecs = codecs;
    this.#policy = policy;
    this.#sharedBytes = sharedBytes;
  }

  /** @param base  what blocks may rest on: the frame that has them then lies in its segment, or nowhere */
  async encode(inputs: readonly BlockInput[], base?: BlockBase): Promise<EncodedBlock[]> {
    const blocks: EncodedBlock[] = [];
    for (const { parts, bytes, codec } of cut(inputs, this.#sharedBytes)) {
      // Nobody else's while it is encoded in the pool.
      const memory = parts.length > 1 ? this.#spares.take() : undefined;
      const raw = memory ? gathered(parts, memory) : parts[0]!;
      const chosen = byName(this.#codecs, codec ?? this.#policy({ raw, payloads: parts.length, payloadBytes: bytes }));
      const encoding = this.#encoded(raw, chosen, base);
      const block = encoding instanceof Promise ? await encoding : encoding;
      blocks.push(memory && block.body === raw ? { ...block, body: raw.slice() } : block);
      if (memory) this.#spares.give(memory);
    }
    return blocks;
  }

  /** A block as it is stored: its raw bytes themselves where nothing makes them smaller. At once where the codecs answer at once. */
  #encoded(raw: Uint8Array, codec: Codec, base: BlockBase | undefined): EncodedBlock | Promise<EncodedBlock> {
    const { onBase, code } = codec;
    const asItIs: EncodedBlock = { codec: 0, rawBytes: raw.length, body: raw };
    const smaller = (body: Uint8Array): EncodedBlock =>
      body.length < raw.length ? { codec: code, rawBytes: raw.length, body } : asItIs;
    if (base && onBase)
      return whenThere(this.#onBase(raw, { codec, onBase }, base), (tried) => tried.resting ?? smaller(tried.alone));
    return code === 0 ? asItIs : whenThere(codec.encode(raw), smaller);
  }

  /** The block on its base, where that pays, or what its codec makes of it alone: at once where the codecs answer at once. */
  #onBase(
    raw: Uint8Array,
    { codec, onBase }: { readonly codec: Codec; readonly onBase: CodecOnBase },
    { range, raw: base }: BlockBase,
  ): OnBase | Promise<OnBase> {
    const trial = this.#trial ?? codec;
    const isTold = trial === codec;
    return whenThere(trial.encode(raw), (alone) =>
      whenThere((trial.onBase ?? onBase).encode(raw, base), (tried) => {
        if (tried.length > Math.min(alone.length, raw.length) * restingShareMax)
          return whenThere(isTold ? alone : codec.encode(raw), (told) => ({ alone: told }));
        return whenThere(isTold ? tried : onBase.encode(raw, base), (frame) => {
          const body = restingBody(range, frame);
          return { resting: { codec: 2, rawBytes: raw.length, body, resting: { base: range, frame } } };
        });
      }),
    );
  }
}

/** The parts as one, in this memory. */
function gathered(parts: readonly Uint8Array[], memory: Uint8Array): Uint8Array {
  let length = 0;
  for (const part of parts) {
    memory.set(part, length);
    length += part.length;
  }
  return memory.subarray(0, length);
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
