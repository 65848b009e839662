import { invariant } from "../core/invariant.ts";
import { limits } from "../core/limits.ts";

/** Bounds of the HTTP face and of the line format, with unit and reason. What the store bounds itself is in core/limits.ts. */
export const httpLimits = {
  /** Body of an NDJSON batch, in bytes, and so its longest line: the largest payload as base64, and room for names. */
  batchBodyBytesMax: 96 * 1024 * 1024,
  /** Payload that is answered in one piece, in bytes; a longer one is streamed, block by block. */
  wholeBytesMax: limits.blockRawBytesMax,
  /** Lines of one batch over many groups. All of them are held in memory until the last one is checked. */
  batchLinesMax: 100_000,
  /** Groups of one batch that commit at the same time; they share one fdatasync. */
  groupsInFlightMax: 32,
  /** Payloads of a list when the client names no limit. */
  listLimitDefault: 100,
  /** Text gathered before a piece of a stream is sent, in characters. */
  streamPieceChars: 64 * 1024,
  /**
   * Body of a request to the server on AWS, in bytes. An event of Lambda has 6 MiB, in which bytes are base64: 4,718,592 of
   * them, less headers and what Lambda adds.
   */
  lambdaBodyBytesMax: 4_500_000,
  /** What requests get to finish once the server was told to stop, in milliseconds. Orchestrators kill after 10 s or more. */
  shutdownMsMax: 8_000,
} as const;

invariant(httpLimits.batchBodyBytesMax > (limits.payloadBytesMax * 4) / 3, "the largest payload fits a line");
invariant((httpLimits.lambdaBodyBytesMax * 4) / 3 + 64 * 1024 < 6 * 1024 * 1024, "a body and its headers fit an event");
