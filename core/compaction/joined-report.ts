import type { CompactionReport } from "./compaction.ts";
import { addExpired, noneExpired } from "./expired-count.ts";

/** What two runs did, one after the other: what is left is what the second left. The plan is the first one's. */
export function joinedReport(first: CompactionReport, second: CompactionReport): CompactionReport {
  const expired = noneExpired();
  for (const report of [first, second]) addExpired(expired, report.expired);
  return {
    plan: first.plan,
    segments: [...first.segments, ...second.segments],
    bytesIn: first.bytesIn + second.bytesIn,
    pages: first.pages + second.pages,
    payloads: first.payloads + second.payloads,
    bytesOut: first.bytesOut + second.bytesOut,
    expired,
    freed: [...first.freed, ...second.freed],
    freedBytes: first.freedBytes + second.freedBytes,
    waiting: second.waiting,
    skipped: second.skipped,
    complete: second.complete,
  };
}
