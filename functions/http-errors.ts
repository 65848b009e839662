import { errorCodes, isPayloadStoreError, PayloadStoreError, type ErrorCode } from "../core/errors.ts";

/** Code → status. Clients branch on the code; the status is for proxies, logs and browsers. */
export const statusOf = {
  INVALID: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  EXISTS: 412,
  CONFLICT: 409,
  KEY_REUSED: 409,
  TOO_LARGE: 413,
  QUOTA_EXCEEDED: 429,
  GONE: 410,
  CORRUPT: 500,
  UNSUPPORTED: 501,
  UNSUPPORTED_VERSION: 500,
  UNAVAILABLE: 503,
  LOCKED: 503,
  CLOSED: 503,
  // nginx's number for a client that went away; nobody is left to read it, but logs are.
  ABORTED: 499,
} as const satisfies Record<ErrorCode, number>;

const titles = {
  INVALID: "The request is not valid",
  UNAUTHENTICATED: "The request has no key that is in force",
  FORBIDDEN: "The key may not do this",
  NOT_FOUND: "There is nothing by this name",
  EXISTS: "There is already a payload by this name",
  CONFLICT: "Another writer was faster",
  KEY_REUSED: "The idempotency key belongs to another request",
  TOO_LARGE: "The request is too large",
  QUOTA_EXCEEDED: "The key's quota is used up",
  GONE: "The bytes have moved",
  CORRUPT: "The stored bytes are damaged",
  UNSUPPORTED: "This server does not do that",
  UNSUPPORTED_VERSION: "The stored format is not known to this release",
  UNAVAILABLE: "The store does not answer",
  LOCKED: "Another process holds the store",
  CLOSED: "The store is closed",
  ABORTED: "The request was cancelled",
} as const satisfies Record<ErrorCode, string>;

/** Seconds a client should wait before it tries again, where the error does not say. The local store mends itself in far less, or not at all. */
const retryAfterSeconds = 1;

export interface ProblemOptions {
  /** Instead of the code's own, for what only HTTP knows: 405, 416, 421. */
  readonly status?: number;
  readonly title?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An error as an RFC 9457 problem document. What is not ours is reported without a word of its message. */
export function problemOf(error: unknown, options: ProblemOptions = {}): Response {
  if (!isPayloadStoreError(error)) return internalProblem();
  const status = options.status ?? statusOf[error.code];
  return problem(
    {
      ...error.details,
      type: `urn:paylode:error:${error.code}`,
      title: options.title ?? titles[error.code],
      status,
      detail: error.message,
      code: error.code,
      retryable: error.retryable,
      action: errorCodes[error.code].action,
    },
    { ...retryAfter(status, error), ...options.headers },
  );
}

function retryAfter(status: number, { details }: PayloadStoreError): Readonly<Record<string, string>> {
  if (status !== 429 && status !== 503) return {};
  return { "retry-after": String(details["retryAfterSeconds"] ?? retryAfterSeconds) };
}

/** A problem that arises before the store is asked. */
export function refusal(code: ErrorCode, detail: string, options: ProblemOptions = {}): Response {
  return problemOf(new PayloadStoreError(code, detail), options);
}

type ProblemDocument = Readonly<Record<string, string | number | boolean>> & {
  readonly status: number;
  readonly code: string;
};

function internalProblem(): Response {
  const title = "Internal error";
  const detail = "the server failed in a way it did not expect; its log says more";
  return problem({ type: "about:blank", title, status: 500, detail, code: "INTERNAL", retryable: false }, {});
}

function problem(document: ProblemDocument, headers: Readonly<Record<string, string>>): Response {
  return new Response(`${JSON.stringify(document)}\n`, {
    status: document.status,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      // An answer to HEAD has nothing else to say it with.
      "paylode-code": document.code,
      ...headers,
    },
  });
}
