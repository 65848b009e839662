import type { ByteReader, ByteWriter } from "../byte-stream.ts";
import { invariant } from "../invariant.ts";
import { limits } from "../limits.ts";

/** A request that may be sent again: the same key with the same body has the same answer. */
export interface PageRequest {
  /** Chosen by the caller, unique in its group. */
  readonly key: string;
  /** The first 128 bits of the SHA-256 of what was asked. */
  readonly bodyHash: Uint8Array;
}

export const bodyHashBytes = 16;

export function writeRequest(writer: ByteWriter, { key, bodyHash }: PageRequest): void {
  invariant(bodyHash.length === bodyHashBytes, "body hash length");
  writer.text(key);
  writer.bytes(bodyHash);
}

export function readRequest(reader: ByteReader): PageRequest {
  const key = reader.text(limits.idempotencyKeyBytesMax);
  return { key, bodyHash: new Uint8Array(reader.bytes(bodyHashBytes)) };
}
