import { api } from "./api.ts";
import { bucket } from "./bucket.ts";
import { table, tableOperations } from "./table.ts";

/** One page: what is asked for, how it is answered, what it costs, and what is kept. */
export const dashboard = new aws.cloudwatch.Dashboard("Dashboard", {
  dashboardName: `${$app.name}-${$app.stage}`,
  dashboardBody: $resolve([api.name, table.name, bucket.name, aws.getRegionOutput().region]).apply(
    ([functionName, tableName, bucketName, region]) =>
      JSON.stringify({ widgets: charts(functionName, tableName, bucketName).map(widget(region)) }),
  ),
});

interface Chart {
  readonly title: string;
  readonly series: readonly Series[];
  readonly periodSeconds?: number;
}

/** A metric as CloudWatch spells it: namespace, name, dimensions, and how values are put together. */
type Series = readonly (string | { readonly stat: string })[];

function charts(functionName: string, tableName: string, bucketName: string): readonly Chart[] {
  const ofApi = (metric: string, stat: string): Series => [
    "AWS/Lambda",
    metric,
    "FunctionName",
    functionName,
    { stat },
  ];
  const ofTable = (metric: string): Series => ["AWS/DynamoDB", metric, "TableName", tableName, { stat: "Sum" }];
  const ofBucket = (metric: string, storageType: string): Series => [
    "AWS/S3",
    metric,
    "BucketName",
    bucketName,
    "StorageType",
    storageType,
    { stat: "Average" },
  ];
  const tableLatency = (operation: string): Series => [
    "AWS/DynamoDB",
    "SuccessfulRequestLatency",
    "TableName",
    tableName,
    "Operation",
    operation,
    { stat: "Average" },
  ];
  const spread = ["p50", "p99", "Maximum"];
  // S3 counts what it holds once a day.
  const daily = 86_400;

  return [
    { title: "Requests", series: ["UrlRequestCount", "Url4xxCount", "Url5xxCount"].map((each) => ofApi(each, "Sum")) },
    { title: "Latency, ms", series: spread.map((stat) => ofApi("UrlRequestLatency", stat)) },
    { title: "Duration, ms", series: spread.map((stat) => ofApi("Duration", stat)) },
    {
      title: "Handlers",
      series: [ofApi("ConcurrentExecutions", "Maximum"), ofApi("Errors", "Sum"), ofApi("Throttles", "Sum")],
    },
    { title: "Table: units", series: ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"].map(ofTable) },
    {
      title: "Table: refused",
      series: ["ReadThrottleEvents", "WriteThrottleEvents", "ConditionalCheckFailedRequests"].map(ofTable),
    },
    { title: "Table: latency, ms", series: tableOperations.map(tableLatency) },
    { title: "Bucket: bytes", series: [ofBucket("BucketSizeBytes", "StandardStorage")], periodSeconds: daily },
    { title: "Bucket: objects", series: [ofBucket("NumberOfObjects", "AllStorageTypes")], periodSeconds: daily },
  ];
}

/** Three charts a row, on CloudWatch's grid of 24 columns. */
function widget(region: string) {
  return ({ title, series, periodSeconds = 300 }: Chart, index: number): object => ({
    type: "metric",
    x: (index % 3) * 8,
    y: Math.floor(index / 3) * 6,
    width: 8,
    height: 6,
    properties: { title, region, period: periodSeconds, metrics: series },
  });
}
