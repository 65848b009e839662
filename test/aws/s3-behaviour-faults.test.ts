import { Readable } from "node:stream";
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectTaggingCommand,
} from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { noise } from "../conformance/sample-bytes.ts";
import { answerOf, bytesOf, errorCodeOf, refused, textOf } from "../support/aws/s3-behaviour/expectations.ts";
import { startS3Double } from "../support/aws/s3-double.ts";
import type { S3Double } from "../support/aws/s3-double.ts";

/** What the double has and S3 has not: faults that come when they are called, a log, a clock that can be set. */
describe("the S3 double", () => {
  const Key = "segments/acme/1.seg";
  let nowMs: () => number;
  let double: S3Double;
  let Bucket: string;
  /** Neither of them retries. */
  let s3: S3Client;
  let impatient: S3Client;
  beforeEach(async () => {
    nowMs = Date.now;
    double = await startS3Double({ nowMs: () => nowMs() });
    Bucket = await double.freshBucket();
    s3 = double.client({ maxAttempts: 1 });
    impatient = double.client({
      maxAttempts: 1,
      requestHandler: { requestTimeout: 100, throwOnRequestTimeout: true },
    });
  });
  afterEach(() => double.close());

  const put = (client = s3, Body: string | Uint8Array = "hello"): Promise<unknown> =>
    client.send(new PutObjectCommand({ Bucket, Key, Body }));
  const get = (client = s3): Promise<string | undefined> =>
    client.send(new GetObjectCommand({ Bucket, Key })).then(textOf);
  const isStored = async (): Promise<boolean> => {
    const { Contents = [] } = await double.client().send(new ListObjectsV2Command({ Bucket }));
    return Contents.length > 0;
  };

  describe("has a fault that", () => {
    for (const [kind, code, status] of [
      ["slow-down", "SlowDown", 503],
      ["internal-error", "InternalError", 500],
      ["access-denied", "AccessDenied", 403],
      ["conflict", "ConditionalRequestConflict", 409],
    ] as const) {
      test(`answers ${code} before the request takes effect, and after`, async () => {
        double.fault({ kind });
        await refused(put(), code, status);
        expect(await isStored()).toBe(false);

        double.fault({ kind, when: "after" });
        await refused(put(), code, status);
        expect(await isStored()).toBe(true);
      });
    }

    test("never answers, before the request takes effect and after", async () => {
      double.fault({ kind: "timeout" });
      await expect(put(impatient)).rejects.toMatchObject({ name: "TimeoutError" });
      expect(await isStored()).toBe(false);

      double.fault({ kind: "timeout", when: "after" });
      await expect(put(impatient)).rejects.toMatchObject({ name: "TimeoutError" });
      expect(await isStored()).toBe(true);
    });

    test("resets the connection, before the request takes effect and after", async () => {
      double.fault({ kind: "reset" });
      await expect(put()).rejects.toMatchObject({ code: "ECONNRESET" });
      expect(await isStored()).toBe(false);

      double.fault({ kind: "reset", when: "after" });
      await expect(put()).rejects.toMatchObject({ code: "ECONNRESET" });
      expect(await isStored()).toBe(true);
    });

    test("lets a request arrive when its client has long gone", async () => {
      const late = double.fault({ kind: "hold" });

      await expect(put(impatient)).rejects.toMatchObject({ name: "TimeoutError" });
      expect(await isStored()).toBe(false);
      late.release();

      await expect.poll(isStored).toBe(true);
    });

    test("lets an answer come late", async () => {
      const late = double.fault({ kind: "hold", when: "after", operation: "PutObject" });
      let answered = false;
      const putting = put().then(() => (answered = true));

      await late.struck;
      expect(await isStored()).toBe(true);
      expect(answered).toBe(false);
      late.release();

      expect(await putting).toBe(true);
    });

    test("cuts an upload in its middle, and nothing is stored", async () => {
      double.fault({ kind: "cut-upload" });

      await expect(put(s3, noise(4_000_000, 1))).rejects.toMatchObject({ code: /^(?:ECONNRESET|EPIPE)$/ });

      expect(await isStored()).toBe(false);
      const [entry] = double.log.entries({ operation: "PutObject" });
      expect(entry?.requestBytes).toBeGreaterThanOrEqual(2_000_000);
      expect(entry?.requestBytes).toBeLessThan(4_000_000);
    });

    test("cuts an answer in its middle, also of a range", async () => {
      const bytes = noise(1_000_000, 1);
      await put(s3, bytes);

      for (const Range of [undefined, "bytes=0-499999"]) {
        double.fault({ kind: "cut-download" });
        const found = await s3.send(new GetObjectCommand({ Bucket, Key, Range }));
        expect(found.ContentLength).toBe(Range === undefined ? 1_000_000 : 500_000);
        await expect(bytesOf(found)).rejects.toMatchObject({ code: "ECONNRESET" });
      }
      expect(double.log.entries({ operation: "GetObject" }).map((one) => one.responseBytes)).toEqual([
        500_000, 250_000,
      ]);
    });

    test("sends an answer slowly, and whole", async () => {
      const bytes = noise(10_000, 1);
      await put(s3, bytes);
      double.fault({ kind: "slow-download", delayMs: 10 });

      const startMs = performance.now();
      const found = await bytesOf(await s3.send(new GetObjectCommand({ Bucket, Key })));

      expect(Buffer.compare(found, bytes)).toBe(0);
      expect(performance.now() - startMs).toBeGreaterThanOrEqual(75);
    });
  });

  describe("strikes", () => {
    test("what the plan names, and nothing else", async () => {
      const Other = await double.freshBucket();
      const fault = double.fault({
        kind: "access-denied",
        operation: "GetObject",
        resource: Bucket,
        key: /^segments\//,
        times: Infinity,
      });
      await put();
      await s3.send(new PutObjectCommand({ Bucket, Key: "uploads/1", Body: "x" }));
      await s3.send(new PutObjectCommand({ Bucket: Other, Key, Body: "x" }));

      await refused(get(), "AccessDenied", 403);
      await refused(get(), "AccessDenied", 403);
      await s3.send(new HeadObjectCommand({ Bucket, Key }));
      await s3.send(new GetObjectCommand({ Bucket, Key: "uploads/1" })).then(textOf);
      await s3.send(new GetObjectCommand({ Bucket: Other, Key })).then(textOf);
      expect(fault.hits).toBe(2);

      fault.remove();
      expect(await get()).toBe("hello");
    });

    test("from the request that is named, as often as is said", async () => {
      double.fault({ kind: "slow-down", operation: "PutObject", nth: 2, times: 2 });

      const outcomes = [];
      for (let request = 1; request <= 5; request += 1) {
        outcomes.push(await put().then(() => "stored", String));
      }

      expect(outcomes.map((outcome) => outcome === "stored")).toEqual([true, false, false, true, true]);
    });

    test("an SDK's retries too, which go on until one is answered", async () => {
      double.fault({ kind: "slow-down", operation: "PutObject" });
      double.fault({ kind: "reset", when: "after", operation: "PutObject", nth: 2 });

      await put(double.client({ maxAttempts: 3 }));

      const attempts = double.log.entries({ operation: "PutObject", key: Key });
      expect(attempts.map(({ fault, status }) => [fault, status])).toEqual([
        ["slow-down", 503],
        ["reset", undefined],
        [undefined, 200],
      ]);
    });
  });

  describe("keeps a log", () => {
    test("of operations, keys, ranges, bytes and outcomes", async () => {
      await put();
      await s3.send(new GetObjectCommand({ Bucket, Key, Range: "bytes=1-3" })).then(textOf);
      await s3.send(new ListObjectsV2Command({ Bucket, Prefix: "segments/" }));
      await refused(s3.send(new HeadObjectCommand({ Bucket, Key: "none" })), "NotFound", 404);
      await s3.send(new DeleteObjectCommand({ Bucket, Key }));

      const told = { resource: Bucket, range: undefined, fault: undefined, errorCode: undefined };
      expect(double.log.entries()).toMatchObject([
        { ...told, operation: "PutObject", key: Key, requestBytes: 5, responseBytes: 0, status: 200 },
        { ...told, operation: "GetObject", key: Key, range: "bytes=1-3", responseBytes: 3, status: 206 },
        { ...told, operation: "ListObjectsV2", key: "segments/", status: 200 },
        { ...told, operation: "HeadObject", key: "none", responseBytes: 0, status: 404, errorCode: "NoSuchKey" },
        { ...told, operation: "DeleteObject", key: Key, status: 204 },
      ]);
      expect(double.log.count({ key: /^segments\// })).toBe(4);
      double.log.clear();
      expect(double.log.count()).toBe(0);
    });

    test("of what was refused, and of bodies without their framing", async () => {
      const stranger = double.client({ credentials: { accessKeyId: "nobody", secretAccessKey: "x" } });
      await refused(put(stranger), "InvalidAccessKeyId", 403);

      const Body = Readable.from([Buffer.from("hello")]);
      await s3.send(new PutObjectCommand({ Bucket, Key, Body, ContentLength: 5 }));

      const entries = double.log.entries({ operation: "PutObject" });
      expect(entries.map((one) => [one.errorCode, one.requestBytes])).toEqual([
        ["InvalidAccessKeyId", 5],
        [undefined, 5],
      ]);
    });
  });

  describe("has a clock", () => {
    const minuteMs = 60_000;

    test("that dates what is stored", async () => {
      nowMs = () => Date.parse("2031-05-06T07:08:09Z");
      await put(double.client({ systemClockOffset: nowMs() - Date.now() }));
      const { Contents } = await double
        .client({ systemClockOffset: nowMs() - Date.now() })
        .send(new ListObjectsV2Command({ Bucket }));

      expect(Contents).toMatchObject([{ LastModified: new Date("2031-05-06T07:08:09Z") }]);
    });

    for (const minutes of [-60, 60]) {
      test(`that is ${minutes} minutes from the client's: the SDK corrects its own, and tries again`, async () => {
        nowMs = () => Date.now() + minutes * minuteMs;

        await put(double.client({ maxAttempts: 2 }));

        expect(double.log.entries().map(({ errorCode }) => errorCode)).toEqual(["RequestTimeTooSkewed", undefined]);
      });
    }

    test("by which a request that arrives late is refused", async () => {
      const late = double.fault({ kind: "hold", operation: "PutObject" });
      const putting = put();
      await late.struck;

      nowMs = () => Date.now() + 16 * minuteMs;
      late.release();

      await refused(putting, "RequestTimeTooSkewed", 403);
    });

    test("by which a presigned URL expires", async () => {
      await put();
      const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key }), { expiresIn: 3_600 });

      nowMs = () => Date.now() + 59 * minuteMs;
      expect((await answerOf(url)).status).toBe(200);
      nowMs = () => Date.now() + 61 * minuteMs;
      expect((await answerOf(url)).status).toBe(403);
    });
  });

  describe("refuses", () => {
    test("operations, parameters and headers that it does not know", async () => {
      await put();

      const tagging = new PutObjectTaggingCommand({ Bucket, Key, Tagging: { TagSet: [] } });
      await refused(s3.send(tagging), "NotImplemented", 501);
      await refused(s3.send(new GetObjectCommand({ Bucket, Key, VersionId: "1" })), "NotImplemented", 501);
      const encrypted = new PutObjectCommand({ Bucket, Key, Body: "x", ServerSideEncryption: "aws:kms" });
      await refused(s3.send(encrypted), "NotImplemented", 501);
      const old = new GetObjectCommand({ Bucket, Key, IfModifiedSince: new Date() });
      await refused(s3.send(old), "NotImplemented", 501);
      expect(await get()).toBe("hello");
    });

    test("a body in signed chunks, and an address that cannot be decoded", async () => {
      s3.middlewareStack.add(
        (next) => (args) => {
          const { headers } = args.request as { headers: Record<string, string> };
          headers["x-amz-content-sha256"] = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
          return next(args);
        },
        { step: "build", name: "signedChunks" },
      );

      await refused(put(), "NotImplemented", 501);
      const { status, text } = await answerOf(`${double.url}/${Bucket}/%zz`);
      expect([status, errorCodeOf(text)]).toEqual([400, "InvalidURI"]);
    });

    test("metadata over 2 KB", async () => {
      const withMetadata = (length: number): Promise<unknown> =>
        s3.send(new PutObjectCommand({ Bucket, Key, Body: "x", Metadata: { name: "v".repeat(length - 4) } }));

      await withMetadata(2_048);
      await refused(withMetadata(2_049), "MetadataTooLarge", 400);
    });

    test("a copy that changes nothing, or whose target is taken", async () => {
      await put();
      const copy = (to: string, asked: object = {}): Promise<unknown> =>
        s3.send(new CopyObjectCommand({ Bucket, Key: to, CopySource: `${Bucket}/${Key}`, ...asked }));

      await refused(copy(Key), "InvalidRequest", 400);
      await copy("copy", { IfNoneMatch: "*" });
      await refused(copy("copy", { IfNoneMatch: "*" }), "PreconditionFailed", 412);
    });
  });

  test("closes while requests wait", async () => {
    double.fault({ kind: "hold", operation: "PutObject" });
    const late = double.fault({ kind: "timeout", operation: "GetObject" });
    const waiting = [put(), get()];
    const outcomes = Promise.allSettled(waiting);
    await late.struck;

    await double.close();

    expect((await outcomes).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    double = await startS3Double();
  });
});
