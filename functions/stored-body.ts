import type { CodecCode } from "../core/ports/codec.ts";
import { quoted } from "./etag.ts";

/** How a client takes payloads as they are stored: in which codecs, and what the answer then says of itself. */
export interface StoredForm {
  readonly codecs: readonly CodecCode[];
  headers(codec: CodecCode, etag: string): Readonly<Record<string, string>>;
}

/** What an answer depends on besides its address. */
export const vary = "Accept-Encoding, Paylode-Accept-Stored";

/**
 * What a request's `Accept-Encoding` and `Paylode-Accept-Stored` ask for. docs/http.md §3.
 *
 * zstd is a content coding of HTTP (RFC 8878), LZ4 is none, and some clients decode content codings themselves, others do
 * not say whether they did. So clients of ours ask by a header of ours, and it goes first.
 */
export function storedFormOf(header: (name: string) => string | undefined): StoredForm | undefined {
  const listed = codings(header("paylode-accept-stored"));
  const codecs = storedCodecs.filter(({ name }) => listed.has(name));
  if (codecs.length > 0) return { codecs: codecs.map(({ code }) => code), headers: storedHeaders };
  return codings(header("accept-encoding")).has("zstd") ? { codecs: [zstd.code], headers: encodedHeaders } : undefined;
}

const zstd = { name: "zstd", code: 2 } as const;
const storedCodecs = [zstd, { name: "lz4", code: 1 }] as const;

function storedHeaders(codec: CodecCode, etag: string): Readonly<Record<string, string>> {
  const name = storedCodecs.find(({ code }) => code === codec)?.name;
  return name === undefined ? {} : { "paylode-stored-codec": name, etag: weak(etag) };
}

function encodedHeaders(codec: CodecCode, etag: string): Readonly<Record<string, string>> {
  return codec === zstd.code ? { "content-encoding": zstd.name, etag: weak(etag) } : {};
}

/** A strong etag names bytes as they are sent, RFC 9110 §8.8.3.3: another encoding of the same payload has a weak one. */
export function weak(etag: string): string {
  return `W/${quoted(etag)}`;
}

/** Names in a list like `gzip, zstd;q=0.5`, without those that weigh nothing. */
function codings(list: string | undefined): ReadonlySet<string> {
  const parts = (list ?? "").toLowerCase().split(",");
  return new Set(parts.filter((part) => !/;\s*q=0(?:\.0*)?\s*$/.test(part)).map((part) => part.split(";")[0]!.trim()));
}
