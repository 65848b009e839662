import { bytesEqual, utf8, utf8Text, view } from "../bytes.ts";
import { isFields, isList, isSavedState, isWhole, type SavedState } from "../index/saved-state.ts";
import { damaged, decoded, type Decoded } from "../segment/decoded.ts";
import { levels } from "./index-bounds.ts";
import { loggedPagesMax, type MovedPage } from "./page-log.ts";

/**
 * What an on-disk index consists of, docs/format.md §12: the file that is replaced as one, and says which of the others
 * count.
 *
 *   0  magic    8   "PAYLMAN\n"
 *   8  version  4   1: since 1 the runs and overlays have attributes
 *  12  length   4   of the JSON, in bytes
 *  16  crc      4   CRC-32 over bytes 0–15 and the JSON, from the CRC-32 of the store's secret
 *  20  JSON
 */
export interface Manifest extends SavedState {
  /** 1 for the first; each further one has the next number. */
  readonly generation: number;
  /** Lanes that the keys are divided among, by jump hash. */
  readonly lanes: number;
  readonly runs: readonly ManifestRun[];
  /** The changes that no run has, where there are any. */
  readonly overlay?: ManifestFile | undefined;
  readonly pages: { readonly file: string; readonly count: number };
  /** Pages that lie elsewhere than the log says. */
  readonly moved: readonly MovedPage[];
  /** Whether a group was cleared of a page that could not be read. */
  readonly hidesUnread: boolean;
  /** Keys that two ids of one page share. */
  readonly sharedKeys: readonly string[];
  /** Payloads at which growth was reported last. */
  readonly reported: number;
}

/** A file that is named by what it holds. */
export interface ManifestFile {
  /** SHA-256 of its bytes, 64 hex digits. */
  readonly sha256: string;
  readonly bytes: number;
}

export interface ManifestRun extends ManifestFile {
  readonly lane: number;
  readonly level: number;
}

export const manifestVersion = 1;

const magic = utf8("PAYLMAN\n");
const headerBytes = 20;
/** Lanes that a manifest may name; a larger number is damage. */
const lanesMax = 65_536;

type Crc32 = (bytes: Uint8Array, seed?: number) => number;

export function encodeManifest(manifest: Manifest, secret: Uint8Array, crc32: Crc32): Uint8Array {
  const text = utf8(JSON.stringify(manifest));
  const bytes = new Uint8Array(headerBytes + text.length);
  const data = view(bytes);
  bytes.set(magic, 0);
  data.setUint32(8, manifestVersion, true);
  data.setUint32(12, text.length, true);
  bytes.set(text, headerBytes);
  data.setUint32(16, manifestCrc(bytes, secret, crc32), true);
  return bytes;
}

export function decodeManifest(bytes: Uint8Array, secret: Uint8Array, crc32: Crc32): Decoded<Manifest> {
  if (bytes.length < headerBytes || !bytesEqual(bytes.subarray(0, 8), magic)) return damaged("not a manifest");
  const data = view(bytes);
  if (data.getUint32(16, true) !== manifestCrc(bytes, secret, crc32)) return damaged("manifest crc differs");
  const version = data.getUint32(8, true);
  if (version !== manifestVersion) return damaged(`manifest version ${version}, expected ${manifestVersion}`);
  if (data.getUint32(12, true) !== bytes.length - headerBytes) return damaged("manifest length");
  let manifest: unknown;
  try {
    manifest = JSON.parse(utf8Text(bytes.subarray(headerBytes)) ?? "");
  } catch {
    return damaged("manifest is not JSON");
  }
  return isManifest(manifest) ? decoded(manifest) : damaged("manifest is malformed");
}

function isManifest(value: unknown): value is Manifest {
  if (!isSavedState(value) || !isFields(value)) return false;
  const { generation, lanes, runs, overlay, pages, moved, hidesUnread, sharedKeys, reported, segments } =
    value as SavedState as Manifest;
  if (!isWhole(generation, 1) || !isWhole(lanes, 1, lanesMax) || !isList(runs, isFields)) return false;
  const isRun = (run: ManifestRun) =>
    isFile(run) && isWhole(run.lane, 0, lanes - 1) && isWhole(run.level, 0, levels - 1);
  if (!runs.every(isRun) || new Set(runs.map(({ lane, level }) => lane * levels + level)).size !== runs.length)
    return false;
  if (overlay !== undefined && !isFile(overlay)) return false;
  if (!isFields(pages) || !isFileName(pages.file) || !isWhole(pages.count, 0, loggedPagesMax)) return false;
  const isMoved = ([page, segment, offset, headBytes]: MovedPage) =>
    isWhole(page, 0, pages.count - 1) &&
    isWhole(segment, 0, segments.length - 1) &&
    isWhole(offset) &&
    isWhole(headBytes, 1);
  if (!isList(moved, Array.isArray) || !moved.every(isMoved)) return false;
  if (!isList(sharedKeys, (key) => /^-?\d{1,10} -?\d{1,10}$/.test(String(key)))) return false;
  return typeof hidesUnread === "boolean" && isWhole(reported);
}

function isFile(value: unknown): value is ManifestFile {
  return isFields(value) && /^[0-9a-f]{64}$/.test(String(value["sha256"])) && isWhole(value["bytes"]);
}

/** Nothing that would lead out of the index's folder. */
function isFileName(value: unknown): boolean {
  return typeof value === "string" && /^pages-[0-9a-f]{16}$/.test(value);
}

function manifestCrc(bytes: Uint8Array, secret: Uint8Array, crc32: Crc32): number {
  return crc32(bytes.subarray(headerBytes), crc32(bytes.subarray(0, 16), crc32(secret)));
}
