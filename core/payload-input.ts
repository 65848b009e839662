import { utf8Length } from "./bytes.ts";
import { PayloadStoreError } from "./errors.ts";
import { checkedExpiry } from "./expiry.ts";
import { isWellFormed } from "./key.ts";
import { limits } from "./limits.ts";
import type { PayloadInput } from "./payload.ts";

const contentTypePattern = /^[\x20-\x7e]+$/;
const codecNames: readonly unknown[] = ["none", "lz4", "zstd"];

/** @throws {PayloadStoreError} `INVALID` or `TOO_LARGE`, naming the field and the bound; nothing is stored then. */
export function checkPayloadInput(input: PayloadInput, payloadBytesMax: number): void {
  const { bytes, codec } = input;
  if (!(bytes instanceof Uint8Array)) throw invalid("bytes", "the payload must be a Uint8Array");
  if (bytes.length > payloadBytesMax) {
    throw new PayloadStoreError("TOO_LARGE", `the payload has ${bytes.length} bytes; at most ${payloadBytesMax}`, {
      details: { bytes: bytes.length, bytesMax: payloadBytesMax },
    });
  }
  if (codec !== undefined && !codecNames.includes(codec)) {
    throw invalid("codec", `codec must be "none", "lz4" or "zstd"; got ${JSON.stringify(codec)}`);
  }
  checkPayloadHead(input);
}

/** What is kept of a payload beside its bytes. @throws {PayloadStoreError} `INVALID` */
export function checkPayloadHead({
  contentType,
  attributes,
  expiresAt,
  retention,
}: Pick<PayloadInput, "contentType" | "attributes" | "expiresAt" | "retention">): void {
  if (
    contentType !== undefined &&
    (typeof contentType !== "string" ||
      contentType.length > limits.contentTypeBytesMax ||
      !contentTypePattern.test(contentType))
  ) {
    throw invalid("contentType", `contentType must be 1–${limits.contentTypeBytesMax} printable ASCII characters`);
  }
  if (attributes !== undefined) checkAttributes(attributes);
  checkedExpiry(expiresAt);
  if (retention !== undefined && expiresAt !== undefined) {
    throw invalid("retention", "a payload has a retention class or an expiry of its own, not both");
  }
}

function checkAttributes(attributes: NonNullable<PayloadInput["attributes"]>): void {
  const pairs = Object.entries(attributes);
  if (pairs.length > limits.attributesCountMax) {
    throw invalid("attributes", `at most ${limits.attributesCountMax} attributes; got ${pairs.length}`);
  }
  let bytes = 0;
  for (const [name, value] of pairs) {
    if (typeof value !== "string" || name === "" || !isWellFormed(name) || !isWellFormed(value)) {
      throw invalid("attributes", `attribute ${JSON.stringify(name)} must be named and hold well-formed text`);
    }
    bytes += utf8Length(name) + utf8Length(value);
  }
  if (bytes > limits.attributesBytesMax) {
    throw invalid("attributes", `attributes have ${bytes} bytes; at most ${limits.attributesBytesMax}`);
  }
}

function invalid(field: string, message: string): PayloadStoreError {
  return new PayloadStoreError("INVALID", message, { details: { field } });
}
