import { hex, utf8 } from "../bytes.ts";
import { isPayloadStoreError, PayloadStoreError } from "../errors.ts";
import { checkedExpiry } from "../expiry.ts";
import { checkPayloadHead } from "../payload-input.ts";
import type { AppendOptions, Location } from "../payload.ts";
import { clientLimits } from "./client-limits.ts";
import { answerOf } from "./json-answer.ts";
import { checkMs } from "./options.ts";
import type { ClientRequest, Transport } from "./transport.ts";

export interface UploadOptions extends Omit<AppendOptions, "codec"> {
  /** SHA-256 of the bytes, 64 hex digits. By default it is computed, of a `Uint8Array` alone: a `Blob` would be read into memory. */
  readonly sha256?: string | undefined;
  /** Longest time of the whole, in milliseconds; an hour by default, after which what was begun can no longer be put. */
  readonly deadlineMs?: number | undefined;
}

interface Begun {
  readonly upload: string;
  readonly url: string;
  readonly method: "PUT";
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Stores a payload past the server: it signs a URL for these very bytes, they are put there, and it compares and commits them.
 * docs/http.md §2.
 *
 * Each step is repeated as any call is. What an earlier attempt has put already is committed.
 *
 * @param path  of the payload
 * @param idempotencyKey  of the commit
 */
export async function upload(
  transport: Transport,
  path: string,
  body: Uint8Array | Blob,
  options: UploadOptions,
  idempotencyKey: string,
): Promise<Location> {
  const { contentType, attributes, ifAbsent, signal, deadlineMs = clientLimits.uploadDeadlineMsDefault } = options;
  checkPayloadHead(options);
  checkMs("deadlineMs", deadlineMs);
  const expiresMs = checkedExpiry(options.expiresAt);
  const bytes = body instanceof Uint8Array ? body.length : body.size;
  const sha256 = options.sha256 ?? (await hashOf(transport, body));
  const { timers } = transport.platform;
  const endMs = timers.nowMs() + deadlineMs;
  const within = () => ({ signal, deadlineMs: Math.max(1, endMs - timers.nowMs()) });

  const begin = jsonRequest(`${path}/upload`, { bytes, sha256 });
  const begun = await transport.send({ ...begin, ...within() }, (response) => answerOf<Begun>(response, ["upload"]));
  await put(transport, begun, body, within());
  const commit = jsonRequest(`${path}/commit`, {
    upload: begun.upload,
    bytes,
    sha256,
    contentType,
    attributes,
    expiresAt: expiresMs === undefined ? undefined : new Date(expiresMs).toISOString(),
  });
  const headers = {
    ...commit.headers,
    "idempotency-key": idempotencyKey,
    ...(ifAbsent === true ? { "if-none-match": "*" } : {}),
  };
  // The server reads all that was put.
  const request = { ...commit, headers, ...within(), attemptMs: clientLimits.uploadCommitMs };
  return (await transport.send(request, (response) => answerOf<{ location: Location }>(response, ["location"])))
    .location;
}

/** The URL takes bytes once: where an attempt finds some, its answer was lost, and the commit tells whether they are these. */
async function put(
  transport: Transport,
  { url, method, headers }: Begun,
  body: Uint8Array | Blob,
  options: Pick<ClientRequest, "signal"> & { readonly deadlineMs: number },
): Promise<void> {
  // `fetch` says itself how long a body is, and lets nobody else do so.
  const { "content-length": _length, ...sent } = headers;
  const request: ClientRequest = {
    method,
    path: "",
    url,
    headers: sent,
    body,
    attemptMs: options.deadlineMs,
    ...options,
  };
  try {
    await transport.send(request, async (response) => void (await response.arrayBuffer()));
  } catch (error) {
    if (!isPayloadStoreError(error) || error.details["status"] !== 412) throw error;
  }
}

async function hashOf({ platform: { sha256 } }: Transport, body: Uint8Array | Blob): Promise<string> {
  if (body instanceof Uint8Array && sha256) return hex(await sha256(body));
  const why = sha256 ? "a Blob is not read to be hashed" : "there is no SHA-256 here";
  throw new PayloadStoreError("INVALID", `sha256 is missing: ${why}, so name it`, { details: { field: "sha256" } });
}

function jsonRequest(path: string, value: object) {
  const headers = { "content-type": "application/json" };
  return { method: "POST", path, headers, body: utf8(JSON.stringify(value)) } as const;
}
