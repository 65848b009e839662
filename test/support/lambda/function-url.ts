import type { FunctionUrlEvent } from "../../../functions/lambda-runtime.ts";
import type { LambdaAnswer } from "./runtime-api.ts";

export interface UrlRequest {
  readonly method: string;
  /** The request target, as it stands on the wire. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cookies?: readonly string[];
  readonly body?: Uint8Array;
}

/**
 * A request to a function URL as the event that Lambda makes of it, with all that stands in one.
 * https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-request-payload
 */
export function eventOf({ method, target, headers = {}, cookies, body }: UrlRequest): FunctionUrlEvent {
  const [rawPath = "", rawQueryString = ""] = target.split(/\?(.*)/s);
  const id = "abcdefghijklmnopqrstuvwxyz012345";
  const domainName = `${id}.lambda-url.us-east-1.on.aws`;
  const query = [...new URLSearchParams(rawQueryString)];
  const isText = body !== undefined && textTypes.test(headers["content-type"] ?? "");
  const event = {
    version: "2.0",
    routeKey: "$default",
    rawPath,
    // As users of function URLs have observed it.
    rawQueryString: rawQueryString.replaceAll("+", " "),
    ...(cookies === undefined ? {} : { cookies }),
    headers: {
      host: domainName,
      "x-amzn-tls-version": "TLSv1.3",
      "x-amzn-trace-id": "Root=1-6900a2c0-0123456789abcdef01234567",
      "x-forwarded-for": "203.0.113.7",
      "x-forwarded-port": "443",
      "x-forwarded-proto": "https",
      ...(body === undefined ? {} : { "content-length": String(body.length) }),
      ...headers,
    },
    ...(query.length === 0 ? {} : { queryStringParameters: Object.fromEntries(query) }),
    requestContext: {
      accountId: "anonymous",
      apiId: id,
      domainName,
      domainPrefix: id,
      http: { method, path: rawPath, protocol: "HTTP/1.1", sourceIp: "203.0.113.7", userAgent: "curl/8.14.1" },
      requestId: "7f0c6f6e-0f53-4f3c-9c5f-1c8d8f0e3a11",
      routeKey: "$default",
      stage: "$default",
      time: "21/Nov/2026:06:13:00 +0000",
      timeEpoch: 1_795_241_580_000,
    },
    ...(body === undefined || body.length === 0
      ? {}
      : { body: Buffer.from(body).toString(isText ? "utf8" : "base64") }),
    isBase64Encoded: body !== undefined && body.length > 0 && !isText,
  };
  return event;
}

/** Bodies of these types come as text. */
const textTypes = /^(?:text\/|application\/(?:json|javascript|xml)\b)/;

/** A request of `fetch` as an event. */
export async function eventOfRequest(request: Request): Promise<FunctionUrlEvent> {
  const { pathname, search } = new URL(request.url);
  const headers = Object.fromEntries(request.headers);
  const target = pathname + search;
  if (request.body === null) return eventOf({ method: request.method, target, headers });
  return eventOf({ method: request.method, target, headers, body: new Uint8Array(await request.arrayBuffer()) });
}

/** An answer as a client gets it. */
export async function responseOf(answer: LambdaAnswer): Promise<Response> {
  const { status, headers } = answer;
  const pieces: Uint8Array[] = [];
  for await (const piece of answer.body) pieces.push(piece);
  const failure = answer.failure();
  if (failure !== undefined) throw new Error(`the answer broke off: ${failure.errorMessage}`);
  const body = pieces.length === 0 ? null : Buffer.concat(pieces);
  return new Response(body, { status, headers });
}
