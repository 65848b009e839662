import {
  GetObjectCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import pRetry, { AbortError } from "p-retry";
import { bytesOfHex } from "../../bytes.ts";
import { PayloadStoreError } from "../../errors.ts";
import { invariant } from "../../invariant.ts";
import type { SignedUpload, UploadShape, UploadStore, UploadSummary } from "../../ports/upload-store.ts";
import { isSegmentName } from "../../segment/name.ts";
import { awsError, httpStatus } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";

export interface S3UploadStoreOptions {
  readonly client: S3Client;
  readonly bucket: string;
  readonly deadline: Deadline;
}

/** Uploads as objects of a bucket, `uploads/<tenant>/<name>`. */
export class S3UploadStore implements UploadStore {
  readonly #options: S3UploadStoreOptions;

  constructor(options: S3UploadStoreOptions) {
    this.#options = options;
  }

  /** The length, the checksum, and that nothing is there yet, are signed: the URL puts these bytes, once. */
  async sign(tenant: string, name: string, { bytes, sha256, seconds }: UploadShape): Promise<SignedUpload> {
    const { client, bucket } = this.#options;
    // Few requests sign: the presigner is loaded by the first that does.
    const { getSignedUrl } = await import("@aws-sdk/s3-request-presigner");
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
    const { client, bucket, deadline } = this.#options;
    const key = objectKey(tenant, name);
    try {
      const command = new HeadObjectCommand({ Bucket: bucket, Key: key });
      return (await client.send(command, deadline.options())).ContentLength;
    } catch (error) {
      if (httpStatus(error) === 404) return undefined;
      throw awsError(error, `reading ${key} from bucket ${bucket} failed`);
    }
  }

  async list(): Promise<UploadSummary[]> {
    const { client, bucket } = this.#options;
    const found: UploadSummary[] = [];
    try {
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
    const { client, bucket, deadline } = this.#options;
    const key = objectKey(tenant, name);
    const attempt = async () => {
      const command = new GetObjectCommand({
        Bucket: bucket,
        Key: key,
        Range: `bytes=${offset}-${offset + bytes - 1}`,
      });
      const answer = await client.send(command, deadline.options()).catch((error: unknown) => {
        throw new AbortError(readError(error, key, bucket));
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
}

function readError(error: unknown, key: string, bucket: string): PayloadStoreError {
  if (httpStatus(error) === 404) {
    return new PayloadStoreError("GONE", `there is no object ${key}`, { details: { key } });
  }
  if (httpStatus(error) === 416) {
    return new PayloadStoreError("CORRUPT", `object ${key} is shorter than its page says`, { details: { key } });
  }
  return awsError(error, `reading ${key} from bucket ${bucket} failed`);
}

function objectKey(tenant: string, name: string): string {
  return `uploads/${tenant}/${name}`;
}
