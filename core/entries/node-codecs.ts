import { lz4Codec } from "../adapters/lz4js/lz4-codec.ts";
import { ZstdCodec } from "../adapters/node/zstd-codec.ts";
import { noneCodec } from "../none-codec.ts";
import type { Codecs } from "../ports/codec.ts";

/** The codecs of every store on Node. */
export const nodeCodecs: Codecs = { 0: noneCodec, 1: lz4Codec, 2: new ZstdCodec() };
