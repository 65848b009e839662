import pRetry, { AbortError } from "p-retry";
import { bytesOfHex } from "../../bytes.ts";
import { PayloadStoreError } from "../../errors.ts";
import { invariant } from "../../invariant.ts";
import type { SignedUpload, UploadShape, UploadStore, UploadSummary } from "../../ports/upload-store.ts";
import { isSegmentName } from "../../segment/name.ts";
import { awsError, httpStatus } from "./aws-error.ts";
import type { BucketParts } from "./check-bucket.ts";
import { meansAbsent } from "./object-absence.ts";

/** Uploads as objects of a bucket, `uploads/<tenant>/<name>`. */
export class S3UploadStore implements UploadStore {
  readonly #options: BucketParts;

  constructor(options: BucketParts) {
    this.#options = options;
  }

  /** The length, the checksum, and that nothing is there yet, are signed: the URL puts these bytes, once. */
  async sign(tenant: string, name: string, { bytes, sha256, seconds }: UploadShape): Promise<SignedUpload> {
    const { s3, bucket } = this.#options;
    const { client, getSignedUrl, PutObjectCommand } = await s3.requests();
    const checksum = Buffer.from(bytesOfHex(sha256)).toString("base64");
    const command = new PutObjectCommand({
      Bucket: bucket,
      Key: objectKey(tenant, name),
      ContentLength: bytes,
      ChecksumSHA256: checksum,
      IfNoneMatch: "*",
    });
    const headers = { "if-none-match": "*", "x-amz-checksum-sha256": checksum };
    const signed = new Set(["content-length", ...Object.keys(headers)]);
    const url = await getSignedUrl(client, command, {
      expiresIn: seconds,
      signableHeaders: new Set(["host", ...signed]),
      unhoistableHeaders: signed,
    });
    return { url, method: "PUT", headers: { ...headers, "content-length": String(bytes) } };
  }

  async size(tenant: string, name: string): Promise<number | undefined> {
    const { s3, bucket, deadline } = this.#options;
    const key = objectKey(tenant, name);
    try {
      const { client, HeadObjectCommand } = await s3.requests();
      const command = new HeadObjectCommand({ Bucket: bucket, Key: key });
      return (await client.send(command, deadline.options())).ContentLength;
    } catch (error) {
      if (await meansAbsent(error, key, this.#options)) return undefined;
      throw awsError(error, `reading ${key} from bucket ${bucket} failed`);
    }
  }

  async list(): Promise<UploadSummary[]> {
    const { s3, bucket } = this.#options;
    const found: UploadSummary[] = [];
    try {
      const { client, paginateListObjectsV2 } = await s3.requests();
      for await (const { Contents } of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: "uploads/" })) {
        for (const { Key, Size } of Contents ?? []) {
          const match = /^uploads\/([^/]+)\/([^/]+)$/.exec(Key ?? "");
          if (match && isSegmentName(match[2]!)) found.push({ tenant: match[1]!, name: match[2]!, bytes: Size ?? 0 });
        }
      }
    } catch (error) {
      throw awsError(error, `listing the uploads in bucket ${bucket} failed`);
    }
    return found;
  }

  /** A body that is cut short is asked for again. */
  read(tenant: string, name: string, offset: number, bytes: number): Promise<Uint8Array> {
    const { s3, bucket, deadline } = this.#options;
    const key = objectKey(tenant, name);
    const attempt = async () => {
      const { client, GetObjectCommand } = await s3.requests();
      const command = new GetObjectCommand({
        Bucket: bucket,
        Key: key,
        Range: `bytes=${offset}-${offset + bytes - 1}`,
      });
      const answer = await client.send(command, deadline.options()).catch(async (error: unknown) => {
        throw new AbortError(await this.#readError(error, key));
      });
      invariant(answer.Body !== undefined, "a GET has a body");
      const body = await answer.Body.transformToByteArray();
      if (body.length === bytes) return body;
      const size = Number(/\/(\d+)$/.exec(answer.ContentRange ?? "")?.[1] ?? 0);
      if (size >= offset + bytes) throw new Error(`the answer ended after ${body.length} bytes`);
      const message = `object ${key} ends at byte ${size}, expected at least ${offset + bytes}`;
      throw new AbortError(new PayloadStoreError("CORRUPT", message, { details: { key } }));
    };
    return pRetry(attempt, { retries: 3, minTimeout: 50, maxTimeout: 1_000, randomize: true }).catch(
      (error: unknown) => {
        throw awsError(error, `reading ${key} from bucket ${bucket} failed`);
      },
    );
  }

  async #readError(error: unknown, key: string): Promise<PayloadStoreError> {
    if (await meansAbsent(error, key, this.#options)) {
      return new PayloadStoreError("GONE", `there is no object ${key}`, { details: { key } });
    }
    if (httpStatus(error) === 416) {
      return new PayloadStoreError("CORRUPT", `object ${key} is shorter than its page says`, { details: { key } });
    }
    return awsError(error, `reading ${key} from bucket ${this.#options.bucket} failed`);
  }
}

function objectKey(tenant: string, name: string): string {
  return `uploads/${tenant}/${name}`;
}
