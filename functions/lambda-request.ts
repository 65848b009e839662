import { utf8, utf8Length } from "../core/bytes.ts";
import { PayloadStoreError } from "../core/errors.ts";
import { httpLimits } from "./http-limits.ts";
import type { FunctionUrlEvent } from "./lambda-runtime.ts";
import { checkTarget } from "./request-path.ts";

/**
 * An event as the request that it stands for.
 *
 * @throws {PayloadStoreError} `INVALID` for a path that a URL parser would read as another one, and for headers that HTTP
 *   cannot carry; `TOO_LARGE` for a body above `httpLimits.lambdaBodyBytesMax`
 */
export function requestOf(event: FunctionUrlEvent): Request {
  const { rawPath, rawQueryString, requestContext } = event;
  const { method } = requestContext.http;
  // A path that Lambda had decoded would not tell where it ends.
  if (!rawPath.startsWith("/") || rawPath.includes("?")) throw invalid("the path is not percent-encoded", "path");
  const target = rawQueryString === "" ? rawPath : `${rawPath}?${encoded(rawQueryString)}`;
  checkTarget(target);
  const headers = headersOf(event);
  const body = method === "GET" || method === "HEAD" ? null : bodyOf(event);
  try {
    return new Request(`https://${requestContext.domainName}${target}`, { method, headers, body });
  } catch {
    throw invalid(`the method ${method} is not possible`, "method");
  }
}

/** What cannot stand in a request target: the space that was a `+`, and whatever else was decoded. */
function encoded(query: string): string {
  return query.replaceAll(/[^\x21-\x7e]+/g, (text) => encodeURIComponent(text.toWellFormed()));
}

function headersOf({ headers, cookies }: FunctionUrlEvent): Headers {
  const given = cookies === undefined ? headers : { ...headers, cookie: cookies.join("; ") };
  const all = new Headers();
  for (const [name, value] of Object.entries(given)) {
    try {
      all.set(name, value);
    } catch {
      throw invalid(
        `the header ${JSON.stringify(name.slice(0, 80))} has characters that HTTP does not allow`,
        "headers",
      );
    }
  }
  return all;
}

function bodyOf({ body = "", isBase64Encoded }: FunctionUrlEvent): Uint8Array<ArrayBuffer> {
  const bytes = isBase64Encoded ? Buffer.byteLength(body, "base64") : utf8Length(body);
  if (bytes > httpLimits.lambdaBodyBytesMax) throw tooLarge(bytes);
  return isBase64Encoded ? Buffer.from(body, "base64") : (utf8(body) as Uint8Array<ArrayBuffer>);
}

function tooLarge(bytes: number): PayloadStoreError {
  const bytesMax = httpLimits.lambdaBodyBytesMax;
  const upload = "POST /v1/{tenant}/groups/{group}/payloads/{id}/upload";
  const message = `a body may have ${bytesMax} bytes here, and has ${bytes}: send a batch in parts, and a longer payload through ${upload}`;
  return new PayloadStoreError("TOO_LARGE", message, { details: { bytes, bytesMax } });
}

function invalid(message: string, field: string): PayloadStoreError {
  return new PayloadStoreError("INVALID", message, { details: { field } });
}
