import { lambdaCompact } from "./lambda-compact.ts";
import { lambdaBackend } from "./lambda-store.ts";

/** The entry of the function that the schedule starts: infra/compaction.ts. */
export const handler = lambdaCompact({
  backend: (remainingMs) => lambdaBackend(process.env, remainingMs),
  functionName: process.env["AWS_LAMBDA_FUNCTION_NAME"] ?? "unknown",
  write: (line) => process.stdout.write(line),
});
