import type { Context } from "hono";
import * as v from "valibot";
import type { ResolvedKey } from "../../core/key.ts";
import type { Payload, PayloadHead } from "../../core/payload.ts";
import type { PayloadStore } from "../../core/payload-store.ts";
import { parseRange, resolveRange, type ByteRange } from "../byte-range.ts";
import { listsEtag, quoted } from "../etag.ts";
import { refusal } from "../http-errors.ts";
import { problemSchema } from "../schemas.ts";
import type { Route } from "./route.ts";

const version = {
  ETag: "names the bytes: the same bytes have the same one for ever",
  "Last-Modified": "when they were stored, by the writer's clock",
};
const shape = {
  ...version,
  "Accept-Ranges": "bytes",
  "Content-Length": "bytes of this answer",
  "Content-Type": "as it was stored, else application/octet-stream",
};

/** GET and HEAD …/payloads/{id}: the bytes as they were stored. If-None-Match → 304, Range → 206. */
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
    if (!isHead && known === undefined && range === undefined) return whole(await store.read(key), key);

    const head = await store.head(key);
    if (!head) return absent(key);
    if (known !== undefined && listsEtag(known, head.etag)) {
      return new Response(null, { status: 304, headers: validators(head) });
    }
    if (isHead) return new Response(null, { headers: headersOf(head, head.bytes) });
    if (range === undefined || !rangeIsCurrent(context, head)) return whole(await store.read(key), key);
    return part(store, key, head, range);
  },
};

/** Reads a part of the version that the range was measured on; when that was replaced meanwhile, the new one is given whole. */
async function part(store: PayloadStore, key: ResolvedKey, head: PayloadHead, range: ByteRange): Promise<Response> {
  const place = resolveRange(range, head.bytes);
  if (place === "unsatisfiable") {
    return refusal("INVALID", `the payload has ${head.bytes} bytes, and none of them is in the range`, {
      status: 416,
      title: "The range holds nothing",
      headers: { "content-range": `bytes */${head.bytes}` },
    });
  }
  if (place === "whole") return whole(await store.read(key), key);
  const payload = await store.read(key, { range: place });
  if (payload?.etag !== head.etag) return whole(await store.read(key), key);
  const contentRange = `bytes ${place.start}-${place.end - 1}/${head.bytes}`;
  return new Response(bodyOf(payload), {
    status: 206,
    headers: { ...headersOf(payload, payload.body.length), "content-range": contentRange },
  });
}

/** If-Range: a part only of the version the client has the rest of. A date cannot say that exactly, so it never matches. */
function rangeIsCurrent(context: Context, head: PayloadHead): boolean {
  const condition = context.req.header("if-range")?.trim();
  return condition === undefined || condition === quoted(head.etag);
}

function whole(payload: Payload | undefined, key: ResolvedKey): Response {
  return payload ? new Response(bodyOf(payload), { headers: headersOf(payload, payload.bytes) }) : absent(key);
}

function absent({ group, id }: ResolvedKey): Response {
  return refusal("NOT_FOUND", `no payload ${JSON.stringify(id)} in group ${JSON.stringify(group)}`);
}

function bodyOf(payload: Payload): Uint8Array<ArrayBuffer> {
  return payload.body as Uint8Array<ArrayBuffer>;
}

function validators({ etag, timeMs }: PayloadHead): Record<string, string> {
  return {
    etag: quoted(etag),
    "last-modified": new Date(timeMs).toUTCString(),
    // To be asked again each time: a payload can be replaced, and deleted for good.
    "cache-control": "private, no-cache",
  };
}

function headersOf(head: PayloadHead, length: number): Record<string, string> {
  return {
    "content-length": String(length),
    "content-type": head.contentType ?? "application/octet-stream",
    "accept-ranges": "bytes",
    // Stored bytes are anyone's: a browser neither guesses their type nor runs them as a page of this origin.
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
    ...validators(head),
  };
}
