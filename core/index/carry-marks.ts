import { isGap } from "./damage-notes.ts";
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

/**
 * Says to an index that was made from all segments what another one knows to be lost, which may be in no segment any more. A gap that
 * the other has met alone, in the middle of taking segments in, is none where a page in a later segment stands for what is missing.
 */
export function carryDamage(from: RecoverableIndex, to: RecoverableIndex): void {
  for (const damage of from.damage()) {
    const { tenant, group, sequence = Infinity } = damage;
    const isExplained = isGap(damage) && to.hiddenThrough(tenant, group!) >= sequence;
    if (!isExplained) to.noteDamage(damage);
  }
}
