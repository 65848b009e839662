import { alarm } from "./alarm.ts";
import { api, apiTimeoutSeconds } from "./api.ts";
import { compact, failed } from "./compaction.ts";
import { table, tableOperations } from "./table.ts";

const ofApi = { namespace: "AWS/Lambda", statistic: "Sum", dimensions: [{ FunctionName: api.name }] } as const;
const ofTable = { namespace: "AWS/DynamoDB", statistic: "Sum", dimensions: [{ TableName: table.name }] } as const;

alarm("ApiErrors", {
  ...ofApi,
  metric: "Errors",
  threshold: 1,
  description: "The handler crashed, ran out of memory, or was stopped at its timeout. Its log says which.",
});

alarm("ApiThrottles", {
  ...ofApi,
  metric: "Throttles",
  threshold: 1,
  description: "Requests were refused because as many are being served as may be: by this function, or by the account.",
});

alarm("ApiDuration", {
  ...ofApi,
  metric: "Duration",
  statistic: "Maximum",
  threshold: 0.8 * apiTimeoutSeconds * 1000,
  description: "A request took four fifths of the time after which it would have been stopped.",
});

alarm("ApiFaults", {
  ...ofApi,
  metric: "Url5xxCount",
  // Clients try a single one again; five in five minutes are no accident.
  threshold: 5,
  description: "Requests were answered with a status of 500 or above.",
});

alarm("TableReadThrottles", {
  ...ofTable,
  metric: "ReadThrottleEvents",
  // A table on demand throttles for a moment when its traffic doubles, and the handler tries again.
  threshold: 10,
  description: "DynamoDB refuses reads: traffic grew faster than the table, or one group is read too often.",
});

alarm("TableWriteThrottles", {
  ...ofTable,
  metric: "WriteThrottleEvents",
  threshold: 10,
  description: "DynamoDB refuses writes: traffic grew faster than the table, or one group is written too often.",
});

alarm("TableFaults", {
  ...ofTable,
  metric: "SystemErrors",
  // DynamoDB keeps this one by operation only.
  dimensions: tableOperations.map((operation) => ({ TableName: table.name, Operation: operation })),
  threshold: 10,
  description: "DynamoDB answers with a status of 500 or above.",
});

alarm("CompactFailed", {
  namespace: "AWS/SQS",
  metric: "ApproximateNumberOfMessagesVisible",
  statistic: "Maximum",
  dimensions: [{ QueueName: failed.nodes.queue.name }],
  threshold: 1,
  description: "A compaction failed three times. Its log says why; nothing is lost, but room does not come back.",
});

alarm("CompactLag", {
  namespace: "Paylode",
  metric: "CompactionLag",
  statistic: "Maximum",
  dimensions: [{ FunctionName: compact.name }],
  // A pass over the whole table is to be done within a day: what is erased has to be gone within the restore window and days.
  threshold: 86_400,
  description:
    "Compaction has not been through the whole table for a day: it needs more time, memory or money than it has.",
});
