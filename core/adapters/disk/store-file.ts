import { hex, utf8, utf8Text } from "../../bytes.ts";
import { PayloadStoreError } from "../../errors.ts";
import { hashKeyBytes } from "../../index/siphash.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Digest } from "../../ports/digest.ts";
import type { Random } from "../../ports/random.ts";
import { crcText, formatVersion } from "../../segment/header.ts";
import { listOrNothing } from "./disk-segment-store.ts";
import type { FileSystem } from "./file-system.ts";
import { readWhole, replaceFile } from "./files.ts";
import type { Layout } from "./layout.ts";

/** What `store.json` says: the format of the folder, and the secret that the index hashes names with. docs/format.md §1. */
export interface StoreFile {
  readonly secret: Uint8Array;
}

interface StoreJson {
  readonly format: number;
  readonly secret: string;
  readonly created: string;
  readonly crc: string;
}

interface Ports {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly clock: Clock;
  readonly random: Random;
  readonly digest: Digest;
}

/**
 * Reads `store.json`.
 * @returns `undefined` when there is neither the file nor a segment: a new store
 * @throws {PayloadStoreError} `CORRUPT` when it is damaged, or missing beside segments; `UNSUPPORTED_VERSION`
 */
export function readStoreFile({ fs, layout, digest }: Pick<Ports, "fs" | "layout" | "digest">): StoreFile | undefined {
  const bytes = readWhole(fs, layout.storeFile);
  if (!bytes) {
    if (listOrNothing(fs, layout.segments).length === 0) return undefined;
    throw corrupt(`${layout.storeFile} is missing, yet there are segments`);
  }
  const parsed = parse(bytes);
  if (!parsed) throw corrupt(`${layout.storeFile} is damaged`);
  // A newer release may compute its checksum otherwise.
  if (parsed.format <= formatVersion && parsed.crc !== crcOf(parsed, digest))
    throw corrupt(`${layout.storeFile} is damaged`);
  if (parsed.format !== formatVersion) {
    throw new PayloadStoreError(
      "UNSUPPORTED_VERSION",
      `${layout.storeFile} has format ${parsed.format}; this release reads format ${formatVersion}`,
      {
        details: { found: parsed.format, expected: formatVersion },
      },
    );
  }
  const secret = Uint8Array.from(parsed.secret.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  if (secret.length !== hashKeyBytes) throw corrupt(`${layout.storeFile} is damaged`);
  return { secret };
}

/** Writes a new `store.json`, durably, before anything else is. */
export async function createStoreFile({ fs, layout, clock, random, digest }: Ports): Promise<StoreFile> {
  const secret = random.bytes(hashKeyBytes);
  const fields = { format: formatVersion, secret: hex(secret), created: new Date(clock.nowMs()).toISOString() };
  const json: StoreJson = { ...fields, crc: crcOf(fields, digest) };
  await replaceFile(fs, layout.storeFile, utf8(`${JSON.stringify(json, undefined, 2)}\n`), {
    file: "store.json",
    folder: "new store.json",
  });
  return { secret };
}

function parse(bytes: Uint8Array): StoreJson | undefined {
  try {
    const json: unknown = JSON.parse(utf8Text(bytes) ?? "");
    if (typeof json !== "object" || json === null) return undefined;
    const { format, secret, created, crc } = json as Record<string, unknown>;
    if (
      typeof format !== "number" ||
      typeof secret !== "string" ||
      typeof created !== "string" ||
      typeof crc !== "string"
    )
      return undefined;
    return { format, secret, created, crc };
  } catch {
    return undefined;
  }
}

function crcOf({ format, secret, created }: Omit<StoreJson, "crc">, digest: Digest): string {
  return crcText(digest.crc32(utf8(`${format} ${secret} ${created}`)));
}

function corrupt(message: string): PayloadStoreError {
  return new PayloadStoreError(
    "CORRUPT",
    `${message}: run \`paylode rebuild\`, which makes it and the index anew from the segments`,
  );
}
