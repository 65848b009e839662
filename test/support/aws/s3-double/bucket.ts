import type { ChecksumAlgorithm } from "./checksums.ts";
import type { Payload } from "./payload.ts";
import type { S3Request } from "./route.ts";
import { S3Error } from "./s3-error.ts";

/** What a bucket holds. Not versioned. */
export interface Bucket {
  readonly objects: Map<string, StoredObject>;
  /** By upload id. */
  readonly uploads: Map<string, MultipartUpload>;
}

export interface StoredObject {
  readonly bytes: Uint8Array;
  /** In its quotes. */
  readonly etag: string;
  readonly modifiedMs: number;
  /** What is given back with the object as it came: content type, encoding, `x-amz-meta-` … */
  readonly headers: Readonly<Record<string, string>>;
  readonly checksum: StoredChecksum;
}

export interface StoredChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly value: string;
  /** `COMPOSITE`: of the checksums of the parts of a multipart upload. */
  readonly type: "FULL_OBJECT" | "COMPOSITE";
}

export interface MultipartUpload {
  readonly key: string;
  readonly initiatedMs: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Asked for when the upload began. */
  readonly algorithm: ChecksumAlgorithm | undefined;
  readonly parts: Map<number, StoredPart>;
}

export interface StoredPart {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly modifiedMs: number;
  readonly checksum: Payload["checksum"];
}

/** One request to an operation, with all that it may look at. */
export interface S3Call {
  readonly request: S3Request;
  readonly payload: Payload;
  readonly buckets: Map<string, Bucket>;
  readonly nowMs: number;
}

export interface S3Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Of an error. */
  readonly errorCode?: string;
}

/** @throws {S3Error} `NoSuchBucket` */
export function bucketOf({ buckets, request }: S3Call, name: string = request.bucket): Bucket {
  const bucket = buckets.get(name);
  if (bucket === undefined) {
    throw new S3Error("NoSuchBucket", "The specified bucket does not exist", { BucketName: name });
  }
  return bucket;
}

/** @throws {S3Error} `NoSuchKey` */
export function objectOf(bucket: Bucket, key: string): StoredObject {
  const object = bucket.objects.get(key);
  if (object === undefined) throw new S3Error("NoSuchKey", "The specified key does not exist.", { Key: key });
  return object;
}

/** The headers of a request that are kept with its object. */
export function keptHeaders(headers: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const metadata = [...headers].filter(([name]) => name.startsWith("x-amz-meta-"));
  const metadataBytes = metadata.reduce((sum, [name, value]) => sum + name.length + value.length - 11, 0);
  if (metadataBytes > metadataBytesMax) {
    throw new S3Error("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size", {
      Size: metadataBytes,
      MaxSizeAllowed: metadataBytesMax,
    });
  }
  // `aws-chunked` is how the body travelled, and no encoding of the object.
  const encoding = (headers.get("content-encoding") ?? "")
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "" && one !== "aws-chunked")
    .join(",");
  const kept = ["content-type", "cache-control", "content-disposition", "content-language", "expires"].flatMap(
    (name) => {
      const value = headers.get(name);
      return value === undefined ? [] : [[name, value] as const];
    },
  );
  return {
    "content-type": "binary/octet-stream",
    ...Object.fromEntries([...kept, ...metadata]),
    ...(encoding === "" ? {} : { "content-encoding": encoding }),
  };
}

const metadataBytesMax = 2_048;
