import { createHash } from "node:crypto";
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { expect } from "vitest";
import type { Behaviour, S3Subject } from "../s3-behaviour-suite.ts";
import { answerOf, errorCodeOf, refused, textOf } from "./expectations.ts";

type Signing = Parameters<typeof getSignedUrl>[2];

export function presignedUrls(behaviour: Behaviour): void {
  const toGet = ({ s3, Bucket, Key }: S3Subject, asked: object = {}, signing: Signing = {}): Promise<string> =>
    getSignedUrl(s3, new GetObjectCommand({ Bucket, Key, ...asked }), { expiresIn: 60, ...signing });

  /** Without the checksum that the SDK would put into the URL, of a body that it does not have. */
  const toPut = ({ server, Bucket, Key }: S3Subject, asked: object = {}, signing: Signing = {}): Promise<string> =>
    getSignedUrl(
      server.client({ requestChecksumCalculation: "WHEN_REQUIRED" }),
      new PutObjectCommand({ Bucket, Key, ...asked }),
      { expiresIn: 60, ...signing },
    );
  const put = ({ s3, Bucket, Key }: S3Subject, Body: string): Promise<unknown> =>
    s3.send(new PutObjectCommand({ Bucket, Key, Body }));
  const stored = ({ s3, Bucket, Key }: S3Subject): Promise<string | undefined> =>
    s3.send(new GetObjectCommand({ Bucket, Key })).then(textOf);
  const nothingStored = ({ s3, Bucket, Key }: S3Subject): Promise<void> =>
    refused(s3.send(new HeadObjectCommand({ Bucket, Key })), "NotFound", 404);

  behaviour("one to get is read without credentials", async (subject) => {
    await put(subject, "hello");

    expect(await answerOf(await toGet(subject))).toEqual({ status: 200, text: "hello" });
  });

  behaviour("one to get may be asked for a range", async (subject) => {
    await put(subject, "hello");

    const headers = { range: "bytes=1-3" };
    expect(await answerOf(await toGet(subject), { headers })).toEqual({ status: 206, text: "ell" });
  });

  behaviour("a range that is signed is the only one that is answered", async (subject) => {
    await put(subject, "hello");
    const url = await toGet(subject, { Range: "bytes=1-3" });

    expect(await answerOf(url, { headers: { range: "bytes=1-3" } })).toEqual({ status: 206, text: "ell" });
    expect((await answerOf(url, { headers: { range: "bytes=0-4" } })).status).toBe(403);
    expect((await answerOf(url)).status).toBe(403);
  });

  behaviour("one to get can set the answer's headers", async (subject) => {
    await put(subject, "hello");

    const response = await fetch(await toGet(subject, { ResponseContentDisposition: "attachment" }));

    expect(response.headers.get("content-disposition")).toBe("attachment");
  });

  behaviour("one that has expired is refused", async (subject) => {
    await put(subject, "hello");
    const signingDate = new Date(Date.now() - 120_000);

    const { status, text } = await answerOf(await toGet(subject, {}, { signingDate, expiresIn: 60 }));

    expect([status, errorCodeOf(text)]).toEqual([403, "AccessDenied"]);
    expect((await answerOf(await toGet(subject, {}, { signingDate, expiresIn: 600 }))).status).toBe(200);
  });

  behaviour("one for another key, another method or with another expiry is refused", async (subject) => {
    await put(subject, "hello");
    const url = await toGet(subject);

    const refusals = [
      await answerOf(url.replace(subject.Key, `${subject.Key}x`)),
      await answerOf(url, { method: "PUT", body: "x" }),
      await answerOf(url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")),
    ];

    for (const { status, text } of refusals) {
      expect([status, errorCodeOf(text)]).toEqual([403, "SignatureDoesNotMatch"]);
    }
    expect(await stored(subject)).toBe("hello");
  });

  behaviour("one lasts at most a week", async (subject) => {
    const url = (await toGet(subject)).replace("X-Amz-Expires=60", "X-Amz-Expires=604801");

    const { status, text } = await answerOf(url);

    expect([status, errorCodeOf(text)]).toEqual([400, "AuthorizationQueryParametersError"]);
  });

  behaviour("one to put stores the body", async (subject) => {
    expect((await answerOf(await toPut(subject), { method: "PUT", body: "hello" })).status).toBe(200);

    expect(await stored(subject)).toBe("hello");
  });

  behaviour("a length that is signed is the only one that is taken", async (subject) => {
    const url = await toPut(subject, { ContentLength: 5 });

    expect((await answerOf(url, { method: "PUT", body: "too long" })).status).toBe(403);
    await nothingStored(subject);
    expect((await answerOf(url, { method: "PUT", body: "hello" })).status).toBe(200);
  });

  const sha256 = createHash("sha256").update("hello").digest("base64");
  const bySha256 = { unhoistableHeaders: new Set(["x-amz-checksum-sha256"]) };

  behaviour("a checksum that is signed has to come", async (subject) => {
    const url = await toPut(subject, { ChecksumSHA256: sha256 }, bySha256);

    expect((await answerOf(url, { method: "PUT", body: "hello" })).status).toBe(403);
    await nothingStored(subject);
    const headers = { "x-amz-checksum-sha256": sha256 };
    expect((await answerOf(url, { method: "PUT", body: "hello", headers })).status).toBe(200);
    expect(await stored(subject)).toBe("hello");
  });

  behaviour("a checksum that is signed has to be right", async (subject) => {
    const url = await toPut(subject, { ChecksumSHA256: sha256 }, bySha256);

    const headers = { "x-amz-checksum-sha256": sha256 };
    const { status, text } = await answerOf(url, { method: "PUT", body: "jello", headers });

    expect([status, errorCodeOf(text)]).toEqual([400, "BadDigest"]);
    await nothingStored(subject);
  });

  behaviour("a checksum in the URL has to be right", async (subject) => {
    const url = await toPut(subject, { ChecksumSHA256: sha256 });
    expect(url).toContain("x-amz-checksum-sha256=");

    expect((await answerOf(url, { method: "PUT", body: "jello" })).status).toBe(400);
    await nothingStored(subject);
    expect((await answerOf(url, { method: "PUT", body: "hello" })).status).toBe(200);
  });

  behaviour("a condition that is signed is enforced", async (subject) => {
    const signing = { unhoistableHeaders: new Set(["if-none-match"]), signableHeaders: new Set(["if-none-match"]) };
    const url = await toPut(subject, { IfNoneMatch: "*" }, signing);
    const send = (body: string, headers: Record<string, string>): Promise<{ status: number }> =>
      answerOf(url, { method: "PUT", body, headers });

    expect((await send("first", { "if-none-match": "*" })).status).toBe(200);
    expect((await send("second", { "if-none-match": "*" })).status).toBe(412);
    expect((await send("third", {})).status).toBe(403);
    expect(await stored(subject)).toBe("first");
  });

  behaviour("a header of S3's own that is not signed is refused", async (subject) => {
    const headers = { "x-amz-meta-added": "by the client" };

    const { status, text } = await answerOf(await toPut(subject), { method: "PUT", body: "hello", headers });

    expect([status, errorCodeOf(text)]).toEqual([403, "AccessDenied"]);
    await nothingStored(subject);
  });
}
