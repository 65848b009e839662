import { createHash } from "node:crypto";
import { bucketOf, keptHeaders, objectOf } from "./bucket.ts";
import type { S3Answer, S3Call, StoredChecksum, StoredObject } from "./bucket.ts";
import { checksum } from "./checksums.ts";
import { checkMatch, checkReadConditions, checkWriteConditions } from "./conditions.ts";
import type { Payload } from "./payload.ts";
import { byteRange } from "./range.ts";
import { S3Error } from "./s3-error.ts";
import { xmlContents, xmlDocument, xmlText } from "./xml.ts";

export function putObject(call: S3Call): S3Answer {
  const { request, payload, nowMs } = call;
  const bucket = bucketOf(call);
  checkWriteConditions(request.headers, bucket, request.key);

  const object: StoredObject = {
    bytes: payload.bytes,
    etag: etagOf(payload.bytes),
    modifiedMs: nowMs,
    headers: keptHeaders(request.headers),
    checksum: wholeChecksum(payload),
  };
  bucket.objects.set(request.key, object);
  return { status: 200, headers: { etag: object.etag, ...checksumHeaders(object.checksum) } };
}

/** Also HeadObject: the server leaves the body of its answer away. */
export function getObject(call: S3Call): S3Answer {
  const { headers, query, key } = call.request;
  const object = objectOf(bucketOf(call), key);
  checkReadConditions(headers, object);

  const range = byteRange(headers.get("range"), object.bytes.length);
  const withChecksum = headers.get("x-amz-checksum-mode")?.toUpperCase() === "ENABLED" && range === undefined;
  const asked = [...query].filter(([name]) => name.startsWith("response-"));
  return {
    status: range === undefined ? 200 : 206,
    headers: {
      ...object.headers,
      ...Object.fromEntries(asked.map(([name, value]) => [name.slice("response-".length), value])),
      etag: object.etag,
      "last-modified": new Date(object.modifiedMs).toUTCString(),
      "accept-ranges": "bytes",
      ...(range && { "content-range": `bytes ${range.start}-${range.end - 1}/${object.bytes.length}` }),
      ...(withChecksum && checksumHeaders(object.checksum)),
    },
    body: range === undefined ? object.bytes : object.bytes.subarray(range.start, range.end),
  };
}

export function deleteObject(call: S3Call): S3Answer {
  const { headers, key } = call.request;
  const { objects } = bucketOf(call);
  checkMatch(headers.get("if-match"), objects.get(key), key);

  objects.delete(key);
  return { status: 204 };
}

export function deleteObjects(call: S3Call): S3Answer {
  const { objects } = bucketOf(call);
  if (call.payload.checksum === undefined && !call.request.headers.has("content-md5")) {
    throw new S3Error("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
  }
  const xml = Buffer.from(call.payload.bytes).toString();
  const wanted = xmlContents(xml, "Object").map((one) => ({ key: xmlText(one, "Key"), etag: xmlText(one, "ETag") }));
  if (wanted.length === 0 || wanted.length > deletesMax || xmlContents(xml, "Delete").length !== 1) {
    throw new S3Error("MalformedXML", "The XML you provided was not well-formed or did not validate");
  }

  const errors: { Key: string; Code: string; Message: string }[] = [];
  const deleted: { Key: string }[] = [];
  for (const { key = "", etag } of wanted) {
    try {
      checkMatch(etag, objects.get(key), key);
      objects.delete(key);
      deleted.push({ Key: key });
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      errors.push({ Key: key, Code: error.code, Message: error.message });
    }
  }
  const quiet = xmlText(xml, "Quiet") === "true";
  return { status: 200, body: xmlDocument("DeleteResult", { Deleted: quiet ? [] : deleted, Error: errors }) };
}

export function copyObject(call: S3Call): S3Answer {
  const { request, nowMs } = call;
  const { headers } = request;
  const [sourceBucket = "", ...sourceKey] = decodeURIComponent(headers.get("x-amz-copy-source") ?? "")
    .replace(/^\//, "")
    .split("/");
  const source = objectOf(bucketOf(call, sourceBucket), sourceKey.join("/"));
  const target = bucketOf(call);
  const replaces = headers.get("x-amz-metadata-directive") === "REPLACE";
  if (sourceBucket === request.bucket && sourceKey.join("/") === request.key && !replaces) {
    throw new S3Error(
      "InvalidRequest",
      "This copy request is illegal because it is trying to copy an object to itself without changing its metadata.",
    );
  }
  checkReadConditions(headers, source, "x-amz-copy-source-");
  checkWriteConditions(headers, target, request.key);

  const object: StoredObject = {
    ...source,
    etag: etagOf(source.bytes),
    modifiedMs: nowMs,
    headers: replaces ? keptHeaders(headers) : source.headers,
  };
  target.objects.set(request.key, object);
  const copied = { LastModified: new Date(nowMs).toISOString(), ETag: object.etag };
  return { status: 200, body: xmlDocument("CopyObjectResult", copied) };
}

/** Most keys that one DeleteObjects may name. */
const deletesMax = 1_000;

export function etagOf(bytes: Uint8Array): string {
  return `"${createHash("md5").update(bytes).digest("hex")}"`;
}

/** The client's own checksum; without one, S3 computes CRC-64/NVME. */
export function wholeChecksum(payload: Payload): StoredChecksum {
  const { algorithm, value } = payload.checksum ?? {
    algorithm: "crc64nvme",
    value: checksum("crc64nvme", payload.bytes),
  };
  return { algorithm, value, type: "FULL_OBJECT" };
}

export function checksumHeaders({ algorithm, value, type }: StoredChecksum): Readonly<Record<string, string>> {
  return { [`x-amz-checksum-${algorithm}`]: value, "x-amz-checksum-type": type };
}
