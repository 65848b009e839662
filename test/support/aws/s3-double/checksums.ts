import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

/** The checksums of S3's API, by the end of their header's name: `x-amz-checksum-…`. */
export const checksumAlgorithms = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"] as const;

export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number];

/** The checksum of bytes as headers carry it: big-endian, in base64. */
export function checksum(algorithm: ChecksumAlgorithm, bytes: Uint8Array): string {
  return digests[algorithm](bytes).toString("base64");
}

/** Bytes of each checksum, before base64. */
export const checksumBytes: Readonly<Record<ChecksumAlgorithm, number>> = {
  crc32: 4,
  crc32c: 4,
  crc64nvme: 8,
  sha1: 20,
  sha256: 32,
};

const digests: Readonly<Record<ChecksumAlgorithm, (bytes: Uint8Array) => Buffer>> = {
  crc32: (bytes) => words(crc32(bytes)),
  crc32c: (bytes) => words(crc32c(bytes)),
  crc64nvme: (bytes) => words(...crc64nvme(bytes)),
  sha1: (bytes) => createHash("sha1").update(bytes).digest(),
  sha256: (bytes) => createHash("sha256").update(bytes).digest(),
};

/** CRC-32C (Castagnoli), bits reflected. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (castagnoli[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** CRC-64/NVME, bits reflected, as its upper and lower 32 bits: 64-bit integers would be bigints, and slow. */
function crc64nvme(bytes: Uint8Array): readonly [number, number] {
  let upper = 0xffffffff;
  let lower = 0xffffffff;
  for (const byte of bytes) {
    const at = (lower ^ byte) & 0xff;
    lower = ((lower >>> 8) | (upper << 24)) ^ (nvmeLower[at] ?? 0);
    upper = (upper >>> 8) ^ (nvmeUpper[at] ?? 0);
  }
  return [~upper >>> 0, ~lower >>> 0];
}

const castagnoli = Uint32Array.from({ length: 256 }, (_, byte) => Number(reflectedRemainder(byte, 0x82f63b78n)));
const nvme = Array.from({ length: 256 }, (_, byte) => reflectedRemainder(byte, 0x9a6c9329ac4bc9b5n));
const nvmeUpper = Uint32Array.from(nvme, (remainder) => Number(remainder >> 32n));
const nvmeLower = Uint32Array.from(nvme, (remainder) => Number(remainder & 0xffffffffn));

function reflectedRemainder(byte: number, polynomial: bigint): bigint {
  let remainder = BigInt(byte);
  for (let bit = 0; bit < 8; bit += 1) remainder = (remainder >> 1n) ^ (remainder & 1n ? polynomial : 0n);
  return remainder;
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
}
