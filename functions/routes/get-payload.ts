import type { Context } from "hono";
import * as v from "valibot";
import type { ResolvedKey } from "../../core/key.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import type { Payload, PayloadHead, ReadRange, StreamedPayload } from "../../core/payload.ts";
import type { PayloadStore } from "../../core/payload-store.ts";
import { parseRange, resolveRange, type ByteRange } from "../byte-range.ts";
import { listsEtag, quoted } from "../etag.ts";
import { bytesStream } from "../bytes-stream.ts";
import { expiresHeader, expiryText } from "../expiry.ts";
import { refusal } from "../http-errors.ts";
import { httpLimits } from "../http-limits.ts";
import { attributesHeader } from "../payload-attributes.ts";
import { problemSchema } from "../schemas.ts";
import { storedFormOf, vary, weak, type StoredForm } from "../stored-body.ts";
import type { Route } from "./route.ts";

const version = {
  ETag: "names the bytes: the same bytes have the same one for ever",
  "Last-Modified": "when they were stored, by the writer's clock",
  Vary: "the request's headers that the form of the bytes depends on",
};
const shape = {
  ...version,
  "Accept-Ranges": "bytes",
  "Content-Type": "as it was stored, else application/octet-stream",
  "Paylode-Bytes": "length of the payload",
  "Paylode-Time": "Last-Modified to the millisecond, as ISO 8601",
};

/**
 * GET and HEAD …/payloads/{id}: the bytes that were stored. If-None-Match → 304, Range → 206. Who can decode a stored block
 * gets it as it is: the server then neither decodes nor sends what compression saves.
 */
export const getPayload: Route = {
  description: {
    operationId: "getPayload",
    summary: "Read a payload",
    headers: {
      "If-None-Match": {
        description: "etags that are known, or *: 304 when one of them is still it",
        schema: v.string(),
      },
      Range: { description: "one range of bytes; anything else is answered with the whole", schema: v.string() },
      "If-Range": { description: "an etag: the range only of that version, else the whole", schema: v.string() },
      "Accept-Encoding": {
        description: "with zstd, a stored block may come with that Content-Encoding",
        schema: v.string(),
      },
      "Paylode-Accept-Stored": {
        description:
          "of zstd and lz4: a stored block may come as it is, named by Paylode-Stored-Codec. docs/http.md §3",
        schema: v.string(),
      },
    },
    answers: {
      200: { description: "The bytes.", headers: shape, content: [{ kind: "bytes" }] },
      206: {
        description: "A part of them.",
        headers: { ...shape, "Content-Range": "which part" },
        content: [{ kind: "bytes" }],
      },
      304: { description: "They are the ones that are known.", headers: version },
      416: {
        description: "INVALID: the range holds nothing.",
        headers: { "Content-Range": "how many bytes there are" },
        content: [{ kind: "problem", schema: problemSchema }],
      },
    },
    problems: ["NOT_FOUND", "CORRUPT", "UNSUPPORTED_VERSION"],
  },
  handle: async (context, key, store) => {
    const isHead = context.req.method === "HEAD";
    const known = context.req.header("if-none-match");
    const range = isHead ? undefined : parseRange(context.req.header("range"));
    const form = storedFormOf((name) => context.req.header(name));
    if (!isHead && known === undefined && range === undefined) return whole(store, key, form);

    const head = await store.head(key);
    if (!head) return absent(key);
    if (known !== undefined && listsEtag(known, head.etag)) {
      return new Response(null, { status: 304, headers: { ...validators(head), ...ifStored(form, head) } });
    }
    if (isHead) return new Response(null, { headers: headHeaders(head, form) });
    if (range === undefined || !rangeIsCurrent(context, head)) return whole(store, key, form);
    return part(store, key, head, range, form);
  },
};

/** Reads a part of the version that the range was measured on; when that was replaced meanwhile, the new one is given whole. */
async function part(
  store: PayloadStore,
  key: ResolvedKey,
  head: PayloadHead,
  range: ByteRange,
  form: StoredForm | undefined,
): Promise<Response> {
  const place = resolveRange(range, head.bytes);
  if (place === "unsatisfiable") {
    return refusal("INVALID", `the payload has ${head.bytes} bytes, and none of them is in the range`, {
      status: 416,
      title: "The range holds nothing",
      headers: { "content-range": `bytes */${head.bytes}` },
    });
  }
  if (place === "whole") return whole(store, key, form);
  const payload = await read(store, key, place);
  if (payload?.etag !== head.etag) return whole(store, key, form);
  const contentRange = `bytes ${place.start}-${place.end - 1}/${head.bytes}`;
  const length = { "content-length": String(place.end - place.start) };
  const headers = { ...headersOf(payload), ...length, "content-range": contentRange };
  return new Response(bodyOf(payload), { status: 206, headers });
}

/** If-Range: a part only of the version the client has the rest of. A date cannot say that exactly, so it never matches. */
function rangeIsCurrent(context: Context, head: PayloadHead): boolean {
  const condition = context.req.header("if-range")?.trim();
  return condition === undefined || condition === quoted(head.etag);
}

async function whole(store: PayloadStore, key: ResolvedKey, form: StoredForm | undefined): Promise<Response> {
  if (form) {
    const bytesMax = httpLimits.wholeBytesMax;
    const stored = await store.readStored(key, form.codecs, { bytesMax }).catch(whenTooLarge);
    if (!stored) return absent(key);
    if (stored !== "too large") {
      const length = { "content-length": String(stored.body.length) };
      const headers = { ...headersOf(stored), ...length, ...form.headers(stored.codec, stored.etag) };
      return new Response(bodyOf(stored), { headers });
    }
  }
  const payload = await read(store, key);
  if (!payload) return absent(key);
  const length = { "content-length": String(payload.bytes) };
  return new Response(bodyOf(payload), { headers: { ...headersOf(payload), ...length } });
}

/** A short payload, or part of one, in one piece; a long one as a stream. */
async function read(
  store: PayloadStore,
  key: ResolvedKey,
  range?: ReadRange,
): Promise<Payload | StreamedPayload | undefined> {
  const payload = await store.read(key, { range, bytesMax: httpLimits.wholeBytesMax }).catch(whenTooLarge);
  return payload === "too large" ? store.stream(key, { range }) : payload;
}

function whenTooLarge(error: unknown): "too large" {
  if (isPayloadStoreError(error, "TOO_LARGE")) return "too large";
  throw error;
}

function absent({ group, id }: ResolvedKey): Response {
  return refusal("NOT_FOUND", `no payload ${JSON.stringify(id)} in group ${JSON.stringify(group)}`);
}

function bodyOf({
  body,
}: {
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
}): Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> {
  return body instanceof Uint8Array ? (body as Uint8Array<ArrayBuffer>) : bytesStream(body);
}

/** Only the block itself tells whether it is sent as it is. Where it may be, nothing is said that a GET would not say. */
function headHeaders(head: PayloadHead, form: StoredForm | undefined): Record<string, string> {
  const length = mayBeStored(form, head) ? {} : { "content-length": String(head.bytes) };
  return { ...headersOf(head), ...length, ...ifStored(form, head) };
}

function ifStored(form: StoredForm | undefined, head: PayloadHead): Readonly<Record<string, string>> {
  return mayBeStored(form, head) ? { etag: weak(head.etag) } : {};
}

function mayBeStored(form: StoredForm | undefined, { location }: PayloadHead): boolean {
  return form !== undefined && location.start === 0 && form.codecs.includes(location.codec);
}

function validators({ etag, timeMs }: PayloadHead): Record<string, string> {
  return {
    etag: quoted(etag),
    "last-modified": new Date(timeMs).toUTCString(),
    // To be asked again each time: a payload can be replaced, and deleted for good.
    "cache-control": "private, no-cache",
    vary,
  };
}

function headersOf(head: PayloadHead): Record<string, string> {
  const { bytes, contentType, attributes, timeMs, expiresMs } = head;
  return {
    "content-type": contentType ?? "application/octet-stream",
    "accept-ranges": "bytes",
    // Stored bytes are anyone's: a browser neither guesses their type nor runs them as a page of this origin.
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
    "paylode-bytes": String(bytes),
    "paylode-time": new Date(timeMs).toISOString(),
    ...(contentType === undefined ? { "paylode-content-type": "none" } : {}),
    ...attributesHeader(attributes),
    ...(expiresMs === undefined ? {} : { [expiresHeader]: expiryText(expiresMs) }),
    ...validators(head),
  };
}
