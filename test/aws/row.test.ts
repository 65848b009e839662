import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeRow,
  encodeRow,
  hashRecordBytes,
  keepingRecordBytes,
  keyBytes,
  type Row,
  rowCrcOf,
} from "../../core/rows/row.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { utf8, view } from "../../core/bytes.ts";
import { limits } from "../../core/limits.ts";
import { keptRowBytesMax } from "../../core/placement.ts";
import { rejectsWith } from "../conformance/expectations.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { holds } from "../support/property.ts";

const crcOf = rowCrcOf(new Uint8Array(16).fill(7), nodeDigest);
const pk = "acme/run-1";
const segment = "01jxwmee0c7j09hd3p9zkm1h38";

/** One of each that a row may keep. */
const hashes: Row = {
  place: { segment, offset: 4096, headBytes: 700 },
  bodyBytes: 70_000,
  hashes: {
    clearsGroup: true,
    requests: [0x0123_4567_89ab_cdefn],
    deleted: [1n],
    entries: [2n, 0xffff_ffff_ffff_ffffn],
  },
};
const head: Row = { place: { segment, offset: 64, headBytes: 3, held: Uint8Array.of(1, 2, 3) }, bodyBytes: 300 };
const frame: Row = {
  place: { segment, offset: 0, headBytes: 2, held: Uint8Array.of(9, 8, 7, 6), inline: true },
  bodyBytes: 2,
};
const each = [
  ["hashes", hashes],
  ["a head", head],
  ["a frame", frame],
] as const;

const encoded = (row: Row) => encodeRow(row, pk, 5, crcOf);
const decodedAt = (bytes: Uint8Array, key = pk, sequence = 5) => decodeRow(bytes, key, sequence, crcOf);

/** Gives changed bytes the checksum that they ask for. */
function resealed(bytes: Uint8Array): Uint8Array {
  const whole = bytes.slice();
  view(whole).setUint32(whole.length - 4, crcOf(whole.subarray(0, -4), pk, 5), true);
  return whole;
}

const name = fc.constantFrom(segment, "0".repeat(26), "z".repeat(26));
const number = fc.oneof(fc.nat(200), fc.integer({ min: 0, max: 2 ** 40 }));
const hash = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const keeping = fc.record({
  segment: name,
  offset: number,
  held: fc.uint8Array({ maxLength: 300 }),
  split: fc.nat(300),
  body: number,
});
const covers = fc.record({
  upTo: fc.integer({ min: limits.sequenceMax - 9, max: limits.sequenceMax }),
  replaces: name,
  closed: fc.boolean(),
  tier: fc.constantFrom(0, 1, 2),
  rawBytes: number,
});
const keepingHashes = (requests: number) =>
  fc.record({
    place: fc.record({ segment: name, offset: number, headBytes: number }),
    bodyBytes: number,
    hashes: fc
      .record({
        clearsGroup: fc.boolean(),
        requests: fc.array(hash, { maxLength: requests }),
        deleted: fc.array(hash, { maxLength: 20 }),
        entries: fc.array(hash, { maxLength: 20 }),
        expiry: fc.oneof(
          fc.constantFrom({}, { expires: true as const }),
          number.map((expiredMs) => ({ expires: true as const, expiredMs })),
        ),
      })
      .map(({ expiry, ...said }) => ({ ...said, ...expiry })),
  });
const anyPageRow: fc.Arbitrary<Row> = fc.oneof(
  keepingHashes(1),
  keeping.map(({ segment: of, offset, held, body }): Row => ({
    place: { segment: of, offset, headBytes: held.length, held },
    bodyBytes: body,
  })),
  keeping.map(({ segment: of, offset, held, split }): Row => {
    const headBytes = Math.min(split, held.length);
    return { place: { segment: of, offset, headBytes, held, inline: true }, bodyBytes: held.length - headBytes };
  }),
);
const anyRow: fc.Arbitrary<Row> = fc.oneof(
  anyPageRow,
  fc.tuple(fc.oneof(anyPageRow, keepingHashes(20)), covers).map(([row, standing]) => ({ ...row, covers: standing })),
);

describe("a row", () => {
  test("says what it was told, for every key", () =>
    holds(
      import.meta.filename,
      fc.property(
        anyRow,
        fc.string({ unit: "grapheme", minLength: 1 }),
        fc.integer({ min: 1, max: limits.sequenceMax - 9 }),
        (row, key, sequence) => {
          const read = decodeRow(encodeRow(row, key, sequence, crcOf), key, sequence, crcOf);
          expect(read).toEqual({ ok: true, value: row });
        },
      ),
      { runs: 1000 },
    ));

  test.each([
    [
      "hashes",
      hashes,
      "00010030316a78776d65653063376a303968643370397a6b6d316833388020bc05f0a20403efcdab8967452301010100000000000000020200000000000000ffffffffffffffff",
    ],
    ["a head", head, "00010130316a78776d65653063376a303968643370397a6b6d316833384003ac02010203"],
    ["a frame", frame, "00010230316a78776d65653063376a303968643370397a6b6d3168333800020209080706"],
  ])("that keeps %s has these bytes, as docs/format.md §11 draws them", (_what, row, hex) => {
    const bytes = encoded(row);

    expect(Buffer.from(bytes.subarray(0, -4)).toString("hex")).toBe(hex);
    const sortKey = Buffer.alloc(8);
    sortKey.writeBigUInt64LE(5n);
    const covered = Buffer.concat([new Uint8Array(16).fill(7), utf8(pk), sortKey, bytes.subarray(0, -4)]);
    expect(view(bytes).getUint32(bytes.length - 4, true)).toBe(nodeDigest.crc32(covered));
  });

  test.each(each)("that keeps %s is damaged with any bit flipped, and cut or lengthened anywhere", (_what, row) => {
    const bytes = encoded(row);

    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodedAt(flipped), `bit ${bit}`).toMatchObject({ ok: false });
    }
    for (let length = 0; length < bytes.length; length++) {
      expect(decodedAt(bytes.subarray(0, length)), `${length} bytes`).toMatchObject({ ok: false });
      expect(decodedAt(resealed(bytes.slice(0, length + 4))).ok, `${length} bytes`).toBe(length + 4 >= bytes.length);
    }
    expect(decodedAt(Uint8Array.of(...bytes, 0)).ok).toBe(false);
  });

  test.each(each)("that keeps %s is damaged under any other key, and in any other store", (_what, row) => {
    const bytes = encoded(row);

    for (const [key, sequence] of [
      [pk, 6],
      [pk, 5 + 2 ** 32],
      ["acme/run-2", 5],
      ["acm/erun-1", 5],
      ["other/run-1", 5],
      ["", 5],
    ] as const) {
      expect(decodedAt(bytes, key, sequence)).toMatchObject({ ok: false });
    }
    expect(decodeRow(bytes, pk, 5, rowCrcOf(new Uint8Array(16).fill(8), nodeDigest))).toMatchObject({ ok: false });
    expect(decodedAt(bytes)).toMatchObject({ ok: true });
  });

  test.each([
    ["version 1", 0, 1],
    ["kind 0", 1, 0],
    ["kind 3", 1, 3],
  ])("of %s is refused by name, and not called damaged", async (what, at, value) => {
    const bytes = encoded(hashes);
    bytes[at] = value;

    const error = await rejectsWith("UNSUPPORTED_VERSION", () => decodedAt(resealed(bytes)));
    expect(error.message).toContain(what);
    expect(error.message).toContain('row 5 of "acme/run-1"');
    expect(decodedAt(bytes)).toMatchObject({ ok: false });
  });

  test.each([
    ["keeps something unknown", 2, 3],
    ["names no segment", 3, "u".charCodeAt(0)],
    ["has a flag that is unknown", 36, 4],
  ])("that %s is damaged, whatever its checksum says", (_what, at, value) => {
    const bytes = encoded(hashes);
    bytes[at] = value;

    expect(decodedAt(resealed(bytes))).toEqual({ ok: false, damage: "record is malformed" });
  });

  test("never gets near the 400 KB that a row may have", () => {
    const entries = Array.from({ length: limits.commitPayloadsMax }, (_, i) => BigInt(i));
    const longest: Row = { ...hashes, hashes: { clearsGroup: true, requests: [1n], deleted: [], entries } };
    const key = `${"t".repeat(63)}/${"\u{1f6eb}".repeat(limits.nameBytesMax / 4)}`;

    expect(encoded(longest).length + keyBytes(key)).toBeLessThan(keptRowBytesMax);
    expect(keptRowBytesMax).toBeLessThan(400_000 / 3);
    expect(decodedAt(encoded(longest))).toEqual({ ok: true, value: longest });
  });

  test("is as long as its placement was weighed with, or a few bytes shorter", () => {
    for (const kept of [0, 100, 5000, 131_000]) {
      const held = noise(kept, 1);
      const row: Row = { place: { segment, offset: 2 ** 34, headBytes: kept, held }, bodyBytes: 2 ** 34 };
      const weighed = keepingRecordBytes(kept);
      expect(encoded(row).length).toBeLessThanOrEqual(weighed);
      expect(encoded(row).length).toBeGreaterThan(weighed - 16);
    }
    for (const ids of [0, 1, 100, 10_000]) {
      const entries = Array.from({ length: ids }, () => 1n);
      const row: Row = { ...hashes, hashes: { clearsGroup: false, requests: [1n], deleted: [], entries } };
      expect(encoded(row).length).toBeLessThanOrEqual(hashRecordBytes(ids));
      expect(encoded(row).length).toBeGreaterThan(hashRecordBytes(ids) - 20);
    }
  });
});
