import { createHash, hash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Digest } from "../../ports/digest.ts";

/** CRC-32 by zlib (4–6 GB/s), SHA-256 by OpenSSL. */
export const nodeDigest: Digest = {
  crc32: (bytes, seed) => crc32(bytes, seed),
  sha256: (bytes) => hash("sha256", bytes, "hex"),
  sha256Parts: () => {
    const parts = createHash("sha256");
    return { update: (bytes) => void parts.update(bytes), end: () => parts.digest("hex") };
  },
};
