import { emptyBytes } from "./bytes.ts";
import type { CodecPolicy } from "./codec-policy.ts";
import { limits } from "./limits.ts";
import type { CodecName, Codecs } from "./ports/codec.ts";
import type { EncodedBlock } from "./segment/block.ts";

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
  /** Where the payloads of a shared block are gathered, one block after the other. */
  #gathered: Uint8Array = emptyBytes;

  /** @param sharedBytes  up to which neighbours share a block, `limits.sharedBlockBytes` by default */
  constructor(codecs: Codecs, policy: CodecPolicy, sharedBytes: number = limits.sharedBlockBytes) {
    this.#codecs = codecs;
    this.#policy = policy;
    this.#sharedBytes = sharedBytes;
  }

  async encode(inputs: readonly BlockInput[]): Promise<EncodedBlock[]> {
    const blocks: EncodedBlock[] = [];
    for (const { parts, bytes, codec } of cut(inputs, this.#sharedBytes)) {
      const raw = this.#gather(parts);
      const chosen = byName(this.#codecs, codec ?? this.#policy({ raw, payloads: parts.length, payloadBytes: bytes }));
      let body = raw;
      if (chosen.code !== 0) {
        const encoding = chosen.encode(raw);
        // Others gather their blocks while this one is encoded elsewhere.
        if (encoding instanceof Promise) this.#gathered = emptyBytes;
        body = encoding instanceof Promise ? await encoding : encoding;
      }
      if (body.length < raw.length) blocks.push({ codec: chosen.code, rawBytes: raw.length, body });
      else blocks.push({ codec: 0, rawBytes: raw.length, body: parts.length > 1 ? raw.slice() : raw });
    }
    return blocks;
  }

  /** The parts as one; valid until the next call if there are several. */
  #gather(parts: readonly Uint8Array[]): Uint8Array {
    if (parts.length === 1 && parts[0]) return parts[0];
    if (this.#gathered.length === 0) this.#gathered = new Uint8Array(this.#sharedBytes);
    let length = 0;
    for (const part of parts) {
      this.#gathered.set(part, length);
      length += part.length;
    }
    return this.#gathered.subarray(0, length);
  }
}

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
