import { bytesEqual, utf8, utf8Text, view, setUint64, getUint64 } from "../bytes.ts";
import { PayloadStoreError } from "../errors.ts";
import { invariant } from "../invariant.ts";
import type { SegmentBinding } from "./binding.ts";
import { damaged, decoded, type Decoded } from "./decoded.ts";

/**
 * The first 128 bytes of a segment. docs/format.md §3.
 *
 *   0  magic            8   "PAYLODE\n"
 *   8  format version   2   0
 *  10  flags            2   0; unknown flags are a newer version
 *  12  crc              4   over bytes 0–11 and 16–127, bound to the name at offset 0
 *  16  name            26   the segment's own name
 *  42  reserved         6   0
 *  48  sync marker      8   random; begins every frame and mark of this segment
 *  56  created          8   milliseconds since 1970
 *  64  tenant length    1
 *  65  tenant          63   padded with 0
 */
export const segmentHeaderBytes = 128;

/** The format version this release writes, and the only one it reads. */
export const formatVersion = 0;

export const syncMarkerBytes = 8;

export interface SegmentHeader {
  readonly tenant: string;
  readonly segment: string;
  /** Random and never shown to a tenant, so that no payload can pretend to be a frame while the header is whole. */
  readonly marker: Uint8Array;
  readonly createdMs: number;
}

const magic = utf8("PAYLODE\n");

export function encodeSegmentHeader(header: SegmentHeader, binding: SegmentBinding): Uint8Array {
  invariant(header.marker.length === syncMarkerBytes, "sync marker length");
  const bytes = new Uint8Array(segmentHeaderBytes);
  const data = view(bytes);
  bytes.set(magic, 0);
  data.setUint16(8, formatVersion, true);
  bytes.set(utf8(header.segment), 16);
  bytes.set(header.marker, 48);
  setUint64(data, 56, header.createdMs);
  const tenant = utf8(header.tenant);
  bytes[64] = tenant.length;
  bytes.set(tenant, 65);
  data.setUint32(12, headerCrc(bytes, binding), true);
  return bytes;
}

/** A header that is whole, of a segment that does not belong here: nothing of it may be served. */
export interface MisplacedHeader {
  readonly ok: false;
  readonly damage: string;
  readonly misplaced: "renamed" | "another tenant's";
}

/**
 * @returns the header, or its damage
 * @throws {PayloadStoreError} `UNSUPPORTED_VERSION` when the header is whole and says a version or flag unknown here
 */
export function decodeSegmentHeader(
  bytes: Uint8Array,
  tenant: string,
  binding: SegmentBinding,
): Decoded<SegmentHeader> | MisplacedHeader {
  if (bytes.length < segmentHeaderBytes)
    return damaged(`segment header of ${bytes.length} bytes, expected ${segmentHeaderBytes}`);
  const data = view(bytes);
  if (!bytesEqual(bytes.subarray(0, 8), magic)) return damaged(`segment magic is not "PAYLODE\\n"`);
  const stored = data.getUint32(12, true);
  const computed = headerCrc(bytes, binding);
  if (stored !== computed) return damaged(`segment header crc ${crcText(stored)} ≠ ${crcText(computed)}`);
  const version = data.getUint16(8, true);
  const flags = data.getUint16(10, true);
  if (version !== formatVersion || flags !== 0) {
    throw new PayloadStoreError(
      "UNSUPPORTED_VERSION",
      `segment ${binding.segment} has format version ${version} (flags ${flags}); this release reads version ${formatVersion}`,
      { details: { segment: binding.segment, found: version, expected: formatVersion } },
    );
  }
  const tenantBytes = bytes[64] ?? 0;
  const createdMs = getUint64(data, 56);
  const name = utf8Text(bytes.subarray(16, 42));
  const owner = tenantBytes <= 63 ? utf8Text(bytes.subarray(65, 65 + tenantBytes)) : undefined;
  if (name !== binding.segment || owner !== tenant || createdMs === undefined) {
    const damage = `segment header names ${owner}/${name}, found as ${tenant}/${binding.segment}`;
    return { ok: false, damage, misplaced: owner === tenant ? "renamed" : "another tenant's" };
  }
  return decoded({ tenant, segment: binding.segment, marker: bytes.slice(48, 56), createdMs });
}

export function crcText(crc: number): string {
  return `0x${crc.toString(16).padStart(8, "0")}`;
}

function headerCrc(bytes: Uint8Array, binding: SegmentBinding): number {
  return binding.crc(0, bytes.subarray(0, 12), bytes.subarray(16, segmentHeaderBytes));
}
