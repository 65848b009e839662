import { decodeZstdFrame } from "../adapters/fzstd/zstd-frame.ts";
import { decodeLz4Frame } from "../adapters/lz4js/lz4-frame.ts";
import { PayloadClient } from "../client/client.ts";
import type { ClientOptions } from "../client/options.ts";
import type { ClientPlatform } from "../client/platform.ts";
import { webPlatform } from "../client/web-platform.ts";

export type { AppendResult } from "../client/batch.ts";
export { PayloadClient, type ClientPayload, type ClientQuestion, type ListPage } from "../client/client.ts";
export type { ClientGroup, ClientKey } from "../client/client-key.ts";
export type { ClientContent, ClientPayloadInput } from "../client/lines.ts";
export type { ClientOptions } from "../client/options.ts";
export type { ClientHead } from "../client/payload-answer.ts";
export type { ClientPlatform, Fetch, FetchInit, Timers } from "../client/platform.ts";
export type { UploadOptions } from "../client/upload.ts";
export { PayloadWriter } from "../client/writer.ts";
export type { WriterExit, WriterOptions } from "../client/writer-options.ts";
export type { ErasedSegment, Erasure, ErasureSelector, ErasureState, ErasureWish } from "../erasure/erasure.ts";
export type { ExpiresAt } from "../expiry.ts";
export { errorCodes, isPayloadStoreError, PayloadStoreError, type ErrorCode, type ErrorDetails } from "../errors.ts";
export type { PayloadId } from "../key.ts";
export type {
  AppendOptions,
  Attributes,
  CallOptions,
  IdempotentOptions,
  Location,
  ReadRange,
  Stats,
} from "../payload.ts";
export type { CodecCode, CodecName } from "../ports/codec.ts";
export type { GroupSummary } from "../ports/offset-index.ts";

/** zstd first: it makes agents' payloads smaller. */
const decoders = { zstd: decodeZstdFrame, lz4: decodeLz4Frame };

/**
 * A client of a Paylode server for one tenant, on Node 20 or newer, in browsers and in edge runtimes. Opening asks the
 * server nothing.
 *
 * @param platform  what a test puts in place of the platform
 * @throws {PayloadStoreError} `INVALID` naming the option
 */
export function openClient(options: ClientOptions, platform: Partial<ClientPlatform> = {}): PayloadClient {
  const { fetch = webPlatform.fetch } = options;
  return new PayloadClient(options, { ...webPlatform, fetch, ...platform }, decoders);
}
