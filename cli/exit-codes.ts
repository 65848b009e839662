import { isPayloadStoreError, type ErrorCode } from "../core/errors.ts";

/** What the process says to scripts. Documented in `paylode --help`. */
export const exitCodes = { ok: 0, notFound: 1, usage: 2, store: 3 } as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ends a command with a message for people and a code for scripts. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure" as const;
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandFailure) return error.exitCode;
  const codes: Partial<Record<ErrorCode, ExitCode>> = { NOT_FOUND: exitCodes.notFound, INVALID: exitCodes.usage };
  return isPayloadStoreError(error) ? (codes[error.code] ?? exitCodes.store) : exitCodes.store;
}
