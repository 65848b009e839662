import type { RecoverableIndex } from "./recoverable-index.ts";

/**
 * Says to an index that takes the place of another which segments are gone, or about to be. No segment tells that, and without
 * it the pages of what is removed meanwhile would be asked for.
 */
export function carryRemovals(from: RecoverableIndex, to: RecoverableIndex): void {
  for (const { tenant, name, removed, supersededMs } of from.segments.all()) {
    if (!removed || to.segments.find(tenant, name)?.removed) continue;
    if (supersededMs !== undefined) to.supersede(tenant, name, supersededMs);
    to.markRemoved(tenant, name);
  }
}

/** As {@link carryRemovals}, and what is not needed any more and has to wait for its grace: for an index that is not doubted. */
export function carryMarks(from: RecoverableIndex, to: RecoverableIndex): void {
  carryRemovals(from, to);
  for (const { tenant, name, supersededMs } of from.segments.all())
    if (supersededMs !== undefined) to.supersede(tenant, name, supersededMs);
}
