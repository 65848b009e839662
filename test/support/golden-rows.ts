import { type Row, encodeRow, rowCrcOf } from "../../core/rows/row.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { noise } from "../conformance/sample-bytes.ts";

/** The secret that the golden rows are bound to. */
export const goldenRowSecret: Uint8Array = new Uint8Array(16).fill(7);

export interface GoldenRow {
  readonly what: string;
  readonly pk: string;
  readonly sequence: number;
  readonly row: Row;
}

const segment = "01jxwmee0c7j09hd3p9zkm1h38";
const replaces = "01jxwmee08m2qfgzs0g1q1cdw9";
const pk = "acme/batch é/🛫";
const elsewhere = { segment, offset: 2 ** 33, headBytes: 700 } as const;
const says = { clearsGroup: false, requests: [], deleted: [], entries: [2n, 0xffff_ffff_ffff_ffffn] } as const;
const framed = { segment, offset: 0, headBytes: 120, held: noise(300, 1), inline: true } as const;
const covers = { upTo: 9, replaces, closed: false, tier: 0, rawBytes: 70_000 } as const;

/** A row of each kind, with each flag at least once. docs/format.md §11. */
export const goldenRows: readonly GoldenRow[] = (
  [
    ["hashes", { place: elsewhere, bodyBytes: 70_000, hashes: says }],
    [
      "hashes of a page that hides its group and answers a request",
      { place: elsewhere, bodyBytes: 0, hashes: { ...says, clearsGroup: true, requests: [5n], deleted: [1n] } },
    ],
    ["hashes of a page of which some expires", { place: elsewhere, bodyBytes: 9, hashes: { ...says, expires: true } }],
    [
      "hashes of a page of which all expires",
      { place: elsewhere, bodyBytes: 9, hashes: { ...says, expires: true, expiredMs: 4_102_444_800_000 } },
    ],
    ["a head", { place: { segment, offset: 64, headBytes: 90, held: noise(90, 2) }, bodyBytes: 300 }],
    ["a frame", { place: framed, bodyBytes: 180 }],
    ["a frame that stands for others", { place: framed, bodyBytes: 180, covers: { ...covers, tier: 1 } }],
    [
      "hashes that stand for others, with several requests",
      { place: elsewhere, bodyBytes: 9, hashes: { ...says, requests: [5n, 6n, 7n] }, covers: { ...covers, tier: 2 } },
    ],
    [
      "a closed row",
      {
        place: { segment, offset: 64, headBytes: 90, held: noise(90, 2) },
        bodyBytes: 0,
        covers: { ...covers, closed: true, rawBytes: 0 },
      },
    ],
  ] satisfies readonly [string, Row][]
).map(([what, row], i) => ({ what, pk, sequence: i + 1, row }));

/** @returns the file of golden rows: a list of key and record, the record in hex */
export function writeGoldenRows(): Map<string, Uint8Array> {
  const crcOf = rowCrcOf(goldenRowSecret, nodeDigest);
  const rows = goldenRows.map(({ what, pk: key, sequence, row }) => ({
    what,
    pk: key,
    sequence,
    record: Buffer.from(encodeRow(row, key, sequence, crcOf)).toString("hex"),
  }));
  return new Map([["rows.json", Buffer.from(`${JSON.stringify(rows, undefined, 1)}\n`)]]);
}
