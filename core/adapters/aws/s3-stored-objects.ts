import type { StoredObject, StoredObjects } from "../../ports/stored-objects.ts";
import { isSegmentName } from "../../segment/name.ts";
import { awsError, httpStatus } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";
import type { S3 } from "./s3.ts";

export interface S3StoredObjectsOptions {
  readonly s3: S3;
  readonly bucket: string;
  readonly deadline: Deadline;
}

const kinds = [
  ["segments", /^segments\/([^/]+)\/([^/]+)\.seg$/],
  ["uploads", /^uploads\/([^/]+)\/([^/]+)$/],
] as const;

/** Removals that are under way at the same time. */
const removingMax = 16;

/** Objects of a bucket. */
export class S3StoredObjects implements StoredObjects {
  readonly #options: S3StoredObjectsOptions;

  constructor(options: S3StoredObjectsOptions) {
    this.#options = options;
  }

  /** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html */
  async *list(tenant?: string): AsyncGenerator<StoredObject> {
    const { s3, bucket } = this.#options;
    const { client, paginateListObjectsV2 } = await s3.requests();
    for (const [kind, pattern] of kinds) {
      const Prefix = tenant === undefined ? `${kind}/` : `${kind}/${tenant}/`;
      try {
        for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix })) {
          for (const { Key = "", Size: bytes = 0, LastModified } of Contents) {
            const [, owner, name] = pattern.exec(Key) ?? [];
            if (owner === undefined || name === undefined || !isSegmentName(name)) continue;
            yield { kind, tenant: owner, name, bytes, modifiedMs: LastModified?.getTime() ?? Infinity };
          }
        }
      } catch (error) {
        throw awsError(error, `listing ${Prefix} in bucket ${bucket} failed`);
      }
    }
  }

  /** One request for each: requests for several at once are not known everywhere, and none is billed. */
  async remove(objects: readonly StoredObject[]): Promise<void> {
    const { s3, bucket, deadline } = this.#options;
    const { client, DeleteObjectCommand } = await s3.requests();
    const rest = objects.values();
    const removing = Array.from({ length: removingMax }, async () => {
      for (const object of rest) {
        const key = keyOf(object);
        try {
          await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }), deadline.options());
        } catch (error) {
          if (httpStatus(error) !== 404) throw awsError(error, `removing ${key} from bucket ${bucket} failed`);
        }
      }
    });
    await Promise.all(removing);
  }
}

function keyOf({ kind, tenant, name }: StoredObject): string {
  return kind === "segments" ? `segments/${tenant}/${name}.seg` : `uploads/${tenant}/${name}`;
}
