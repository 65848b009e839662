import { createHash, randomBytes } from "node:crypto";
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { expect } from "vitest";
import { noise } from "../../../conformance/sample-bytes.ts";
import type { Behaviour } from "../s3-behaviour-suite.ts";
import { bytesOf, refused, textOf } from "./expectations.ts";

export function objects(behaviour: Behaviour): void {
  for (const length of [0, 1, 1_000_000]) {
    behaviour(`${length} bytes are read as they were put, and their ETag is their MD5`, async ({ s3, Bucket, Key }) => {
      const bytes = noise(length, length);

      const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key, Body: bytes }));
      const found = await s3.send(new GetObjectCommand({ Bucket, Key }));

      expect(Buffer.compare(await bytesOf(found), bytes)).toBe(0);
      expect(found.ContentLength).toBe(length);
      expect(ETag).toBe(`"${createHash("md5").update(bytes).digest("hex")}"`);
      expect(found.ETag).toBe(ETag);
    });
  }

  behaviour("the last put wins, and is read at once", async ({ s3, Bucket, Key }) => {
    for (const Body of ["one", "two", "three"]) {
      await s3.send(new PutObjectCommand({ Bucket, Key, Body }));
      expect(await textOf(await s3.send(new GetObjectCommand({ Bucket, Key })))).toBe(Body);
    }
  });

  behaviour("type, encoding, caching and metadata come back", async ({ s3, Bucket, Key }) => {
    const kept = {
      ContentType: "application/x-segment",
      ContentEncoding: "zstd",
      CacheControl: "max-age=5",
      ContentDisposition: "attachment",
      Metadata: { codec: "lz4", "two-words": "a b" },
    };
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "x", ...kept }));

    expect(await s3.send(new GetObjectCommand({ Bucket, Key }))).toMatchObject(kept);
    expect(await s3.send(new HeadObjectCommand({ Bucket, Key }))).toMatchObject(kept);
  });

  behaviour("an object without a type is a stream of bytes", async ({ s3, Bucket, Key }) => {
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
    const { ContentType } = await s3.send(new HeadObjectCommand({ Bucket, Key }));

    // The SDK sends the second where it is told nothing, S3 answers the first where it is.
    expect(ContentType).toMatch(/^(binary|application)\/octet-stream$/);
  });

  behaviour("a head tells size, ETag and date", async ({ s3, Bucket, Key }) => {
    const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key, Body: "hello" }));
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key }));

    expect(head).toMatchObject({ ContentLength: 5, ETag });
    expect(Math.abs((head.LastModified?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  behaviour("what is not there is NoSuchKey, of a head NotFound", async ({ s3, Bucket, Key }) => {
    await refused(s3.send(new GetObjectCommand({ Bucket, Key })), "NoSuchKey", 404);
    await refused(s3.send(new HeadObjectCommand({ Bucket, Key })), "NotFound", 404);
  });

  behaviour("a bucket that is not there is NoSuchBucket, of a head NotFound", async ({ s3, Key }) => {
    const Bucket = "no-such-bucket";

    await refused(s3.send(new GetObjectCommand({ Bucket, Key })), "NoSuchBucket", 404);
    await refused(s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" })), "NoSuchBucket", 404);
    await refused(s3.send(new HeadBucketCommand({ Bucket })), "NotFound", 404);
  });

  behaviour("a bucket is deleted once it is empty, not before", async ({ server, s3, Key }) => {
    const Bucket = await server.freshBucket();
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));

    await refused(s3.send(new DeleteBucketCommand({ Bucket })), "BucketNotEmpty", 409);

    await s3.send(new DeleteObjectCommand({ Bucket, Key }));
    await s3.send(new DeleteBucketCommand({ Bucket }));
    await refused(s3.send(new HeadBucketCommand({ Bucket })), "NotFound", 404);
  });

  behaviour("a bucket that is created again by its owner keeps what it has", async ({ s3, Key }) => {
    const Bucket = `${Key}-${randomBytes(8).toString("hex")}`;
    await s3.send(new CreateBucketCommand({ Bucket }));
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));

    await s3.send(new CreateBucketCommand({ Bucket }));

    expect(await textOf(await s3.send(new GetObjectCommand({ Bucket, Key })))).toBe("x");
  });

  behaviour("a delete is silent, whether or not there is something", async ({ s3, Bucket, Key }) => {
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));

    for (let times = 0; times < 2; times += 1) {
      const { $metadata } = await s3.send(new DeleteObjectCommand({ Bucket, Key }));
      expect($metadata.httpStatusCode).toBe(204);
      await refused(s3.send(new GetObjectCommand({ Bucket, Key })), "NoSuchKey", 404);
    }
  });

  behaviour("many are deleted at once, also those that are not there", async ({ s3, Bucket, Key }) => {
    const keys = ["a", "b & <c>", "é\u{1F600}"].map((end) => `${Key}/${end}`);
    for (const key of keys.slice(1)) await s3.send(new PutObjectCommand({ Bucket, Key: key, Body: "x" }));

    const Objects = keys.map((key) => ({ Key: key }));
    const { Deleted, Errors } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));

    expect(new Set(Deleted?.map((one) => one.Key))).toEqual(new Set(keys));
    expect(Errors ?? []).toEqual([]);
    for (const key of keys) await refused(s3.send(new HeadObjectCommand({ Bucket, Key: key })), "NotFound", 404);
  });

  behaviour("many are deleted quietly", async ({ s3, Bucket, Key }) => {
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));

    const Delete = { Objects: [{ Key }], Quiet: true };
    const { Deleted } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete }));

    expect(Deleted ?? []).toEqual([]);
    await refused(s3.send(new HeadObjectCommand({ Bucket, Key })), "NotFound", 404);
  });

  behaviour("at most 1,000 are deleted at once", async ({ s3, Bucket, Key }) => {
    const remove = (count: number): Promise<unknown> => {
      const Objects = Array.from({ length: count }, (_, index) => ({ Key: `${Key}/${index}` }));
      return s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }));
    };

    await remove(1_000);
    await refused(remove(1_001), "MalformedXML", 400);
  });

  behaviour("a key may have any characters", async ({ s3, Bucket, Key }) => {
    const ends = ["a b", "é", "+%2B%", "?&=#", "'\"<>()*!~", "a//b/", "\u{1F600}", "\t", "tenant/01jxw.seg"];

    for (const end of ends) {
      await s3.send(new PutObjectCommand({ Bucket, Key: `${Key}/${end}`, Body: end }));
      expect(await textOf(await s3.send(new GetObjectCommand({ Bucket, Key: `${Key}/${end}` })))).toBe(end);
    }
  });

  behaviour("a key has at most 1,024 bytes of UTF-8", async ({ s3, Bucket, Key }) => {
    const longest = `${Key.padEnd(24, "x")}${"é".repeat(500)}`;

    await s3.send(new PutObjectCommand({ Bucket, Key: longest, Body: "x" }));
    await refused(s3.send(new PutObjectCommand({ Bucket, Key: `${longest}x`, Body: "x" })), "KeyTooLongError", 400);
  });

  behaviour("a copy has the bytes and the metadata, or metadata of its own", async ({ s3, Bucket, Key }) => {
    await s3.send(new PutObjectCommand({ Bucket, Key: `${Key}/a é`, Body: "hello", Metadata: { of: "source" } }));
    const CopySource = `${Bucket}/${encodeURIComponent(`${Key}/a é`)}`;

    await s3.send(new CopyObjectCommand({ Bucket, Key: `${Key}/same`, CopySource }));
    const Metadata = { of: "copy" };
    const replacing = { MetadataDirective: "REPLACE", Metadata } as const;
    await s3.send(new CopyObjectCommand({ Bucket, Key: `${Key}/other`, CopySource, ...replacing }));

    const same = await s3.send(new GetObjectCommand({ Bucket, Key: `${Key}/same` }));
    expect([await textOf(same), same.Metadata]).toEqual(["hello", { of: "source" }]);
    const other = await s3.send(new GetObjectCommand({ Bucket, Key: `${Key}/other` }));
    expect([await textOf(other), other.Metadata]).toEqual(["hello", { of: "copy" }]);
  });

  behaviour("what is not there is not copied", async ({ s3, Bucket, Key }) => {
    const copy = new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${Key}-source` });

    await refused(s3.send(copy), "NoSuchKey", 404);
  });
}
