import { PayloadStoreError } from "../errors.ts";
import type { SegmentDamage } from "./scan.ts";

/** Why a question has no answer: pages that could change it may be lost. */
export function incompleteError(what: string, tenant: string, damage: SegmentDamage): PayloadStoreError {
  const { segment, start, end, reason } = damage;
  const where = `segment ${tenant}/${segment}, bytes ${start}–${end}`;
  return new PayloadStoreError("CORRUPT", `${what}: pages may be lost in ${where}: ${reason}`, {
    details: { tenant, segment, start, end },
  });
}
