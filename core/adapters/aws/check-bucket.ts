import { awsError } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";
import type { S3 } from "./s3.ts";

export interface BucketParts {
  readonly s3: S3;
  readonly bucket: string;
  readonly deadline: Deadline;
  /** Of credentials that are bound to one tenant, whose name it is. */
  readonly boundTo?: string | undefined;
}

/**
 * Says what is wrong with a bucket: that it is missing, forbidden, or elsewhere.
 *
 * A HEAD of a bucket needs the right to list all of it. Credentials of one tenant have not got that, and list the first of their
 * segments instead: infra/tenant-policy.ts.
 *
 * @throws {PayloadStoreError} `UNAVAILABLE` naming it
 * Cost: one request.
 */
export async function checkBucket({ s3, bucket, deadline, boundTo }: BucketParts): Promise<void> {
  const { client, HeadBucketCommand, ListObjectsV2Command } = await s3.requests();
  try {
    if (boundTo === undefined) await client.send(new HeadBucketCommand({ Bucket: bucket }), deadline.options());
    else {
      const list = new ListObjectsV2Command({ Bucket: bucket, Prefix: `segments/${boundTo}/`, MaxKeys: 1 });
      await client.send(list, deadline.options());
    }
  } catch (error) {
    throw awsError(error, `opening bucket ${bucket} failed`);
  }
}
