import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { expect } from "vitest";
import type { Behaviour } from "../s3-behaviour-suite.ts";
import { refused, textOf } from "./expectations.ts";

export function ranges(behaviour: Behaviour): void {
  const text = "0123456789";
  const within = [
    { Range: "bytes=2-5", part: "2345", ContentRange: "bytes 2-5/10" },
    { Range: "bytes=0-0", part: "0", ContentRange: "bytes 0-0/10" },
    { Range: "bytes=7-", part: "789", ContentRange: "bytes 7-9/10" },
    { Range: "bytes=8-99", part: "89", ContentRange: "bytes 8-9/10" },
    { Range: "bytes=-3", part: "789", ContentRange: "bytes 7-9/10" },
    { Range: "bytes=-99", part: text, ContentRange: "bytes 0-9/10" },
  ];

  for (const { Range, part, ContentRange } of within) {
    behaviour(`${Range} of 10 bytes is ${ContentRange}`, async ({ s3, Bucket, Key }) => {
      await s3.send(new PutObjectCommand({ Bucket, Key, Body: text }));

      const found = await s3.send(new GetObjectCommand({ Bucket, Key, Range }));

      expect(await textOf(found)).toBe(part);
      expect(found).toMatchObject({ ContentRange, ContentLength: part.length, $metadata: { httpStatusCode: 206 } });
    });
  }

  for (const Range of ["bytes=10-", "bytes=10-12"]) {
    behaviour(`${Range} of 10 bytes is refused, for nothing lies in it`, async ({ s3, Bucket, Key }) => {
      await s3.send(new PutObjectCommand({ Bucket, Key, Body: text }));

      await refused(s3.send(new GetObjectCommand({ Bucket, Key, Range })), "InvalidRange", 416);
    });
  }

  for (const Range of ["bytes=0-", "bytes=-5"]) {
    behaviour(`${Range} of an empty object is refused`, async ({ s3, Bucket, Key }) => {
      await s3.send(new PutObjectCommand({ Bucket, Key, Body: "" }));

      await refused(s3.send(new GetObjectCommand({ Bucket, Key, Range })), "InvalidRange", 416);
    });
  }

  behaviour("a range in other units is passed over: the whole object is answered", async ({ s3, Bucket, Key }) => {
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: text }));

    const found = await s3.send(new GetObjectCommand({ Bucket, Key, Range: "lines=1-2" }));

    expect(await textOf(found)).toBe(text);
    expect(found.$metadata.httpStatusCode).toBe(200);
  });

  behaviour("a range is read under a condition", async ({ s3, Bucket, Key }) => {
    const { ETag: IfMatch } = await s3.send(new PutObjectCommand({ Bucket, Key, Body: text }));
    const ranged = { Bucket, Key, Range: "bytes=2-5", IfMatch };
    expect(await textOf(await s3.send(new GetObjectCommand(ranged)))).toBe("2345");

    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "another" }));

    await refused(s3.send(new GetObjectCommand(ranged)), "PreconditionFailed", 412);
  });

  behaviour("a range of what is not there is NoSuchKey", async ({ s3, Bucket, Key }) => {
    await refused(s3.send(new GetObjectCommand({ Bucket, Key, Range: "bytes=0-1" })), "NoSuchKey", 404);
  });

  behaviour("a head knows ranges too", async ({ s3, Bucket, Key }) => {
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: text }));

    const head = await s3.send(new HeadObjectCommand({ Bucket, Key, Range: "bytes=2-5" }));

    expect(head).toMatchObject({ ContentLength: 4, $metadata: { httpStatusCode: 206 } });
  });
}
