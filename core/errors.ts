export type ErrorCode =
  | "INVALID"
  | "UNAUTHENTICATED"
  | "FORBIDDEN"
  | "NOT_FOUND"
  | "EXISTS"
  | "CONFLICT"
  | "KEY_REUSED"
  | "TOO_LARGE"
  | "QUOTA_EXCEEDED"
  | "GONE"
  | "CORRUPT"
  | "UNSUPPORTED"
  | "UNSUPPORTED_VERSION"
  | "UNAVAILABLE"
  | "LOCKED"
  | "CLOSED"
  | "ABORTED";

/**
 * What a caller can do about each error. `retryable` is a property of the code, so callers never guess.
 * Add a code only if a caller would act differently.
 */
export const errorCodes: Readonly<Record<ErrorCode, { readonly retryable: boolean; readonly action: string }>> = {
  INVALID: { retryable: false, action: "fix the request" },
  UNAUTHENTICATED: { retryable: false, action: "send a key that is in force; `paylode keys create` makes one" },
  FORBIDDEN: { retryable: false, action: "use a key that has the scope" },
  NOT_FOUND: { retryable: false, action: "check the name" },
  EXISTS: { retryable: false, action: "read what is there, or choose another id" },
  CONFLICT: { retryable: true, action: "read again, then retry" },
  KEY_REUSED: { retryable: false, action: "send another request with another idempotency key" },
  TOO_LARGE: { retryable: false, action: "send less at once" },
  QUOTA_EXCEEDED: { retryable: true, action: "retry when the next window begins, or use a key with a larger quota" },
  GONE: { retryable: false, action: "look the payload up by its key" },
  CORRUPT: {
    retryable: false,
    action: "run `paylode verify`; restore the segment it names, or run `paylode repair`",
  },
  UNSUPPORTED: { retryable: false, action: "do it another way: the message says which" },
  UNSUPPORTED_VERSION: { retryable: false, action: "open it with the release that wrote it, or a newer one" },
  UNAVAILABLE: { retryable: true, action: "retry later; the outcome of a write is unknown until it is read back" },
  LOCKED: { retryable: true, action: "use the process that holds the store, or stop it" },
  CLOSED: { retryable: false, action: "open the store again" },
  ABORTED: { retryable: false, action: "none: the caller cancelled" },
};

/** Facts of an error, JSON-safe, for logs and problem documents. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean>>;

/**
 * The one error class of the product: the code says what to do, the message says what happened.
 * Messages hold the names and numbers and are not API; codes are.
 */
export class PayloadStoreError extends Error {
  override readonly name = "PayloadStoreError" as const;
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: ErrorDetails } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options.details ?? {};
  }

  get retryable(): boolean {
    return errorCodes[this.code].retryable;
  }
}

export function isPayloadStoreError(error: unknown, code?: ErrorCode): error is PayloadStoreError {
  return error instanceof PayloadStoreError && (code === undefined || error.code === code);
}

/** @throws {PayloadStoreError} `ABORTED` once the signal has fired; what was already durable stays. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new PayloadStoreError("ABORTED", "the caller aborted the operation", { cause: signal.reason });
}
