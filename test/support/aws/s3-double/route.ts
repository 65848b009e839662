import { splitTarget } from "../signature.ts";
import { S3Error } from "./s3-error.ts";

/** What the double can do, by the API's names. */
export type S3Operation = (typeof routes)[number]["operation"];

/** A request as the operations see it. */
export interface S3Request {
  readonly operation: S3Operation;
  readonly bucket: string;
  /** Empty for operations on a bucket. */
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
  /** Names in lower case, with those that a presigned URL carries in its query. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Where an operation lives: query parameters it must have and may have, and a header that tells it from a twin. */
interface Route {
  readonly operation: string;
  readonly method: string;
  readonly on: "bucket" | "object";
  readonly must?: readonly string[];
  readonly may?: readonly string[];
  readonly header?: string;
}

const responseHeaders = ["content-type", "content-disposition", "content-encoding", "cache-control"];
const listing = ["prefix", "delimiter", "max-keys", "start-after", "continuation-token", "encoding-type"];

const routes = [
  { operation: "CreateBucket", method: "PUT", on: "bucket" },
  { operation: "HeadBucket", method: "HEAD", on: "bucket" },
  { operation: "DeleteBucket", method: "DELETE", on: "bucket" },
  { operation: "ListObjectsV2", method: "GET", on: "bucket", must: ["list-type"], may: listing },
  { operation: "ListMultipartUploads", method: "GET", on: "bucket", must: ["uploads"], may: ["prefix"] },
  { operation: "DeleteObjects", method: "POST", on: "bucket", must: ["delete"] },
  { operation: "CopyObject", method: "PUT", on: "object", header: "x-amz-copy-source" },
  { operation: "PutObject", method: "PUT", on: "object" },
  { operation: "GetObject", method: "GET", on: "object", may: responseHeaders.map((name) => `response-${name}`) },
  { operation: "HeadObject", method: "HEAD", on: "object" },
  { operation: "DeleteObject", method: "DELETE", on: "object" },
  { operation: "CreateMultipartUpload", method: "POST", on: "object", must: ["uploads"] },
  { operation: "UploadPart", method: "PUT", on: "object", must: ["partNumber", "uploadId"] },
  { operation: "ListParts", method: "GET", on: "object", must: ["uploadId"] },
  { operation: "CompleteMultipartUpload", method: "POST", on: "object", must: ["uploadId"] },
  { operation: "AbortMultipartUpload", method: "DELETE", on: "object", must: ["uploadId"] },
] as const satisfies readonly Route[];

/**
 * Which operation a request asks for.
 *
 * @throws {S3Error} `NotImplemented` for anything that the double does not know: an operation, a query parameter, a header
 *   that would steer it. It never answers as if it had understood. `InvalidURI`, `KeyTooLongError`.
 */
export function routeRequest(method: string, target: string, sent: ReadonlyMap<string, string>): S3Request {
  const { path, search } = splitTarget(target);
  const query = new Map(new URLSearchParams(decodable(search)));
  const [bucket = "", ...rest] = decodeURIComponent(decodable(path)).slice(1).split("/");
  const key = rest.join("/");
  if (new TextEncoder().encode(key).length > keyBytesMax) {
    throw new S3Error("KeyTooLongError", "Your key is too long", { Size: key.length, MaxSizeAllowed: keyBytesMax });
  }

  const presigned = query.has("X-Amz-Algorithm");
  const hoisted = presigned ? [...query].filter(([name]) => name.startsWith("x-amz-")) : [];
  const headers = new Map([...sent, ...hoisted]);
  const asked = [...query.keys()].filter((name) => name !== "x-id" && !/^x-amz-/i.test(name));

  const on = key === "" ? "bucket" : "object";
  const route = (routes as readonly Route[]).find(
    ({ must = [], may = [], header, ...one }) =>
      one.method === method &&
      one.on === on &&
      must.every((name) => asked.includes(name)) &&
      asked.every((name) => must.includes(name) || may.includes(name)) &&
      (header === undefined || headers.has(header)),
  );
  const strange = [...headers.keys()].filter((name) => steers(name) && !knownHeader.test(name));
  const hash = query.get("X-Amz-Content-Sha256") ?? "UNSIGNED-PAYLOAD";
  if (hash !== "UNSIGNED-PAYLOAD") strange.push(`X-Amz-Content-Sha256=${hash}`);
  if (bucket === "" || route === undefined || strange.length > 0) {
    const what = [method, on, ...asked, ...strange].join(" ");
    throw new S3Error("NotImplemented", `The double does not implement: ${what}`);
  }
  return { operation: route.operation as S3Operation, bucket, key, query, headers };
}

/** Text whose `%` are all of them escapes. */
function decodable(text: string): string {
  try {
    decodeURIComponent(text);
    return text;
  } catch (cause) {
    throw new S3Error("InvalidURI", `Couldn't parse the specified URI: ${(cause as Error).message}`);
  }
}

const keyBytesMax = 1_024;

function steers(name: string): boolean {
  return name.startsWith("x-amz-") || name.startsWith("if-");
}

const knownHeader = new RegExp(
  `^(?:${[
    "if-match",
    "if-none-match",
    "x-amz-checksum-(?:algorithm|crc32|crc32c|crc64nvme|mode|sha1|sha256)",
    "x-amz-content-sha256",
    "x-amz-copy-source(?:-if-match|-if-none-match)?",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-meta-.*",
    "x-amz-metadata-directive",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
    "x-amz-user-agent",
  ].join("|")})$`,
);
