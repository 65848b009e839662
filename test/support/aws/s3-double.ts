import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { faultSchedule } from "./faults.ts";
import type { Fault, FaultPlan, NetworkFaultKind } from "./faults.ts";
import { bodyOf, headersOf, serveLoopback, underFault } from "./loopback-server.ts";
import { requestLog, unanswered } from "./request-log.ts";
import type { LoggedRequest, RequestLog } from "./request-log.ts";
import type { Bucket, S3Answer } from "./s3-double/bucket.ts";
import { operations } from "./s3-double/operations.ts";
import { checkedPayload } from "./s3-double/payload.ts";
import { signatureError } from "./s3-double/refusals.ts";
import { routeRequest } from "./s3-double/route.ts";
import type { S3Operation, S3Request } from "./s3-double/route.ts";
import { S3Error } from "./s3-double/s3-error.ts";
import { cutUpload, sendAnswer } from "./s3-double/send.ts";
import type { Delivery } from "./s3-double/send.ts";
import { s3Clients } from "./s3-server.ts";
import type { S3Server } from "./s3-server.ts";
import { refuseSignature } from "./signature.ts";

export type { S3Operation } from "./s3-double/route.ts";

/**
 * - `slow-down`: 503, what S3 answers to too many requests. `internal-error`: 500. The SDK retries both.
 * - `access-denied`: 403. `conflict`: 409, what S3 answers to a conditional write that meets another write.
 * - `cut-upload`: the connection is reset in the middle of the request's body; nothing takes effect.
 * - `cut-download`: the connection ends in the middle of the answer's body.
 * - `slow-download`: the answer's body comes in 8 pieces, `delayMs` before each.
 */
export type S3FaultKind =
  | NetworkFaultKind
  | "slow-down"
  | "internal-error"
  | "access-denied"
  | "conflict"
  | "cut-upload"
  | "cut-download"
  | "slow-download";

export interface S3FaultPlan extends FaultPlan<S3Operation, S3FaultKind> {
  /** Of `slow-download`; 20 by default. */
  readonly delayMs?: number;
}

export interface LoggedS3Request extends LoggedRequest<S3Operation> {
  /** The `Range` header. */
  readonly range: string | undefined;
}

/** See {@link startS3Double}. */
export interface S3Double extends S3Server {
  /** Plans a fault: `double.fault({ kind: "reset", when: "after", operation: "PutObject" })`. */
  fault(plan: S3FaultPlan): Fault;
  /** Every request whose operation the double knows, also those that it refused. */
  readonly log: RequestLog<LoggedS3Request>;
}

export interface S3DoubleOptions {
  /** The server's clock, by which it judges signatures and dates objects: milliseconds since 1970. */
  readonly nowMs?: () => number;
}

/**
 * Starts an S3 server in this process, in memory, on a free port of the loopback.
 *
 * It does what S3 documents for the operations that it knows ({@link S3Operation}), path-style, in one region, without
 * versions: signatures in headers and in presigned URLs, conditions, ranges, checksums, multipart uploads, errors as S3
 * words them. What it does not know it refuses with `NotImplemented`, and never passes over. Operations take effect
 * one at a time and at once, so that they are linearizable, as those of S3 on one key are.
 *
 * ```ts
 * const double = await startS3Double();
 * const bucket = await double.freshBucket();
 * const s3 = double.client({ maxAttempts: 1 });
 *
 * const late = double.fault({ kind: "hold", when: "after", operation: "PutObject", key: /^segments\// });
 * const put = s3.send(new PutObjectCommand({ Bucket: bucket, Key: "segments/a", Body: "…" }));
 * await late.struck; // it has taken effect, and its answer waits
 * late.release();
 * await put;
 *
 * expect(double.log.count({ operation: "PutObject" })).toBe(1);
 * await double.close();
 * ```
 */
export async function startS3Double({ nowMs = Date.now }: S3DoubleOptions = {}): Promise<S3Double> {
  const credentials = { accessKeyId: "double", secretAccessKey: "secret-of-the-double" };
  const secrets = new Map([[credentials.accessKeyId, credentials.secretAccessKey]]);
  const buckets = new Map<string, Bucket>();
  const faults = faultSchedule<S3FaultPlan>();
  const log = requestLog<LoggedS3Request>();

  /** The clock is read when the work begins, so that a request that was held is judged by when it arrived at last. */
  const perform = (message: IncomingMessage, request: S3Request, raw: Uint8Array): S3Answer =>
    answered(() => {
      const refusal = refuseSignature(
        { method: message.method ?? "", target: message.url ?? "", headers: headersOf(message), body: raw },
        { service: "s3", region, secrets, nowMs: nowMs(), skewMsMax },
      );
      if (refusal !== undefined) throw signatureError(refusal, request.query.has("X-Amz-Algorithm"));
      const payload = checkedPayload(request.headers, raw);
      return operations[request.operation]({ request, payload, buckets, nowMs: nowMs() });
    });

  const handle = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const request = routed(message);
    if ("status" in request) {
      await bodyOf(message);
      await sendAnswer(message, response, request, nowMs());
      return;
    }

    const { operation, bucket: resource, headers } = request;
    const key = request.key || request.query.get("prefix");
    const strike = faults.next({ operation, resource, key });
    const { kind: fault, delayMs = 20 } = strike?.plan ?? { kind: undefined };
    const note = log.add({ operation, resource, key, range: headers.get("range"), fault, ...unanswered });
    if (fault === "cut-upload") {
      note({ requestBytes: await cutUpload(message) });
      return;
    }

    const raw = await bodyOf(message);
    note({ requestBytes: Number(headers.get("x-amz-decoded-content-length") ?? raw.length) });
    const answer = await underFault(strike, message, () => perform(message, request, raw), refusedBy);
    if (answer === undefined) return;
    const responseBytes = await sendAnswer(message, response, answer, nowMs(), deliveryOf(fault, delayMs));
    note({ status: answer.status, errorCode: answer.errorCode, responseBytes });
  };

  const server = await serveLoopback(handle);
  const clients = s3Clients(server.url, credentials);
  return {
    url: server.url,
    credentials,
    client: clients.client,
    freshBucket() {
      const name = `test-${randomBytes(8).toString("hex")}`;
      buckets.set(name, { objects: new Map(), uploads: new Map() });
      return Promise.resolve(name);
    },
    fault: (plan) => faults.add(plan),
    log,
    async close() {
      clients.destroy();
      faults.clear();
      await server.close();
    },
  };
}

const region = "us-east-1";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html: a quarter of an hour, either way. */
const skewMsMax = 15 * 60 * 1_000;

function routed(message: IncomingMessage): S3Request | S3Answer {
  try {
    return routeRequest(message.method ?? "", message.url ?? "", headersOf(message));
  } catch (error) {
    return errorAnswer(error);
  }
}

function answered(work: () => S3Answer): S3Answer {
  try {
    return work();
  } catch (error) {
    return errorAnswer(error);
  }
}

function errorAnswer(error: unknown): S3Answer {
  if (error instanceof S3Error) return error.toAnswer();
  throw error;
}

/** What a fault of the service answers; `undefined` for all others. */
export function refusedBy(kind: S3FaultKind): S3Answer | undefined {
  switch (kind) {
    case "slow-down":
      return new S3Error("SlowDown", "Please reduce your request rate.").toAnswer();
    case "internal-error":
      return new S3Error("InternalError", "We encountered an internal error. Please try again.").toAnswer();
    case "access-denied":
      return new S3Error("AccessDenied", "Access Denied").toAnswer();
    case "conflict":
      return new S3Error(
        "ConditionalRequestConflict",
        "The conditional request cannot succeed due to a conflicting operation against this resource.",
      ).toAnswer();
    default:
      return undefined;
  }
}

function deliveryOf(fault: S3FaultKind | undefined, delayMs: number): Delivery {
  if (fault === "cut-download") return { kind: "cut" };
  return fault === "slow-download" ? { kind: "slow", delayMs } : { kind: "whole" };
}
