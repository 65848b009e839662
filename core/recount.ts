import { isPayloadStoreError } from "./errors.ts";
import type { Lookup } from "./lookup.ts";
import type { OffsetIndex, Totals } from "./ports/offset-index.ts";

export interface Recount extends Totals {
  /** Of `storedBytes`, what lies in segments. */
  readonly inSegments: number;
}

/**
 * Counts what a tenant has by its pages, trusting no counter.
 * Cost: reads the head of every page of its groups, and no payload.
 */
export async function recount(
  { index, lookup }: { readonly index: OffsetIndex; readonly lookup: Lookup },
  tenant: string,
): Promise<Recount> {
  const totals = { payloads: 0, rawBytes: 0, storedBytes: 0, none: 0, lz4: 0, zstd: 0, exact: true, inSegments: 0 };
  const unlessCorrupt = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      if (!isPayloadStoreError(error, "CORRUPT") && !isPayloadStoreError(error, "GONE")) throw error;
      totals.exact = false;
    }
  };
  await unlessCorrupt(async () => {
    for await (const { group } of index.groups(tenant)) {
      await unlessCorrupt(async () => {
        const { view } = await lookup.view(tenant, group);
        for (const { found } of view.places()) {
          totals.payloads += 1;
          totals.rawBytes += found.entry.bytes;
          totals.storedBytes += found.storedShare;
          if (found.upload === undefined) totals.inSegments += found.storedShare;
          totals[found.codec === 0 ? "none" : found.codec === 1 ? "lz4" : "zstd"] += 1;
        }
      });
    }
  });
  return totals;
}
