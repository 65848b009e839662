import { listPrices, type Prices } from "../placement.ts";
import type { OffsetIndex } from "../ports/offset-index.ts";
import type { SegmentStore } from "../ports/segment-store.ts";
import { readsOf } from "./chunked.ts";

/** What a verification will ask for, at most, where each request has a price. */
export interface VerifyEstimate {
  readonly segments: number;
  readonly bytes: number;
  /** Requests that list objects, 1,000 each. */
  readonly lists: number;
  readonly gets: number;
  /** Rows of the table, as it counts them every six hours, and read units of a scan and of two questions a row. */
  readonly rows: number;
  readonly readUnits: number;
  readonly dollars: number;
}

const listedAtOnce = 1000;
const readUnitBytes = 4096;

/**
 * What verifying a store on AWS costs. Lists, and asks the table for its size; reads nothing else. Uploads are not in it: a read for each
 * 4 MiB of them comes on top.
 */
export async function estimateVerify(
  { segments, index }: { readonly segments: SegmentStore; readonly index: OffsetIndex },
  prices: Prices = listPrices,
): Promise<VerifyEstimate> {
  const all = await segments.segments();
  const table = (await index.size?.()) ?? { rows: 0, bytes: 0 };
  const bytes = all.reduce((sum, summary) => sum + summary.bytes, 0);
  // The segments are listed here and by the verification, the uploads by that alone.
  const lists = 3 * Math.max(1, Math.ceil(all.length / listedAtOnce));
  // A row that does not keep its page's head takes a read of the segment for its group.
  const gets = all.reduce((sum, summary) => sum + readsOf(summary.bytes), 0) + (all.length > 0 ? table.rows : 0);
  const scanned = Math.ceil(table.bytes / readUnitBytes);
  const readUnits = scanned + 2 * Math.max(scanned, table.rows);
  const dollars = lists * prices.objectPut + gets * prices.objectGet + readUnits * prices.readUnit;
  return { segments: all.length, bytes, lists, gets, rows: table.rows, readUnits, dollars };
}
