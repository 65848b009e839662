import { errorCodes, PayloadStoreError, type ErrorCode, type ErrorDetails } from "../core/errors.ts";

/** A problem document as the error that the server met. What is no such document is `UNAVAILABLE`: nobody knows the outcome. */
export async function errorFrom(response: Response): Promise<PayloadStoreError> {
  const text = await response.text().catch(() => "");
  const problem = parsed(text);
  const code = problem["code"];
  const detail = problem["detail"];
  if (typeof code !== "string" || !isErrorCode(code) || typeof detail !== "string") {
    const said = typeof detail === "string" ? detail : text.slice(0, 200);
    return new PayloadStoreError("UNAVAILABLE", `the server answered ${response.status}: ${said}`);
  }
  const {
    type: _type,
    title: _title,
    status: _status,
    detail: _detail,
    code: _code,
    retryable: _retryable,
    action: _action,
    ...details
  } = problem;
  return new PayloadStoreError(code, detail, { details: details as ErrorDetails });
}

/** @throws {PayloadStoreError} `UNAVAILABLE`; for a connection that fails, or breaks off in the middle of an answer */
export function connectionFailed(url: string): (cause: unknown) => never {
  return (cause) => {
    const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    const said = reason instanceof Error ? reason.message : String(reason);
    throw new PayloadStoreError("UNAVAILABLE", `the server at ${url} broke off: ${said}`, { cause });
  };
}

function parsed(text: string): Record<string, unknown> {
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
