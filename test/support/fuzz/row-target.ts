import assert from "node:assert/strict";
import type { SeededRandom } from "../../../bench/agent-trace-random.ts";
import { GroupPages } from "../../../core/rows/group-pages.ts";
import { IdHasher } from "../../../core/rows/id-hasher.ts";
import { decodeRow, encodeRow, type Row, rowCrcOf } from "../../../core/rows/row.ts";
import { nodeDigest } from "../../../core/adapters/node/digest.ts";
import { view } from "../../../core/bytes.ts";
import { decodePage } from "../../../core/page/page.ts";
import type { GoldenPieces } from "./golden-pieces.ts";
import { mutated } from "./mutations.ts";

/** The row of a golden frame, changed, and mostly with the checksum it then asks for: bytes, and their decoding. */
export function changedRow(pieces: GoldenPieces, others: readonly Uint8Array[], random: SeededRandom) {
  const { bytes: whole, frames, segment, tenant } = random.pick(pieces.segments);
  const { group, sequence, offset, headBytes, bodyBytes, page: encodedPage } = random.pick(frames);
  const crcOf = rowCrcOf(pieces.secret, nodeDigest);
  const tools = { hasher: new IdHasher(pieces.secret), digest: nodeDigest };
  const pk = `${tenant}/${group}`;
  const place = { segment, offset, headBytes };
  const decodedPage = decodePage(encodedPage);
  assert.ok(decodedPage.ok, "golden pages are whole");
  const keeping = (bytes: number) => ({ ...place, held: whole.subarray(offset, offset + bytes) });
  const page = decodedPage.value;
  const { place: kept, ...says } = random.pick<Row>([
    { place, bodyBytes, hashes: tools.hasher.page(tenant, group, page) },
    { place: keeping(headBytes), bodyBytes },
    { place: { ...keeping(headBytes + bodyBytes), inline: true }, bodyBytes },
  ]);
  const stands = page.merged !== undefined || random.chance(0.3);
  const upTo = sequence + random.between(0, 3);
  const covers = { upTo, replaces: segment, closed: random.chance(0.5), tier: 1, rawBytes: bodyBytes } as const;
  const row: Row = { place: kept, ...says, ...(stands ? { covers } : {}) };

  const bytes = mutated(encodeRow(row, pk, sequence, crcOf), others, random);
  if (bytes.length >= 4 && random.chance(0.7)) {
    view(bytes).setUint32(bytes.length - 4, crcOf(bytes.subarray(0, -4), pk, sequence), true);
  }
  const decode = () => {
    const read = decodeRow(bytes, pk, sequence, crcOf);
    const pages = new GroupPages({ tenant, group }, [{ sequence, row: read, record: bytes }], tools);
    const { payloads } = pages.count();
    const answers = [pages.all(), pages.decide("id"), pages.answering("key")];
    // A row that cannot be read is no answer: everything that it could decide is said to be incomplete.
    if (!read.ok)
      assert.ok(payloads === 0 && answers.every(({ records, incomplete }) => records.length === 0 && incomplete));
    return read;
  };
  return { bytes, decode };
}
