import { ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import type { ListObjectsV2CommandInput } from "@aws-sdk/client-s3";
import { expect } from "vitest";
import type { Behaviour, S3Subject } from "../s3-behaviour-suite.ts";
import { refused } from "./expectations.ts";

export function listings(behaviour: Behaviour): void {
  const fill = async ({ s3, Bucket, Key }: S3Subject, names: readonly string[]): Promise<void> => {
    const left = [...names];
    const worker = async (): Promise<void> => {
      for (let name = left.pop(); name !== undefined; name = left.pop()) {
        await s3.send(new PutObjectCommand({ Bucket, Key: `${Key}/${name}`, Body: name }));
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
  };

  /** All pages: of each its keys and its common prefixes, without what all have in common. */
  const pages = async (
    { s3, Bucket, Key }: S3Subject,
    asked: Omit<ListObjectsV2CommandInput, "Bucket"> = {},
  ): Promise<readonly (readonly string[])[]> => {
    const found: string[][] = [];
    let ContinuationToken: string | undefined;
    do {
      const Prefix = `${Key}/${asked.Prefix ?? ""}`;
      const page = await s3.send(new ListObjectsV2Command({ Bucket, ...asked, Prefix, ContinuationToken }));
      const names = [
        ...(page.Contents ?? []).map((one) => one.Key ?? ""),
        ...(page.CommonPrefixes ?? []).map((one) => one.Prefix ?? ""),
      ];
      expect(page.KeyCount).toBe(names.length);
      expect(page.IsTruncated).toBe(page.NextContinuationToken !== undefined);
      found.push(names.map((name) => name.slice(Key.length + 1)));
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken !== undefined);
    return found;
  };

  behaviour("keys come in the order of their UTF-8 bytes", async (subject) => {
    const ordered = ["A", "B", "a", "a b", "a!", "a/b", "a0", "b", "z", "é", "\uE000", "\u{1F600}"];
    await fill(subject, ordered.toReversed());

    const [names] = await pages(subject);

    expect(names).toEqual(ordered.toSorted((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right))));
  });

  behaviour("what was put is listed at once, with size and ETag", async (subject) => {
    const { s3, Bucket, Key } = subject;
    const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key: `${Key}/a`, Body: "hello" }));

    const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: `${Key}/` }));

    expect(Contents).toMatchObject([{ Key: `${Key}/a`, Size: 5, ETag }]);
  });

  behaviour("a prefix chooses, and none is an empty list", async (subject) => {
    await fill(subject, ["a1", "a2", "b1"]);

    expect(await pages(subject, { Prefix: "a" })).toEqual([["a1", "a2"]]);
    expect(await pages(subject, { Prefix: "c" })).toEqual([[]]);
  });

  behaviour("pages have the length that is asked for", async (subject) => {
    await fill(subject, ["1", "2", "3", "4", "5"]);

    expect(await pages(subject, { MaxKeys: 2 })).toEqual([["1", "2"], ["3", "4"], ["5"]]);
    expect(await pages(subject, { MaxKeys: 5 })).toEqual([["1", "2", "3", "4", "5"]]);
  });

  behaviour("a page has at most 1,000 keys", async (subject) => {
    const names = Array.from({ length: 1_003 }, (_, index) => String(index).padStart(4, "0"));
    await fill(subject, names);

    const found = await pages(subject);

    expect(found.map(({ length }) => length)).toEqual([1_000, 3]);
    expect(found.flat()).toEqual(names);
    expect((await pages(subject, { MaxKeys: 5_000 })).map(({ length }) => length)).toEqual([1_000, 3]);
  });

  behaviour("a list starts behind a key, there or not", async (subject) => {
    await fill(subject, ["a", "b", "c", "d"]);
    const after = (name: string): Promise<unknown> => pages(subject, { StartAfter: `${subject.Key}/${name}` });

    expect(await after("b")).toEqual([["c", "d"]]);
    expect(await after("bb")).toEqual([["c", "d"]]);
    expect(await after("d")).toEqual([[]]);
  });

  behaviour("what lies below a delimiter is one common prefix", async (subject) => {
    await fill(subject, ["a/1", "a/2", "b", "c/1/x", "c/2"]);

    expect(await pages(subject, { Delimiter: "/" })).toEqual([["b", "a/", "c/"]]);
    expect(await pages(subject, { Delimiter: "/", Prefix: "c/" })).toEqual([["c/2", "c/1/"]]);
  });

  behaviour("a common prefix counts as one and is told once, also over pages", async (subject) => {
    await fill(subject, ["a/1", "a/2", "b", "c/1", "c/2", "d"]);

    expect(await pages(subject, { Delimiter: "/", MaxKeys: 1 })).toEqual([["a/"], ["b"], ["c/"], ["d"]]);
  });

  behaviour("keys of any characters are listed encoded when that is asked for", async ({ s3, Bucket, Key }) => {
    await s3.send(new PutObjectCommand({ Bucket, Key: `${Key}/a\u0001\n&`, Body: "x" }));

    const asked = { Bucket, Prefix: `${Key}/`, EncodingType: "url" } as const;
    const { Contents = [] } = await s3.send(new ListObjectsV2Command(asked));

    expect(Contents.map((one) => decodeURIComponent(one.Key ?? ""))).toEqual([`${Key}/a\u0001\n&`]);
  });

  behaviour("a token that S3 did not give is refused", async ({ s3, Bucket }) => {
    await refused(s3.send(new ListObjectsV2Command({ Bucket, ContinuationToken: "???" })), "InvalidArgument", 400);
  });

  behaviour("a bucket that is not there has no list", async ({ s3 }) => {
    await refused(s3.send(new ListObjectsV2Command({ Bucket: "no-such-bucket" })), "NoSuchBucket", 404);
  });
}
