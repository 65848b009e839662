import type { SignatureRefusal } from "../signature.ts";
import { S3Error } from "./s3-error.ts";

/** A signature that does not hold, as S3 words it. */
export function signatureError({ reason, text }: SignatureRefusal, presigned: boolean): S3Error {
  switch (reason) {
    case "missing":
      return new S3Error("AccessDenied", "Access Denied");
    case "malformed":
      return new S3Error(presigned ? "AuthorizationQueryParametersError" : "AuthorizationHeaderMalformed", text);
    case "wrong-scope":
      return new S3Error("AuthorizationHeaderMalformed", `The authorization header is malformed: ${text}`);
    case "unknown-key":
      return new S3Error("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", {
        AWSAccessKeyId: text,
      });
    case "skewed":
      return new S3Error(
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
        { RequestTime: text },
      );
    case "not-yet-valid":
      return new S3Error("AccessDenied", "Request is not yet valid", { RequestTime: text });
    case "expired":
      return new S3Error("AccessDenied", "Request has expired", { RequestTime: text });
    case "headers-not-signed":
      return new S3Error("AccessDenied", "There were headers present in the request which were not signed", {
        HeadersNotSigned: text,
      });
    case "mismatch":
      return new S3Error(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
        { CanonicalRequest: text },
      );
  }
}
