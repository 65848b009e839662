import { ByteReader, ByteWriter } from "../byte-stream.ts";
import { limits } from "../limits.ts";
import { damaged, decoded, type Decoded } from "./decoded.ts";
import type { ByteRange } from "./footer.ts";
import { segmentHeaderBytes } from "./header.ts";

/** What the stored bytes of a block consist of that rests on a base. docs/format.md §5. */
export interface Resting {
  /** Bytes of the same segment, before the block. */
  readonly base: ByteRange;
  /** A Zstandard frame whose dictionary the base is. */
  readonly frame: Uint8Array;
}

/**
 * The stored bytes of a block that rests on a base: where the base lies in the same segment, as two varints, then the
 * Zstandard frame. docs/format.md §5.
 */
export function restingBody(base: ByteRange, frame: Uint8Array): Uint8Array {
  const writer = new ByteWriter(frame.length + 16);
  writer.varint(base.start);
  writer.varint(base.end - base.start);
  writer.bytes(frame);
  return writer.finish();
}

/**
 * Reads it, without a look at the base itself.
 * @param blockOffset  of the block in its segment: what it rests on lies before it
 */
export function decodeRestingBody(body: Uint8Array, blockOffset: number): Decoded<Resting> {
  const reader = new ByteReader(body);
  const start = reader.varint();
  const bytes = reader.varint();
  const at = `block at byte ${blockOffset}`;
  if (reader.failed) return damaged(`${at}: what it rests on is unreadable`);
  const isBehindHeader = start >= segmentHeaderBytes;
  if (!isBehindHeader || bytes === 0 || bytes > limits.baseStoredBytesMax || start + bytes > blockOffset)
    return damaged(`${at}: it cannot rest on ${bytes} bytes from byte ${start} on`);
  return decoded({ base: { start, end: start + bytes }, frame: body.subarray(reader.offset) });
}
