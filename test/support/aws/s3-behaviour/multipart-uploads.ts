import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type { CompletedPart, CompleteMultipartUploadCommandOutput } from "@aws-sdk/client-s3";
import { expect } from "vitest";
import { noise } from "../../../conformance/sample-bytes.ts";
import type { Behaviour, S3Subject } from "../s3-behaviour-suite.ts";
import { bytesOf, refused, textOf } from "./expectations.ts";

export function multipartUploads(behaviour: Behaviour): void {
  const partBytesMin = 5 * 1_024 * 1_024;
  const begin = async ({ s3, Bucket, Key }: S3Subject, asked: object = {}): Promise<string> =>
    (await s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ...asked }))).UploadId ?? "";
  const upload = async (
    { s3, Bucket, Key }: S3Subject,
    UploadId: string,
    PartNumber: number,
    Body: Uint8Array | string,
  ): Promise<CompletedPart> => {
    const { ETag } = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
    return { PartNumber, ETag: ETag ?? "" };
  };
  const complete = (
    { s3, Bucket, Key }: S3Subject,
    UploadId: string,
    Parts: CompletedPart[],
    asked: object = {},
  ): Promise<CompleteMultipartUploadCommandOutput> =>
    s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts }, ...asked }));
  const get = ({ s3, Bucket, Key }: S3Subject): Promise<string | undefined> =>
    s3.send(new GetObjectCommand({ Bucket, Key })).then(textOf);

  behaviour("parts become one object, in the order of their numbers", async (subject) => {
    const { s3, Bucket, Key } = subject;
    const first = noise(partBytesMin, 1);
    const UploadId = await begin(subject, { Metadata: { codec: "zstd" }, ContentType: "application/x-segment" });

    const last = await upload(subject, UploadId, 7, "tail");
    const parts = [await upload(subject, UploadId, 2, first), last];
    await refused(s3.send(new GetObjectCommand({ Bucket, Key })), "NoSuchKey", 404);
    await complete(subject, UploadId, parts);

    const found = await s3.send(new GetObjectCommand({ Bucket, Key }));
    expect(found).toMatchObject({ Metadata: { codec: "zstd" }, ContentType: "application/x-segment" });
    expect(found.ETag).toMatch(/^"[0-9a-f]{32}-2"$/);
    expect(Buffer.compare(await bytesOf(found), Buffer.concat([first, Buffer.from("tail")]))).toBe(0);
  });

  behaviour("the end of an upload tells the ETag of the object", async (subject) => {
    const { s3, Bucket, Key } = subject;
    const UploadId = await begin(subject);

    const { ETag } = await complete(subject, UploadId, [await upload(subject, UploadId, 1, "one")]);

    expect(ETag).toBe((await s3.send(new HeadObjectCommand({ Bucket, Key }))).ETag);
  });

  behaviour("a part that is uploaded again replaces the first", async (subject) => {
    const UploadId = await begin(subject);
    await upload(subject, UploadId, 1, "one");

    await complete(subject, UploadId, [await upload(subject, UploadId, 1, "two")]);

    expect(await get(subject)).toBe("two");
  });

  behaviour("only the parts that are named become the object", async (subject) => {
    const UploadId = await begin(subject);
    await upload(subject, UploadId, 1, "left out");

    await complete(subject, UploadId, [await upload(subject, UploadId, 2, "named")]);

    expect(await get(subject)).toBe("named");
  });

  behaviour("uploads and their parts are listed until they are complete or aborted", async (subject) => {
    const { s3, Bucket, Key } = subject;
    const UploadId = await begin(subject);
    const { ETag } = await upload(subject, UploadId, 3, "three");
    const uploads = async (): Promise<readonly unknown[]> =>
      (await s3.send(new ListMultipartUploadsCommand({ Bucket, Prefix: Key }))).Uploads ?? [];

    expect(await uploads()).toMatchObject([{ Key, UploadId }]);
    const { Parts } = await s3.send(new ListPartsCommand({ Bucket, Key, UploadId }));
    expect(Parts).toMatchObject([{ PartNumber: 3, ETag, Size: 5 }]);

    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    expect(await uploads()).toEqual([]);
    await refused(s3.send(new GetObjectCommand({ Bucket, Key })), "NoSuchKey", 404);
  });

  behaviour("an upload that was aborted takes no parts", async (subject) => {
    const { s3, Bucket, Key } = subject;
    const UploadId = await begin(subject);
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));

    await refused(upload(subject, UploadId, 1, "late"), "NoSuchUpload", 404);
  });

  behaviour("an upload that was aborted has no list of parts", async (subject) => {
    const { s3, Bucket, Key } = subject;
    const UploadId = await begin(subject);
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));

    await refused(s3.send(new ListPartsCommand({ Bucket, Key, UploadId })), "NoSuchUpload", 404);
  });

  behaviour("every part but the last has 5 MiB", async (subject) => {
    const UploadId = await begin(subject);
    const parts = [await upload(subject, UploadId, 1, "small"), await upload(subject, UploadId, 2, "last")];

    await refused(complete(subject, UploadId, parts), "EntityTooSmall", 400);
  });

  behaviour("parts are named in ascending order", async (subject) => {
    const UploadId = await begin(subject);
    const parts = [await upload(subject, UploadId, 2, "two"), await upload(subject, UploadId, 1, "one")];

    await refused(complete(subject, UploadId, parts), "InvalidPartOrder", 400);
  });

  behaviour("a part must be there, with the ETag that is named", async (subject) => {
    const UploadId = await begin(subject);
    const part = await upload(subject, UploadId, 1, "one");

    const ETag = '"00000000000000000000000000000000"';
    await refused(complete(subject, UploadId, [{ PartNumber: 1, ETag }]), "InvalidPart", 400);
    await refused(complete(subject, UploadId, [{ ...part, PartNumber: 2 }]), "InvalidPart", 400);
  });

  behaviour("an upload that asks for a free key completes once", async (subject) => {
    const { s3, Bucket, Key } = subject;
    const UploadId = await begin(subject);
    const parts = [await upload(subject, UploadId, 1, "uploaded")];
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "put" }));

    await refused(complete(subject, UploadId, parts, { IfNoneMatch: "*" }), "PreconditionFailed", 412);

    expect(await get(subject)).toBe("put");
  });
}
