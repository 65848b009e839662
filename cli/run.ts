import process from "node:process";
import { CommanderError } from "commander";
import { errorCodes, isPayloadStoreError, type PayloadStoreError } from "../core/errors.ts";
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

/** What is known here of an outcome that its code leaves open. */
function actionOn({ code, details }: PayloadStoreError): string {
  if (code === "UNAVAILABLE" && details["sent"] === false) return "nothing was sent: start it, or name another address";
  return errorCodes[code].action;
}

function explain(error: unknown): string {
  if (isPayloadStoreError(error)) return `${error.message} (${error.code}: ${actionOn(error)})`;
  if (error instanceof CommandFailure) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
