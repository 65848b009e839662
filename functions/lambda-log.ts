import { type ErrorDetails, isPayloadStoreError } from "../core/errors.ts";

/** What an error has to say to whoever runs the function. */
export interface Fault {
  readonly code: string;
  readonly details?: ErrorDetails;
  /** The name of what lies behind it. */
  readonly cause?: string;
  readonly stack?: readonly string[];
}

/**
 * An error for the log, which holds no group, id, key, or byte of a payload: messages can, so they are left out, and of the
 * details only those are kept that cannot. What it takes to find the damage is among them.
 */
export function faultOf(error: unknown): Fault {
  const cause = error instanceof Error && error.cause instanceof Error ? { cause: error.cause.name } : {};
  if (isPayloadStoreError(error)) {
    const told = Object.entries(error.details).filter(([name]) => toldDetails.has(name));
    return { code: error.code, details: Object.fromEntries(told), ...cause };
  }
  const code = error instanceof Error ? error.name : typeof error;
  return { code, ...cause, stack: framesOf(error) };
}

/** An error of which the message is known to name nothing but buckets, tables and variables. */
export function failedToOpen(error: unknown): object {
  const message = error instanceof Error ? error.message : String(error);
  return { message: `the store cannot be opened: ${message}`, ...faultOf(error) };
}

const toldDetails: ReadonlySet<string> = new Set([
  "awsError",
  "bytes",
  "end",
  "expected",
  "field",
  "found",
  "httpStatus",
  "knownMs",
  "offset",
  "segment",
  "sequence",
  "signedMs",
  "start",
  "table",
  "tenant",
  "upload",
]);

/** A stack begins with the message, which may have several lines. */
function framesOf(error: unknown): readonly string[] {
  const lines = error instanceof Error ? (error.stack ?? "").split("\n") : [];
  return lines.filter((line) => /^ {4}at /.test(line)).map((line) => line.trim());
}
