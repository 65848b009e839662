import { S3Error } from "./s3-error.ts";

/** A range of bytes, `end` not included. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * A `Range` header over an object of this size: `bytes=2-5`, `bytes=2-`, `bytes=-5`.
 *
 * @returns `undefined` for the whole object: without a header, and as HTTP has it, with one that is not understood, which
 *   several ranges are too.
 * @throws {S3Error} `InvalidRange` if no byte lies in it.
 */
export function byteRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  const fields = /^bytes=(?:(\d+)-(\d*)|-(\d+))$/.exec(header?.trim() ?? "");
  if (fields === null) return undefined;

  const [, first, last, suffix] = fields;
  const start = first === undefined ? Math.max(0, sizeBytes - Number(suffix)) : Number(first);
  const end = last === undefined || last === "" ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  if (first !== undefined && last !== undefined && last !== "" && Number(last) < Number(first)) return undefined;
  if (start >= end) {
    throw new S3Error(
      "InvalidRange",
      "The requested range is not satisfiable",
      { RangeRequested: header ?? "", ActualObjectSize: sizeBytes },
      { "content-range": `bytes */${sizeBytes}` },
    );
  }
  return { start, end };
}
