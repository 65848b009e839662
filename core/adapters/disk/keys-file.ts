import { utf8, utf8Text } from "../../bytes.ts";
import { PayloadStoreError } from "../../errors.ts";
import type { Digest } from "../../ports/digest.ts";
import { crcText, formatVersion } from "../../segment/header.ts";
import type { FileSystem } from "./file-system.ts";
import { readWhole, replaceFile } from "./files.ts";
import type { Layout } from "./layout.ts";

interface Ports {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly digest: Digest;
}

/** Read and written by the file's owner alone: the hashes are of no use, but names and scopes are nobody else's business. */
const permissions = 0o600;

/**
 * Reads `keys.json`: the records of all keys, as JSON values that a newer release may have written. docs/format.md §1.
 *
 * @returns `undefined` when there is no such file
 * @throws {PayloadStoreError} `CORRUPT`, `UNSUPPORTED_VERSION`
 */
export function readKeysFile({ fs, layout, digest }: Ports): readonly unknown[] | undefined {
  const bytes = readWhole(fs, layout.keysFile);
  if (bytes === undefined) return undefined;
  const { format, keys, crc } = parsed(bytes);
  if (typeof format === "number" && format > formatVersion) {
    const message = `${layout.keysFile} has format ${format}; this release reads format ${formatVersion}`;
    const details = { found: format, expected: formatVersion };
    throw new PayloadStoreError("UNSUPPORTED_VERSION", message, { details });
  }
  if (format === formatVersion && Array.isArray(keys) && crc === crcOf(keys, digest)) return keys;
  const message = `${layout.keysFile} is damaged: restore it from a copy, or remove it and create all keys anew`;
  throw new PayloadStoreError("CORRUPT", message);
}

/** Puts a new file in the place of the old one, durably. A reader sees the one or the other, never a part. */
export async function writeKeysFile({ fs, layout, digest }: Ports, keys: readonly unknown[]): Promise<void> {
  const json = { format: formatVersion, keys, crc: crcOf(keys, digest) };
  const bytes = utf8(`${JSON.stringify(json, undefined, 2)}\n`);
  await replaceFile(fs, layout.keysFile, bytes, { file: "keys.json", folder: "new keys.json" }, permissions);
}

function parsed(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(utf8Text(bytes) ?? "");
    return typeof json === "object" && json !== null ? (json as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function crcOf(keys: readonly unknown[], digest: Digest): string {
  return crcText(digest.crc32(utf8(JSON.stringify(keys))));
}
