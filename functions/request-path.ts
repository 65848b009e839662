import { PayloadStoreError } from "../core/errors.ts";

/**
 * The names in `/v1/{tenant}/groups/{group}/payloads/{id}` or `/v1/{tenant}/erasures/{erasure}`, decoded exactly once. Empty
 * where a route has none.
 */
export interface PathNames {
  readonly tenant: string;
  readonly group: string;
  readonly id: string;
  readonly erasure: string;
}

/** The path of a URL, or of a request target, as it was sent: nothing decoded, nothing resolved, no query. */
export function rawPath(url: string): string {
  const start = url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("://") + 3);
  if (start === -1) return "/";
  const end = url.slice(start).search(/[?#]/);
  return end === -1 ? url.slice(start) : url.slice(start, start + end);
}

/**
 * Splits a raw path and decodes each segment once: `a%2Fb` is the name "a/b", `%252F` is "%2F".
 *
 * @throws {PayloadStoreError} `INVALID` for what two parsers could read in two ways: `.` and `..` however they are spelled,
 *   empty segments, a trailing slash, `%` that does not begin two hex digits of well-formed UTF-8.
 */
export function decodePath(path: string): readonly string[] {
  if (path === "/") return [];
  return path.slice(1).split("/").map(decodeSegment);
}

export function namesIn(segments: readonly string[]): PathNames {
  const [, tenant = "", kind, name = "", , id = ""] = segments;
  if (kind === "erasures") return { tenant, group: "", id: "", erasure: name };
  return { tenant, group: name, id, erasure: "" };
}

/**
 * Checks a request target as it stood on the wire, where `..` is still to be seen: URL parsers resolve it, read `\` as `/`,
 * drop a fragment, and would so act on another name than the one sent.
 *
 * @throws {PayloadStoreError} `INVALID`
 */
export function checkTarget(target: string): void {
  if (!/^[\x21-\x7e]+$/.test(target)) throw invalid("the request target holds bytes that must be percent-encoded");
  const path = rawPath(target);
  if (target.includes("#")) throw invalid('the request target holds "#": send it as %23');
  if (path.includes("\\")) throw invalid('the path holds "\\": send it as %5C');
  if (!/^(?:https?:\/\/[^/?]+)?\//i.test(target)) throw invalid("the request target is not a path");
  decodePath(path);
}

function decodeSegment(segment: string): string {
  if (segment === "")
    throw invalid("the path has an empty segment; names are 1–512 bytes, and no path ends in a slash");
  const name = segment.includes("%") ? percentDecoded(segment) : segment;
  if (name === "." || name === "..") throw invalid('the path has a segment "." or "..", which no name can be');
  return name;
}

function percentDecoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw invalid("the path is not percent-encoded UTF-8");
  }
}

function invalid(message: string): PayloadStoreError {
  return new PayloadStoreError("INVALID", message, { details: { field: "path" } });
}
