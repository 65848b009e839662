import type { RequestCounts } from "../core/adapters/aws/request-meter.ts";

/** What became of one request, for metrics. No tenant, group, id or key is in it. */
export interface RequestMetrics {
  /** Lambda's id of the invocation, to find what else the log says of it. */
  readonly requestId: string;
  readonly method: string;
  /** A template as in `/v1/:tenant/groups/:group`, or `none`. */
  readonly route: string;
  readonly status: number;
  /** The answer ended before its body did. */
  readonly broken: boolean;
  /** The first request of its process. */
  readonly coldStart: boolean;
  /** From the event to the last byte handed to Lambda. */
  readonly latencyMs: number;
  /** Of bodies. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** What was asked of S3 and DynamoDB for it; with the first request, also for opening the store. */
  readonly asked: RequestCounts;
}

/**
 * Metrics as a line of a log from which CloudWatch makes them: Embedded Metric Format. docs/operations.md names each.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 *
 * Every combination of a metric and the values of its dimensions is paid for. So nearly all are kept by function alone, and
 * what else is known stands beside them, for queries of the log.
 */
export function emfLine(functionName: string, timestampMs: number, request: RequestMetrics): string {
  const { asked, requestId, method, route, status, latencyMs } = request;
  const of = (...names: readonly string[]): number => names.reduce((sum, name) => sum + (asked.requests[name] ?? 0), 0);
  const values: Readonly<Record<keyof typeof units, number>> = {
    Requests: 1,
    Latency: Math.round(latencyMs * 100) / 100,
    RequestBytes: request.requestBytes,
    ResponseBytes: request.responseBytes,
    ClientErrors: Number(status >= 400 && status < 500),
    Faults: Number(status >= 500),
    Broken: Number(request.broken),
    ColdStarts: Number(request.coldStart),
    S3Puts: of("PutObject"),
    S3Gets: of("GetObject", "HeadObject", "HeadBucket"),
    ReadUnits: asked.readUnits,
    WriteUnits: asked.writeUnits,
  };
  const line = {
    _aws: { Timestamp: timestampMs, CloudWatchMetrics: directives },
    FunctionName: functionName,
    Route: route,
    ...values,
    method,
    status,
    requests: asked.requests,
    requestId,
  };
  return `${JSON.stringify(line)}\n`;
}

/** Left out where it is a plain number: a line is paid for by its length. */
const units = {
  Requests: undefined,
  Latency: "Milliseconds",
  RequestBytes: "Bytes",
  ResponseBytes: "Bytes",
  ClientErrors: undefined,
  Faults: undefined,
  Broken: undefined,
  ColdStarts: undefined,
  S3Puts: undefined,
  S3Gets: undefined,
  ReadUnits: undefined,
  WriteUnits: undefined,
} as const;

const directives = [
  directive(["FunctionName"], Object.keys(units) as (keyof typeof units)[]),
  directive(["FunctionName", "Route"], ["Latency", "Faults"]),
];

function directive(dimensions: readonly string[], names: readonly (keyof typeof units)[]): object {
  const metrics = names.map((name) => ({ Name: name, Unit: units[name] }));
  return { Namespace: "Paylode", Dimensions: [dimensions], Metrics: metrics };
}
