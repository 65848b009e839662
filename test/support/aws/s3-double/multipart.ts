import { createHash, randomBytes } from "node:crypto";
import { bucketOf, keptHeaders } from "./bucket.ts";
import type { MultipartUpload, S3Answer, S3Call, StoredChecksum, StoredObject, StoredPart } from "./bucket.ts";
import { checksum, checksumAlgorithms } from "./checksums.ts";
import { checkWriteConditions } from "./conditions.ts";
import { sorted } from "./listing.ts";
import { checksumHeaders, etagOf, wholeChecksum } from "./objects.ts";
import { S3Error } from "./s3-error.ts";
import { xmlContents, xmlDocument, xmlText } from "./xml.ts";

export function createMultipartUpload(call: S3Call): S3Answer {
  const { request, nowMs } = call;
  const asked = request.headers.get("x-amz-checksum-algorithm")?.toLowerCase();
  const id = randomBytes(16).toString("hex");
  bucketOf(call).uploads.set(id, {
    key: request.key,
    initiatedMs: nowMs,
    headers: keptHeaders(request.headers),
    algorithm: checksumAlgorithms.find((algorithm) => algorithm === asked),
    parts: new Map(),
  });
  const started = { Bucket: request.bucket, Key: request.key, UploadId: id };
  return { status: 200, body: xmlDocument("InitiateMultipartUploadResult", started) };
}

export function uploadPart(call: S3Call): S3Answer {
  const { request, payload, nowMs } = call;
  const upload = uploadOf(call);
  const number = Number(request.query.get("partNumber"));
  if (!Number.isInteger(number) || number < 1 || number > partsMax) {
    throw new S3Error("InvalidArgument", `Part number must be an integer between 1 and ${partsMax}, inclusive`);
  }
  if (upload.algorithm !== undefined && payload.checksum?.algorithm !== upload.algorithm) {
    throw new S3Error(
      "InvalidRequest",
      `Checksum Type mismatch occurred, expected checksum Type: ${upload.algorithm}, actual checksum Type: ${payload.checksum?.algorithm ?? "null"}`,
    );
  }
  const part: StoredPart = {
    bytes: payload.bytes,
    etag: etagOf(payload.bytes),
    modifiedMs: nowMs,
    checksum: payload.checksum,
  };
  upload.parts.set(number, part);
  const { algorithm, value } = wholeChecksum(payload);
  return { status: 200, headers: { etag: part.etag, [`x-amz-checksum-${algorithm}`]: value } };
}

export function completeMultipartUpload(call: S3Call): S3Answer {
  const { request, nowMs } = call;
  const bucket = bucketOf(call);
  const upload = uploadOf(call);
  const parts = namedParts(upload, Buffer.from(call.payload.bytes).toString());
  checkWriteConditions(request.headers, bucket, request.key);

  const digests = parts.map((part) => Buffer.from(part.etag.replaceAll('"', ""), "hex"));
  const md5 = createHash("md5").update(Buffer.concat(digests)).digest("hex");
  const object: StoredObject = {
    bytes: Buffer.concat(parts.map((part) => part.bytes)),
    etag: `"${md5}-${parts.length}"`,
    modifiedMs: nowMs,
    headers: upload.headers,
    checksum: checksumOfParts(upload, parts),
  };
  bucket.objects.set(request.key, object);
  bucket.uploads.delete(request.query.get("uploadId") ?? "");
  const completed = { Bucket: request.bucket, Key: request.key, ETag: object.etag };
  return {
    status: 200,
    headers: checksumHeaders(object.checksum),
    body: xmlDocument("CompleteMultipartUploadResult", completed),
  };
}

export function abortMultipartUpload(call: S3Call): S3Answer {
  uploadOf(call);
  bucketOf(call).uploads.delete(call.request.query.get("uploadId") ?? "");
  return { status: 204 };
}

export function listParts(call: S3Call): S3Answer {
  const { request } = call;
  const parts = [...uploadOf(call).parts].toSorted(([left], [right]) => left - right);
  return {
    status: 200,
    body: xmlDocument("ListPartsResult", {
      Bucket: request.bucket,
      Key: request.key,
      UploadId: request.query.get("uploadId") ?? "",
      IsTruncated: false,
      Part: parts.map(([number, part]) => ({
        PartNumber: number,
        LastModified: new Date(part.modifiedMs).toISOString(),
        ETag: part.etag,
        Size: part.bytes.length,
      })),
    }),
  };
}

export function listMultipartUploads(call: S3Call): S3Answer {
  const { request } = call;
  const prefix = request.query.get("prefix") ?? "";
  const uploads = [...bucketOf(call).uploads].filter(([, { key }]) => key.startsWith(prefix));
  const order = sorted(new Set(uploads.map(([, { key }]) => key))).map(({ key }) => key);
  return {
    status: 200,
    body: xmlDocument("ListMultipartUploadsResult", {
      Bucket: request.bucket,
      Prefix: prefix,
      IsTruncated: false,
      Upload: order.flatMap((wanted) =>
        uploads
          .filter(([, { key }]) => key === wanted)
          .map(([id, { key, initiatedMs }]) => ({
            Key: key,
            UploadId: id,
            Initiated: new Date(initiatedMs).toISOString(),
          })),
      ),
    }),
  };
}

const partsMax = 10_000;

/** Of every part but the last. */
const partBytesMin = 5 * 1_024 * 1_024;

function uploadOf(call: S3Call): MultipartUpload {
  const upload = bucketOf(call).uploads.get(call.request.query.get("uploadId") ?? "");
  if (upload === undefined || upload.key !== call.request.key) {
    throw new S3Error("NoSuchUpload", "The specified multipart upload does not exist.");
  }
  return upload;
}

/** The parts that a request names, each as it was uploaded, in ascending order, none too small. */
function namedParts(upload: MultipartUpload, xml: string): readonly StoredPart[] {
  const named = xmlContents(xml, "Part").map((one) => ({
    number: Number(xmlText(one, "PartNumber")),
    etag: (xmlText(one, "ETag") ?? "").replaceAll('"', ""),
    checksums: checksumAlgorithms.flatMap((algorithm) => {
      const value = xmlText(one, `Checksum${algorithm.toUpperCase()}`);
      return value === undefined ? [] : [{ algorithm, value }];
    }),
  }));
  if (named.length === 0) {
    throw new S3Error("MalformedXML", "The XML you provided was not well-formed or did not validate");
  }
  if (named.some(({ number }, index) => index > 0 && number <= (named[index - 1]?.number ?? 0))) {
    throw new S3Error("InvalidPartOrder", "The list of parts was not in ascending order.");
  }
  return named.map(({ number, etag, checksums }, index) => {
    const part = upload.parts.get(number);
    const fits = checksums.every(
      ({ algorithm, value }) => part !== undefined && checksum(algorithm, part.bytes) === value,
    );
    if (part === undefined || part.etag !== `"${etag}"` || !fits) {
      throw new S3Error("InvalidPart", "One or more of the specified parts could not be found.", {
        PartNumber: number,
      });
    }
    if (index < named.length - 1 && part.bytes.length < partBytesMin) {
      throw new S3Error("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", {
        PartNumber: number,
        ProposedSize: part.bytes.length,
        MinSizeAllowed: partBytesMin,
      });
    }
    return part;
  });
}

function checksumOfParts(upload: MultipartUpload, parts: readonly StoredPart[]): StoredChecksum {
  const { algorithm } = upload;
  if (algorithm === undefined || algorithm === "crc64nvme") {
    const bytes = Buffer.concat(parts.map((part) => part.bytes));
    return { algorithm: "crc64nvme", value: checksum("crc64nvme", bytes), type: "FULL_OBJECT" };
  }
  const checksums = parts.map((part) => Buffer.from(checksum(algorithm, part.bytes), "base64"));
  return { algorithm, value: `${checksum(algorithm, Buffer.concat(checksums))}-${parts.length}`, type: "COMPOSITE" };
}
