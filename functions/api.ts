import { lambdaApi } from "./lambda-api.ts";
import type { LambdaRuntime } from "./lambda-runtime.ts";
import { lambdaBackend } from "./lambda-store.ts";

declare const awslambda: LambdaRuntime;

const api = lambdaApi({
  runtime: awslambda,
  backend: (remainingMs) => lambdaBackend(process.env, remainingMs),
  functionName: process.env["AWS_LAMBDA_FUNCTION_NAME"] ?? "unknown",
});
// Before the first request a function has more of the CPU than later, and nobody waits yet where capacity is provisioned.
await api.warmUp();

/** The entry of the function behind the URL: infra/api.ts. */
export const handler = awslambda.streamifyResponse(api.handle);
