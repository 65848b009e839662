import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { connectionTimeout, maxAttempts } from "./dynamo-client.ts";

/**
 * What only those need who ask S3, and all of it: {@link S3} loads it by the first request. One module, for a bundler makes a file of
 * each, and of what any of them share: each takes longer to open than its bytes to parse.
 */
export {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  paginateListObjectsV2,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
export { getSignedUrl } from "@aws-sdk/s3-request-presigner";
export { SegmentCache } from "./segment-cache.ts";

/** As of DynamoDB, for longer: bodies are. */
const socketTimeout = 5_000;

export function s3Client(config: S3ClientConfig = {}): S3Client {
  const requestHandler = { connectionTimeout, socketTimeout };
  return new S3Client({ maxAttempts, requestHandler, ...config });
}
