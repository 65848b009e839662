import { bucketOf } from "./bucket.ts";
import type { S3Answer, S3Call } from "./bucket.ts";
import { S3Error } from "./s3-error.ts";
import { xmlDocument } from "./xml.ts";

/**
 * Keys in the order of their UTF-8 bytes, those below a delimiter rolled up to one common prefix, at most 1,000 of both
 * together; then a token that goes on behind the last of them.
 *
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 */
export function listObjects(call: S3Call): S3Answer {
  const { request } = call;
  const { objects } = bucketOf(call);
  const { query } = request;
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  const token = query.get("continuation-token");
  const asked = Number(query.get("max-keys") ?? keysMax);
  if (!Number.isInteger(asked) || asked < 0) {
    throw new S3Error("InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647");
  }
  const limit = Math.min(asked, keysMax);
  const after = Buffer.from(token === undefined ? (query.get("start-after") ?? "") : keyBehind(token));

  const found = new Map<string, "object" | "prefix">();
  let isTruncated = false;
  for (const { key, bytes } of sorted(objects.keys())) {
    if (!key.startsWith(prefix)) continue;
    const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    const name = cut < 0 ? key : key.slice(0, cut + delimiter.length);
    // A common prefix that was answered before is not answered again, though keys below it lie behind the token.
    if (Buffer.compare(bytes, after) <= 0 || (cut >= 0 && Buffer.compare(Buffer.from(name), after) <= 0)) continue;
    if (found.has(name)) continue;
    if (found.size === limit) {
      isTruncated = limit > 0;
      break;
    }
    found.set(name, cut < 0 ? "object" : "prefix");
  }

  const last = [...found.keys()].at(-1);
  const encode = query.get("encoding-type") === "url" ? encodeURIComponent : (text: string) => text;
  return {
    status: 200,
    body: xmlDocument("ListBucketResult", {
      Name: request.bucket,
      Prefix: encode(prefix),
      ...(delimiter !== "" && { Delimiter: encode(delimiter) }),
      ...(query.has("encoding-type") && { EncodingType: "url" }),
      MaxKeys: asked,
      KeyCount: found.size,
      IsTruncated: isTruncated,
      ...(token !== undefined && { ContinuationToken: token }),
      ...(isTruncated && last !== undefined && { NextContinuationToken: tokenBehind(last) }),
      Contents: [...found].flatMap(([name, kind]) => {
        const object = kind === "object" ? objects.get(name) : undefined;
        if (object === undefined) return [];
        return [
          {
            Key: encode(name),
            LastModified: new Date(object.modifiedMs).toISOString(),
            ETag: object.etag,
            Size: object.bytes.length,
            StorageClass: "STANDARD",
          },
        ];
      }),
      CommonPrefixes: [...found].flatMap(([name, kind]) => (kind === "prefix" ? [{ Prefix: encode(name) }] : [])),
    }),
  };
}

const keysMax = 1_000;

export function sorted(keys: Iterable<string>): readonly { readonly key: string; readonly bytes: Uint8Array }[] {
  return [...keys]
    .map((key) => ({ key, bytes: Buffer.from(key) }))
    .toSorted((left, right) => Buffer.compare(left.bytes, right.bytes));
}

/** Opaque to clients, as it has to be. */
function tokenBehind(key: string): string {
  return Buffer.from(`behind ${key}`).toString("base64");
}

function keyBehind(token: string): string {
  const text = Buffer.from(token, "base64").toString();
  if (!text.startsWith("behind ")) {
    throw new S3Error("InvalidArgument", "The continuation token provided is incorrect");
  }
  return text.slice("behind ".length);
}
