import { concat } from "./bytes.ts";
import type { CodecPolicy } from "./codec-policy.ts";
import { limits } from "./limits.ts";
import type { CodecName, Codecs } from "./ports/codec.ts";
import type { EncodedBlock } from "./segment/block.ts";

export interface BlockInput {
  readonly bytes: Uint8Array;
  readonly codec?: CodecName | undefined;
}

/**
 * Cuts payloads into blocks and encodes them. Neighbours share a block until it holds `limits.sharedBlockBytes`; a payload
 * that long has blocks of its own, cut at `limits.blockRawBytesMax`. Payloads that name different codecs share none.
 * A block that its codec does not make smaller is stored as it is.
 */
export async function encodeBlocks(
  inputs: readonly BlockInput[],
  codecs: Codecs,
  policy: CodecPolicy,
): Promise<EncodedBlock[]> {
  const blocks: EncodedBlock[] = [];
  for (const { parts, bytes, codec } of cut(inputs)) {
    const raw = concat(parts);
    const chosen = byName(codecs, codec ?? policy({ raw, payloads: parts.length, payloadBytes: bytes }));
    const body = chosen.code === 0 ? raw : await chosen.encode(raw);
    const smaller = body.length < raw.length;
    blocks.push(
      smaller ? { codec: chosen.code, rawBytes: raw.length, body } : { codec: 0, rawBytes: raw.length, body: raw },
    );
  }
  return blocks;
}

interface RawBlock {
  readonly parts: Uint8Array[];
  /** Length of the payload when there is one. */
  readonly bytes: number;
  readonly codec: CodecName | undefined;
}

function* cut(inputs: readonly BlockInput[]): Generator<RawBlock> {
  let shared: { parts: Uint8Array[]; bytes: number; codec: CodecName | undefined } | undefined;
  for (const { bytes, codec } of inputs) {
    if (bytes.length === 0) continue;
    if (shared && (shared.codec !== codec || shared.bytes + bytes.length > limits.sharedBlockBytes)) {
      yield shared;
      shared = undefined;
    }
    if (bytes.length >= limits.sharedBlockBytes) {
      for (let start = 0; start < bytes.length; start += limits.blockRawBytesMax) {
        yield { parts: [bytes.subarray(start, start + limits.blockRawBytesMax)], bytes: bytes.length, codec };
      }
      continue;
    }
    shared ??= { parts: [], bytes: 0, codec };
    shared.parts.push(bytes);
    shared.bytes += bytes.length;
  }
  if (shared) yield shared;
}

function byName(codecs: Codecs, name: CodecName): Codecs[0] {
  return name === "none" ? codecs[0] : name === "lz4" ? codecs[1] : codecs[2];
}
