import process from "node:process";
import { CommanderError } from "commander";
import { errorCodes, isPayloadStoreError } from "../core/errors.ts";
import { CommandFailure, exitCodeOf, exitCodes, type ExitCode } from "./exit-codes.ts";
import { createProgram } from "./program.ts";

/** Runs one command line. @returns the process's exit code; messages are on standard error by then. */
export async function run(args: readonly string[]): Promise<ExitCode> {
  // Who writes learns of it; without a listener the process would die before the store is closed.
  process.stdout.on("error", () => {});
  try {
    await createProgram().parseAsync(args, { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    // Commander has printed its message. Help and version end this way too, with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    // The reader of a pipe has seen enough, like `head`.
    if ((error as NodeJS.ErrnoException).code === "EPIPE") return exitCodes.ok;
    process.stderr.write(`paylode: ${explain(error)}\n`);
    return exitCodeOf(error);
  }
}

function explain(error: unknown): string {
  if (isPayloadStoreError(error)) return `${error.message} (${error.code}: ${errorCodes[error.code].action})`;
  if (error instanceof CommandFailure) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
