import type { CompactionMetrics } from "./lambda-compact.ts";

/**
 * A run as a line of a log from which CloudWatch makes metrics, as {@link emfLine} does of a request. docs/operations.md names
 * each. No tenant, group or segment is in it.
 */
export function compactionLine(functionName: string, timestampMs: number, metrics: CompactionMetrics): string {
  const { report, asked, requestId } = metrics;
  const { rows, bytesIn, bytesOut, freed, freedBytes, complete } = report;
  const values: Readonly<Record<keyof typeof units, number>> = {
    Compactions: 1,
    CompactedGroups: rows?.groupsChanged ?? 0,
    CompactedRows: rows?.rowsWritten ?? 0,
    SweptRows: rows?.rowsRemoved ?? 0,
    CompactionBytesIn: bytesIn,
    CompactionBytesOut: bytesOut,
    EmptiedSegments: report.segments.length,
    FreedSegments: freed.length,
    FreedBytes: freedBytes,
    ExpiredPayloads: report.expired.payloads,
    ExpiredBytes: report.expired.bytes,
    DeadShare: Math.round((rows?.deadShare ?? 0) * 10_000) / 100,
    // Bytes that were written for each that was freed or joined; 0 where nothing was.
    Amplification: bytesIn === 0 ? 0 : Math.round((100 * bytesOut) / bytesIn) / 100,
    CompactionLag: Math.round((rows?.lagMs ?? 0) / 1000),
    CompactionSkipped: report.skipped.length,
    CompactionMicroDollars: Math.round((rows?.dollars ?? 0) * 1e6),
  };
  const directive = {
    Namespace: "Paylode",
    Dimensions: [["FunctionName"]],
    Metrics: Object.entries(units).map(([Name, Unit]) => ({ Name, Unit })),
  };
  const line = {
    _aws: { Timestamp: timestampMs, CloudWatchMetrics: [directive] },
    FunctionName: functionName,
    ...values,
    complete,
    expiredByRetention: report.expired.byRetention,
    requests: asked.requests,
    requestId,
  };
  return `${JSON.stringify(line)}\n`;
}

const units = {
  Compactions: undefined,
  CompactedGroups: undefined,
  CompactedRows: undefined,
  SweptRows: undefined,
  CompactionBytesIn: "Bytes",
  CompactionBytesOut: "Bytes",
  EmptiedSegments: undefined,
  FreedSegments: undefined,
  FreedBytes: "Bytes",
  ExpiredPayloads: undefined,
  ExpiredBytes: "Bytes",
  DeadShare: "Percent",
  Amplification: undefined,
  CompactionLag: "Seconds",
  CompactionSkipped: undefined,
  CompactionMicroDollars: undefined,
} as const;
