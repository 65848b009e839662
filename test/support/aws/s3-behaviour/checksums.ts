import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type { ChecksumAlgorithm, S3Client } from "@aws-sdk/client-s3";
import { expect } from "vitest";
import type { Behaviour, S3Subject } from "../s3-behaviour-suite.ts";
import { refused, textOf } from "./expectations.ts";

/** The checksums that the SDK computes, and some that are wrong: what is damaged on its way must not be stored. */
export function checksums(behaviour: Behaviour): void {
  const text = "hello world";
  const algorithms = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const satisfies ChecksumAlgorithm[];
  const known = {
    CRC32: "DUoRhQ==",
    CRC32C: "yZRlqg==",
    CRC64NVME: "jSnVw/bqjr4=",
    SHA1: createHash("sha1").update(text).digest("base64"),
    SHA256: createHash("sha256").update(text).digest("base64"),
  };

  /** The SDK as it comes, without what a server asks to leave out. */
  const plainClient = ({ server }: S3Subject): S3Client =>
    server.client({
      maxAttempts: 1,
      requestChecksumCalculation: "WHEN_SUPPORTED",
      responseChecksumValidation: "WHEN_SUPPORTED",
    });
  const stream = (): Readable => Readable.from([Buffer.from("hello "), Buffer.from("world")]);

  /** Exchanges the body once all headers are computed and before they are signed: the hash is signed, the bytes are others. */
  const exchangeBody = (client: S3Client, body: () => unknown): S3Client => {
    client.middlewareStack.add(
      (next) => (args) => {
        (args.request as { body: unknown }).body = body();
        return next(args);
      },
      { step: "finalizeRequest", priority: "low", name: "exchangeBody" },
    );
    return client;
  };

  /** Puts under each algorithm, and expects the bytes as they were and the checksum beside them. */
  const keepsChecksums = async (subject: S3Subject, body: () => object): Promise<void> => {
    const { Bucket } = subject;
    const s3 = plainClient(subject);
    for (const algorithm of algorithms) {
      const Key = `${subject.Key}/${algorithm}`;
      await s3.send(new PutObjectCommand({ Bucket, Key, ...body(), ChecksumAlgorithm: algorithm }));

      const head = await s3.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));
      expect(head[`Checksum${algorithm}`]).toBe(known[algorithm]);
      expect([head.ChecksumType, head.ContentLength, head.ContentEncoding ?? ""]).toEqual(["FULL_OBJECT", 11, ""]);
      expect(await textOf(await s3.send(new GetObjectCommand({ Bucket, Key })))).toBe(text);
    }
  };

  behaviour("the SDK's checksums are kept and told", async (subject) => {
    await keepsChecksums(subject, () => ({ Body: text }));
  });

  behaviour("the SDK's checksums in the trailer of a stream are kept and told", async (subject) => {
    await keepsChecksums(subject, () => ({ Body: stream(), ContentLength: text.length }));
  });

  behaviour("a stream without a checksum is stored as it came", async ({ server, Bucket, Key }) => {
    const s3 = server.client({ requestChecksumCalculation: "WHEN_REQUIRED" });

    await s3.send(new PutObjectCommand({ Bucket, Key, Body: stream(), ContentLength: text.length }));

    expect(await textOf(await s3.send(new GetObjectCommand({ Bucket, Key })))).toBe(text);
  });

  behaviour("a wrong checksum is refused, and nothing stored", async ({ s3, Bucket, Key }) => {
    for (const [algorithm, value] of Object.entries(known)) {
      const put = new PutObjectCommand({ Bucket, Key, Body: "hello wirld", [`Checksum${algorithm}`]: value });
      await refused(s3.send(put), "BadDigest", 400);
    }
    await refused(s3.send(new HeadObjectCommand({ Bucket, Key })), "NotFound", 404);
  });

  behaviour("a checksum that is none is refused", async ({ s3, Bucket, Key }) => {
    await refused(
      s3.send(new PutObjectCommand({ Bucket, Key, Body: text, ChecksumCRC32: "AA==" })),
      "InvalidRequest",
      400,
    );
  });

  behaviour("a wrong checksum in a trailer is refused, and nothing stored", async (subject) => {
    const { s3, Bucket, Key } = subject;
    const framed = "5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
    const client = exchangeBody(plainClient(subject), () => Readable.from([Buffer.from(framed)]));

    const put = new PutObjectCommand({ Bucket, Key, Body: stream(), ContentLength: text.length });
    await refused(client.send(put), "BadDigest", 400);
    await refused(s3.send(new HeadObjectCommand({ Bucket, Key })), "NotFound", 404);
  });

  behaviour("a stream that ends early is refused, and nothing stored", async (subject) => {
    const { s3, Bucket, Key } = subject;
    const framed = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    const client = exchangeBody(plainClient(subject), () => Readable.from([Buffer.from(framed)]));

    const put = new PutObjectCommand({ Bucket, Key, Body: stream(), ContentLength: text.length });
    await refused(client.send(put), "IncompleteBody", 400);
    await refused(s3.send(new HeadObjectCommand({ Bucket, Key })), "NotFound", 404);
  });

  behaviour("a body that is not the one that was signed is refused, and nothing stored", async (subject) => {
    const { server, s3, Bucket, Key } = subject;
    const client = exchangeBody(server.client({ maxAttempts: 1 }), () => "hello wörld".slice(0, text.length - 1));

    await refused(client.send(new PutObjectCommand({ Bucket, Key, Body: text })), "XAmzContentSHA256Mismatch", 400);
    await refused(s3.send(new HeadObjectCommand({ Bucket, Key })), "NotFound", 404);
  });

  behaviour("an MD5 is verified", async ({ s3, Bucket, Key }) => {
    const md5 = (of: string): string => createHash("md5").update(of).digest("base64");

    await s3.send(new PutObjectCommand({ Bucket, Key, Body: text, ContentMD5: md5(text) }));
    const put = new PutObjectCommand({ Bucket, Key, Body: "other", ContentMD5: md5(text) });
    await refused(s3.send(put), "BadDigest", 400);
    expect(await textOf(await s3.send(new GetObjectCommand({ Bucket, Key })))).toBe(text);
  });

  behaviour("an object that came without a checksum has a CRC-64/NVME", async ({ server, Bucket, Key }) => {
    const s3 = server.client({ requestChecksumCalculation: "WHEN_REQUIRED" });
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: "123456789" }));

    const head = await s3.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));

    // The check value of the CRC catalogue, ae8b14860a799888.
    expect(head.ChecksumCRC64NVME).toBe(Buffer.from("ae8b14860a799888", "hex").toString("base64"));
  });

  behaviour("a range is told without the checksum of the whole", async (subject) => {
    const { Bucket, Key } = subject;
    const s3 = plainClient(subject);
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: text }));

    const found = await s3.send(new GetObjectCommand({ Bucket, Key, Range: "bytes=0-4" }));

    expect(found.ChecksumCRC32).toBeUndefined();
    expect(await textOf(found)).toBe("hello");
  });

  behaviour("the checksum of a part is verified", async ({ s3, Bucket, Key }) => {
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const part = { Bucket, Key, UploadId, PartNumber: 1, Body: text };

    await refused(s3.send(new UploadPartCommand({ ...part, ChecksumCRC32: "AAAAAA==" })), "BadDigest", 400);
  });
}
