import { errorCodes, PayloadStoreError, type ErrorCode, type ErrorDetails } from "../errors.ts";

/** An attempt that brought no answer, and whether another one may. */
export interface Failure {
  readonly error: PayloadStoreError;
  /** The same request may succeed later. */
  readonly isTransient: boolean;
  /** How long the server asks to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

/**
 * What a refusal says. A problem document is the error that the server met; of anything else only the status is known,
 * and that it may not come from Paylode.
 */
export async function failureOf(response: Response): Promise<Failure> {
  const text = await response.text().catch(() => "");
  const problem = parsed(text);
  const { status } = response;
  // An answer to HEAD has headers alone.
  const code = problem["code"] ?? response.headers.get("paylode-code");
  const isTransient = isTransientAnswer(status, code, problem["retryable"]);
  const retryAfterMs = retryAfterOf(response.headers);
  if (typeof code !== "string") {
    // What follows the path may be a signature.
    const from = response.url.split("?")[0] || "the server";
    const message = `${from} answered ${status}, and not as Paylode does: ${text.slice(0, 200)}`;
    const error = new PayloadStoreError(codeOf(status), message, { details: { status } });
    return { error, isTransient, retryAfterMs };
  }
  const known = isErrorCode(code) ? code : codeOf(status);
  const details = { ...detailsOf(problem), status, ...(known === code ? {} : { code }) };
  const message = typeof problem["detail"] === "string" ? problem["detail"] : `the server answered ${status}`;
  return { error: new PayloadStoreError(known, message, { details }), isTransient, retryAfterMs };
}

/** A connection that fails, or breaks off in the middle of an answer: nobody knows what became of the request. */
export function brokenOff(url: string, cause: unknown): Failure {
  // Node says "fetch failed", and the reason one cause deeper.
  const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const said = reason instanceof Error ? reason.message : String(reason);
  const error = new PayloadStoreError("UNAVAILABLE", `the server at ${url} broke off: ${said}`, { cause });
  return { error, isTransient: true };
}

/** The error for one line of a batch that was not stored. */
export function lineFailure(status: number, code: unknown, detail: unknown): Failure {
  const known = typeof code === "string" && isErrorCode(code) ? code : codeOf(status);
  const message = typeof detail === "string" ? detail : `the server answered ${status}`;
  return { error: new PayloadStoreError(known, message), isTransient: isTransientAnswer(status, code, undefined) };
}

/**
 * 429 and 5xx pass, unless they say that they do not: damage does, what a server cannot do does. A server that is stopping
 * says so too, and another one takes its place. `CONFLICT` is lost races, and is repeated like one more.
 */
function isTransientAnswer(status: number, code: unknown, retryable: unknown): boolean {
  if (code === "CONFLICT" || code === "CLOSED" || status === 429) return true;
  if (status < 500 || retryable === false) return false;
  return typeof code !== "string" || retryable === true || (isErrorCode(code) && errorCodes[code].retryable);
}

/** What a status means where no code of ours says more. 404 alone is no absence: a wrong address has it too. */
function codeOf(status: number): ErrorCode {
  if (status === 401) return "UNAUTHENTICATED";
  if (status === 403) return "FORBIDDEN";
  if (status === 413) return "TOO_LARGE";
  if (status === 429) return "QUOTA_EXCEEDED";
  return status >= 500 ? "UNAVAILABLE" : "INVALID";
}

/** RFC 9110 §10.2.3: seconds, or a date, which is held against the server's own so that no clocks are compared. */
function retryAfterOf(headers: Headers): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const ms = Date.parse(text) - Date.parse(headers.get("date") ?? "");
  return ms >= 0 ? ms : undefined;
}

const standardMembers = new Set(["type", "title", "status", "detail", "code", "retryable", "action"]);

function detailsOf(problem: Readonly<Record<string, unknown>>): ErrorDetails {
  const others = Object.entries(problem).filter(
    (member): member is [string, string | number | boolean] =>
      !standardMembers.has(member[0]) && ["string", "number", "boolean"].includes(typeof member[1]),
  );
  return Object.fromEntries(others);
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code);
}
