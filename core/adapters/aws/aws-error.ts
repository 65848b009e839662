import { isPayloadStoreError, PayloadStoreError } from "../../errors.ts";

/** What to do about errors that only who runs the store can mend. */
const advice: Readonly<Record<string, string>> = {
  ResourceNotFoundException: "there is no such table: deploy it, or check its name and region",
  NoSuchBucket: "there is no such bucket: deploy it, or check its name and region",
  NotFound: "there is no such bucket: deploy it, or check its name and region",
  PermanentRedirect: "the bucket is in another region: set AWS_REGION",
  "301": "the bucket is in another region: set AWS_REGION",
  AccessDenied: "permission is denied: check the policy of the role",
  AccessDeniedException: "permission is denied: check the policy of the role",
  Forbidden: "permission is denied: check the policy of the role",
  "403": "permission is denied: check the policy of the role",
  CredentialsProviderError: "there are no credentials: set AWS_PROFILE or AWS_ACCESS_KEY_ID, or run with a role",
  UnrecognizedClientException: "the credentials are none of this account's: check them",
  InvalidAccessKeyId: "the credentials are none of this account's: check them",
  ExpiredTokenException: "the credentials have expired",
  ExpiredToken: "the credentials have expired",
  SlowDown: "the bucket throttles requests: try again later",
  "503": "the service throttles requests: try again later",
  ThrottlingException: "the table throttles requests: try again later",
  ProvisionedThroughputExceededException: "the table throttles requests: try again later",
  AbortError: "it took longer than its deadline",
  TimeoutError: "it took longer than its deadline",
};

/** An AWS error as the store's own: `UNAVAILABLE`, saying what was tried and what to do. */
export function awsError(error: unknown, action: string): PayloadStoreError {
  if (isPayloadStoreError(error)) return error;
  const name = errorName(error);
  const status = httpStatus(error);
  const what = advice[name] ?? advice[String(status)] ?? messageOf(error, status);
  return new PayloadStoreError("UNAVAILABLE", `${action}: ${what}`, {
    cause: error,
    details: { awsError: name, ...(status === undefined ? {} : { httpStatus: status }) },
  });
}

/** An answer to a HEAD has no body, and its error no message of its own. */
function messageOf(error: unknown, status: number | undefined): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === "UnknownError" && status !== undefined ? `HTTP ${status}` : error.message;
}

export function errorName(error: unknown): string {
  return error instanceof Error ? error.name : "";
}

export function httpStatus(error: unknown): number | undefined {
  const metadata = error instanceof Error && "$metadata" in error ? error.$metadata : undefined;
  return (metadata as { readonly httpStatusCode?: number } | undefined)?.httpStatusCode;
}
