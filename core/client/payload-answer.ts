import { hex } from "../bytes.ts";
import { PayloadStoreError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Attributes, PayloadHead, ReadRange } from "../payload.ts";
import type { ClientPlatform, FrameDecoders } from "./platform.ts";

/** What is known of a payload without reading it. Where its bytes lie is the server's affair. */
export type ClientHead = Omit<PayloadHead, "location">;

/** What reads the answers of one server. */
export interface AnswerReader {
  readonly sha256: ClientPlatform["sha256"];
  readonly decoders: FrameDecoders;
}

/** @throws {PayloadStoreError} `INVALID` when the answer is none of Paylode's: a wrong address answers 200 too */
export function headOf({ group, id }: Pick<ClientHead, "group" | "id">, headers: Headers): ClientHead {
  const etag = /^(?:W\/)?"([0-9a-f]{24})"$/.exec(headers.get("etag") ?? "")?.[1];
  const bytes = Number(headers.get("paylode-bytes") ?? Number.NaN);
  const timeMs = Date.parse(headers.get("paylode-time") ?? "");
  if (etag === undefined || !(bytes >= 0) || !(timeMs >= 0)) {
    throw new PayloadStoreError("INVALID", "the answer has no ETag, Paylode-Bytes and Paylode-Time: is it Paylode's?");
  }
  const isTyped = headers.get("paylode-content-type") !== "none";
  const contentType = isTyped ? (headers.get("content-type") ?? undefined) : undefined;
  const attributes = attributesOf(headers.get("paylode-attributes"));
  const expiresMs = expiryIn(headers.get("paylode-expires") ?? undefined);
  return { group, id, bytes, etag, contentType, attributes, timeMs, expiresMs };
}

/** When a payload expires, as the server tells it. */
export function expiryIn(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Date.parse(text);
}

/** The header that asks for payloads as they are stored. Without a hash to hold the result against, for none. */
export function acceptStored({ sha256, decoders }: AnswerReader): Readonly<Record<string, string>> {
  return sha256 ? { "paylode-accept-stored": Object.keys(decoders).join(", ") } : {};
}

function isStored(headers: Headers): boolean {
  return headers.has("paylode-stored-codec");
}

/**
 * A whole payload, decoded where it came as it is stored, and held against its length and its hash.
 * @throws {PayloadStoreError} `UNAVAILABLE` when it ends early, `CORRUPT` when it is not what was stored
 */
export async function wholeBody(response: Response, head: ClientHead, reader: AnswerReader): Promise<Uint8Array> {
  const { headers } = response;
  const received = new Uint8Array(await response.arrayBuffer());
  const sentBytes = isStored(headers) ? Number(headers.get("content-length") ?? 0) : head.bytes;
  if (received.length < sentBytes) throw cutOff(received.length, sentBytes);
  const body = isStored(headers) ? decoded(received, headers, head, reader.decoders) : received;
  if (body.length !== head.bytes) throw damaged(head, `it has ${body.length} bytes`);
  const hash = await reader.sha256?.(body);
  if (hash && !hex(hash).startsWith(head.etag)) throw damaged(head, "its hash is another one");
  return body;
}

function decoded(frame: Uint8Array, headers: Headers, head: ClientHead, decoders: FrameDecoders): Uint8Array {
  const codec = headers.get("paylode-stored-codec");
  // What comes as it is stored is one block: no more is allocated for it, whatever the headers say.
  const isBlock = head.bytes <= limits.blockRawBytesMax && (codec === "zstd" || codec === "lz4");
  const body = isBlock ? decoders[codec](frame, head.bytes) : undefined;
  if (!body) throw damaged(head, `its ${codec} frame of ${frame.length} bytes cannot be decoded`);
  return body;
}

/** The header of a range. One that holds nothing cannot be asked for. */
export function rangeHeader({ start, end }: ReadRange): Readonly<Record<string, string>> {
  return { range: `bytes=${start}-${Number.isSafeInteger(end) ? end - 1 : ""}` };
}

/** `application/x-www-form-urlencoded`: at most three times the attributes' own bytes, so that they fit a header. */
function attributesOf(header: string | null): Attributes | undefined {
  return header === null ? undefined : Object.fromEntries(new URLSearchParams(header));
}

/** Not every `fetch` sees that a body ends before its length. */
export function cutOff(bytes: number, ofBytes: number): PayloadStoreError {
  return new PayloadStoreError("UNAVAILABLE", `the answer broke off after ${bytes} of ${ofBytes} bytes`);
}

function damaged({ group, id, bytes, etag }: ClientHead, what: string): PayloadStoreError {
  const name = `payload ${JSON.stringify(id)} in group ${JSON.stringify(group)}`;
  return new PayloadStoreError("CORRUPT", `${name} of ${bytes} bytes, etag ${etag}, was damaged on its way: ${what}`, {
    details: { group, id },
  });
}
