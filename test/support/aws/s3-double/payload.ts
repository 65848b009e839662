import { createHash } from "node:crypto";
import { checksum, checksumAlgorithms, checksumBytes } from "./checksums.ts";
import type { ChecksumAlgorithm } from "./checksums.ts";
import { S3Error } from "./s3-error.ts";

/** The body of a request, after everything that was said about it has been checked. */
export interface Payload {
  readonly bytes: Uint8Array;
  /** The checksum that the client sent, in a header or in a trailer. */
  readonly checksum: DeclaredChecksum | undefined;
}

export interface DeclaredChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly value: string;
}

/**
 * Takes a body out of its `aws-chunked` framing and checks it against the hash, the checksum and the MD5 that came with it.
 *
 * The framing is the one that the SDK for JavaScript sends: unsigned chunks with a trailer. Signed chunks are refused
 * as `NotImplemented`, for no client here sends them.
 */
export function checkedPayload(headers: ReadonlyMap<string, string>, raw: Uint8Array): Payload {
  const stated = headers.get("x-amz-content-sha256") ?? "UNSIGNED-PAYLOAD";
  if (stated.startsWith("STREAMING-") && stated !== "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
    throw new S3Error("NotImplemented", `The double does not implement: ${stated}`);
  }
  const { bytes, trailers } = stated.startsWith("STREAMING-")
    ? unframed(headers, raw)
    : { bytes: raw, trailers: new Map<string, string>() };

  if (/^[0-9a-f]{64}$/.test(stated)) {
    const computed = createHash("sha256").update(bytes).digest("hex");
    if (computed !== stated) {
      throw new S3Error(
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        { ClientComputedContentSHA256: stated, S3ComputedContentSHA256: computed },
      );
    }
  } else if (stated !== "UNSIGNED-PAYLOAD" && !stated.startsWith("STREAMING-")) {
    throw new S3Error("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, or a valid sha256 value.");
  }
  checkMd5(headers.get("content-md5"), bytes);
  return { bytes, checksum: checkedChecksum(headers, trailers, bytes) };
}

/** Chunks as `hex-length CRLF bytes CRLF` up to one of length 0, then trailers as `name:value CRLF`, then CRLF. */
function unframed(
  headers: ReadonlyMap<string, string>,
  raw: Uint8Array,
): { readonly bytes: Uint8Array; readonly trailers: ReadonlyMap<string, string> } {
  const text = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  const chunks: Uint8Array[] = [];
  let at = 0;
  const line = (): string => {
    const end = text.indexOf("\r\n", at);
    if (end < 0) throw incompleteBody();
    const found = text.toString("latin1", at, end);
    at = end + 2;
    return found;
  };

  for (;;) {
    const size = line();
    if (!/^[0-9a-f]{1,8}$/i.test(size)) throw incompleteBody();
    const length = Number.parseInt(size, 16);
    if (length === 0) break;
    chunks.push(text.subarray(at, at + length));
    at += length;
    if (line() !== "") throw incompleteBody();
  }

  const trailers = new Map<string, string>();
  for (let trailer = line(); trailer !== ""; trailer = line()) {
    const [name = "", value = ""] = trailer.split(":");
    trailers.set(name.trim().toLowerCase(), value.trim());
  }
  const announced = headers.get("x-amz-trailer");
  if (announced !== undefined && !trailers.has(announced.toLowerCase())) throw incompleteBody();

  const bytes = Buffer.concat(chunks);
  const length = headers.get("x-amz-decoded-content-length");
  if (length === undefined) {
    throw new S3Error("MissingContentLength", "You must provide the x-amz-decoded-content-length HTTP header.");
  }
  if (Number(length) !== bytes.length) throw incompleteBody();
  return { bytes, trailers };
}

function incompleteBody(): S3Error {
  return new S3Error(
    "IncompleteBody",
    "You did not provide the number of bytes specified by the Content-Length HTTP header",
  );
}

function checkMd5(stated: string | undefined, bytes: Uint8Array): void {
  if (stated === undefined) return;
  if (Buffer.from(stated, "base64").length !== 16) {
    throw new S3Error("InvalidDigest", "The Content-MD5 you specified was invalid.");
  }
  const computed = createHash("md5").update(bytes).digest("base64");
  if (computed !== stated) {
    throw new S3Error("BadDigest", "The Content-MD5 you specified did not match what we received.", {
      ExpectedDigest: stated,
      CalculatedDigest: computed,
    });
  }
}

function checkedChecksum(
  headers: ReadonlyMap<string, string>,
  trailers: ReadonlyMap<string, string>,
  bytes: Uint8Array,
): DeclaredChecksum | undefined {
  const declared = checksumAlgorithms.flatMap((algorithm) => {
    const name = `x-amz-checksum-${algorithm}`;
    const value = headers.get(name) ?? trailers.get(name);
    return value === undefined ? [] : [{ algorithm, value }];
  });
  const [first, second] = declared;
  if (second !== undefined) {
    throw new S3Error(
      "InvalidRequest",
      "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
    );
  }
  const announced = headers.get("x-amz-sdk-checksum-algorithm")?.toLowerCase();
  if (announced !== undefined && announced !== first?.algorithm) {
    throw new S3Error(
      "InvalidRequest",
      "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
    );
  }
  if (first === undefined) return undefined;

  if (Buffer.from(first.value, "base64").length !== checksumBytes[first.algorithm]) {
    throw new S3Error("InvalidRequest", `Value for x-amz-checksum-${first.algorithm} header is invalid.`);
  }
  if (checksum(first.algorithm, bytes) !== first.value) {
    throw new S3Error(
      "BadDigest",
      `The ${first.algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
    );
  }
  return first;
}
