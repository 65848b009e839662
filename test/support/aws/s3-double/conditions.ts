import type { Bucket, StoredObject } from "./bucket.ts";
import { S3Error } from "./s3-error.ts";

/**
 * The conditions of a write: `If-None-Match: *` asks that the key is free, `If-Match` that it holds this ETag.
 *
 * @throws {S3Error} `PreconditionFailed`; `NoSuchKey` if there is nothing to match.
 *
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 */
export function checkWriteConditions(headers: ReadonlyMap<string, string>, bucket: Bucket, key: string): void {
  const absent = headers.get("if-none-match");
  if (absent !== undefined && absent !== "*") {
    throw new S3Error("NotImplemented", "A header you provided implies functionality that is not implemented", {
      Header: "If-None-Match",
    });
  }
  const object = bucket.objects.get(key);
  if (absent !== undefined && object !== undefined) throw preconditionFailed("If-None-Match");
  checkMatch(headers.get("if-match"), object, key);
}

/** `If-Match`, where the object may be missing. */
export function checkMatch(wanted: string | undefined, object: StoredObject | undefined, key: string): void {
  if (wanted === undefined) return;
  if (object === undefined) throw new S3Error("NoSuchKey", "The specified key does not exist.", { Key: key });
  if (!matchesEtag(wanted, object)) throw preconditionFailed("If-Match");
}

/** The conditions of a read. `prefix` is that of the headers that are about a copy's source. */
export function checkReadConditions(headers: ReadonlyMap<string, string>, object: StoredObject, prefix = ""): void {
  const match = headers.get(`${prefix}if-match`);
  if (match !== undefined && !matchesEtag(match, object)) throw preconditionFailed(`${prefix}If-Match`);
  const noneMatch = headers.get(`${prefix}if-none-match`);
  if (noneMatch === undefined || !matchesEtag(noneMatch, object)) return;
  if (prefix !== "") throw preconditionFailed(`${prefix}If-None-Match`);
  throw new S3Error("NotModified", "Not Modified", {}, { etag: object.etag });
}

function preconditionFailed(condition: string): S3Error {
  return new S3Error("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", {
    Condition: condition,
  });
}

/** Also without its quotes, as S3 takes it. */
function matchesEtag(wanted: string, object: StoredObject): boolean {
  return wanted
    .split(",")
    .map((one) => one.trim())
    .some((one) => one === "*" || one.replaceAll('"', "") === object.etag.replaceAll('"', ""));
}
