import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import type { PutObjectCommandOutput } from "@aws-sdk/client-s3";
import { expect } from "vitest";
import type { Behaviour, S3Subject } from "../s3-behaviour-suite.ts";
import { refused, textOf } from "./expectations.ts";

export function conditions(behaviour: Behaviour): void {
  const otherEtag = '"00000000000000000000000000000000"';
  const put = ({ s3, Bucket, Key }: S3Subject, Body: string, condition: object = {}): Promise<PutObjectCommandOutput> =>
    s3.send(new PutObjectCommand({ Bucket, Key, Body, ...condition }));
  const get = async ({ s3, Bucket, Key }: S3Subject): Promise<string | undefined> =>
    textOf(await s3.send(new GetObjectCommand({ Bucket, Key })));

  /** Twenty writes under a condition at the same time: how many take effect, and how the others fail. */
  const race = async (subject: S3Subject, condition: object): Promise<{ won: number; lost: readonly unknown[] }> => {
    const writes = Array.from({ length: 20 }, (_, index) => put(subject, `by ${index}`, condition));
    const outcomes = await Promise.allSettled(writes);
    const lost = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : []));
    return { won: outcomes.length - lost.length, lost };
  };
  /** 409 is what S3 answers when it notices the other write while this one goes on. */
  const otherwiseLost = (lost: readonly unknown[]): readonly unknown[] =>
    lost.filter(
      (error) => !(error instanceof S3ServiceException && [409, 412].includes(error.$metadata.httpStatusCode ?? 0)),
    );

  /** Every server takes it so; not every one as it gave it. */
  const unquoted = ({ ETag = "" }: PutObjectCommandOutput): string => ETag.replaceAll('"', "");

  behaviour("a put that asks for a free key takes it once", async (subject) => {
    await put(subject, "first", { IfNoneMatch: "*" });

    await refused(put(subject, "second", { IfNoneMatch: "*" }), "PreconditionFailed", 412);
    expect(await get(subject)).toBe("first");
  });

  behaviour("a key is free again after its delete", async (subject) => {
    const { s3, Bucket, Key } = subject;
    await put(subject, "first");
    await s3.send(new DeleteObjectCommand({ Bucket, Key }));

    await put(subject, "second", { IfNoneMatch: "*" });

    expect(await get(subject)).toBe("second");
  });

  behaviour("of puts that race for a free key one wins, and the others know", async (subject) => {
    const { won, lost } = await race(subject, { IfNoneMatch: "*" });

    expect(won).toBe(1);
    expect(otherwiseLost(lost)).toEqual([]);
  });

  behaviour("a put that asks for what it read takes effect, and only on that", async (subject) => {
    const IfMatch = unquoted(await put(subject, "one"));

    await put(subject, "two", { IfMatch });

    await refused(put(subject, "three", { IfMatch }), "PreconditionFailed", 412);
    expect(await get(subject)).toBe("two");
  });

  behaviour("the ETag of a condition may come in its quotes", async (subject) => {
    const { ETag: IfMatch } = await put(subject, "one");

    await put(subject, "two", { IfMatch });

    expect(await get(subject)).toBe("two");
  });

  behaviour("a put that asks for another ETag is refused", async (subject) => {
    await put(subject, "one");

    await refused(put(subject, "two", { IfMatch: otherEtag }), "PreconditionFailed", 412);
    expect(await get(subject)).toBe("one");
  });

  behaviour("a put that asks for an ETag of what is not there is NoSuchKey", async (subject) => {
    await refused(put(subject, "one", { IfMatch: otherEtag }), "NoSuchKey", 404);
  });

  behaviour("of puts that race on what they read one wins", async (subject) => {
    const IfMatch = unquoted(await put(subject, "base"));

    expect((await race(subject, { IfMatch })).won).toBe(1);
  });

  behaviour("of puts that race on what they read, those that lose are told so", async (subject) => {
    const IfMatch = unquoted(await put(subject, "base"));

    expect(otherwiseLost((await race(subject, { IfMatch })).lost)).toEqual([]);
  });

  behaviour("a get that knows the ETag is told that nothing changed", async (subject) => {
    const { s3, Bucket, Key } = subject;
    const { ETag: IfNoneMatch } = await put(subject, "one");
    const read = new GetObjectCommand({ Bucket, Key, IfNoneMatch });

    await expect(s3.send(read)).rejects.toMatchObject({ $metadata: { httpStatusCode: 304 } });

    await put(subject, "two");
    expect(await textOf(await s3.send(read))).toBe("two");
  });

  behaviour("a get or a head of another ETag is refused", async (subject) => {
    const { s3, Bucket, Key } = subject;
    await put(subject, "one");

    await refused(s3.send(new GetObjectCommand({ Bucket, Key, IfMatch: otherEtag })), "PreconditionFailed", 412);
    const head = s3.send(new HeadObjectCommand({ Bucket, Key, IfMatch: otherEtag }));
    await expect(head).rejects.toMatchObject({ $metadata: { httpStatusCode: 412 } });
  });

  behaviour("a delete under a condition takes effect on that ETag only", async (subject) => {
    const { s3, Bucket, Key } = subject;
    const { ETag: IfMatch } = await put(subject, "one");

    const wrong = s3.send(new DeleteObjectCommand({ Bucket, Key, IfMatch: otherEtag }));
    await refused(wrong, "PreconditionFailed", 412);
    expect(await get(subject)).toBe("one");

    await s3.send(new DeleteObjectCommand({ Bucket, Key, IfMatch }));
    await refused(s3.send(new GetObjectCommand({ Bucket, Key })), "NoSuchKey", 404);
  });

  behaviour("a delete under a condition of what is not there is NoSuchKey", async ({ s3, Bucket, Key }) => {
    await refused(s3.send(new DeleteObjectCommand({ Bucket, Key, IfMatch: otherEtag })), "NoSuchKey", 404);
  });
}
