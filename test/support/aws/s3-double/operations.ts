import { bucketOf } from "./bucket.ts";
import type { S3Answer, S3Call } from "./bucket.ts";
import { listObjects } from "./listing.ts";
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listMultipartUploads,
  listParts,
  uploadPart,
} from "./multipart.ts";
import { copyObject, deleteObject, deleteObjects, getObject, putObject } from "./objects.ts";
import type { S3Operation } from "./route.ts";
import { S3Error } from "./s3-error.ts";

/** What each operation does, at once. @throws {S3Error} what S3 answers in its place. */
export const operations: Readonly<Record<S3Operation, (call: S3Call) => S3Answer>> = {
  CreateBucket: createBucket,
  HeadBucket: headBucket,
  DeleteBucket: deleteBucket,
  ListObjectsV2: listObjects,
  ListMultipartUploads: listMultipartUploads,
  DeleteObjects: deleteObjects,
  CopyObject: copyObject,
  PutObject: putObject,
  GetObject: getObject,
  HeadObject: getObject,
  DeleteObject: deleteObject,
  CreateMultipartUpload: createMultipartUpload,
  UploadPart: uploadPart,
  ListParts: listParts,
  CompleteMultipartUpload: completeMultipartUpload,
  AbortMultipartUpload: abortMultipartUpload,
};

/** A bucket that is there already is left as it is: the owner, of which there is one here, may create it again. */
function createBucket({ buckets, request }: S3Call): S3Answer {
  if (!buckets.has(request.bucket)) buckets.set(request.bucket, { objects: new Map(), uploads: new Map() });
  return { status: 200, headers: { location: `/${request.bucket}` } };
}

function headBucket(call: S3Call): S3Answer {
  bucketOf(call);
  return { status: 200 };
}

function deleteBucket(call: S3Call): S3Answer {
  const { objects, uploads } = bucketOf(call);
  if (objects.size + uploads.size > 0) {
    throw new S3Error("BucketNotEmpty", "The bucket you tried to delete is not empty");
  }
  call.buckets.delete(call.request.bucket);
  return { status: 204 };
}
