import { errorName, httpStatus } from "./aws-error.ts";
import type { BucketParts } from "./check-bucket.ts";

/**
 * Whether an error to a request for an object means that there is none by this name.
 *
 * S3 says so, by 404, to those who may list the bucket, and answers 403 to all others. Credentials that are bound to a tenant may list
 * only what lies below its prefixes, which S3 does not take into account there: so they list the object itself.
 *
 * Cost: nothing; a LIST where credentials are bound and the answer was 403.
 */
export async function meansAbsent(error: unknown, key: string, parts: BucketParts): Promise<boolean> {
  if (httpStatus(error) === 404) return errorName(error) !== "NoSuchBucket";
  if (httpStatus(error) !== 403 || parts.boundTo === undefined) return false;
  const { client, ListObjectsV2Command } = await parts.s3.requests();
  const list = new ListObjectsV2Command({ Bucket: parts.bucket, Prefix: key, MaxKeys: 1 });
  const found = await client.send(list, parts.deadline.options()).catch(() => undefined);
  return found !== undefined && !(found.Contents ?? []).some(({ Key }) => Key === key);
}
