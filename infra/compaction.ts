import { functionBundle } from "./api-bundle.ts";
import { bucket } from "./bucket.ts";
import { settings } from "./stage.ts";
import { table, tableOperations } from "./table.ts";

/** The longest life of an invocation. A run stops a minute before, and the next one goes on where it stopped. */
export const compactTimeoutSeconds = 900;

/** Events whose runs failed, each after two more tries: for people to look into. */
export const failed = new sst.aws.Queue("CompactFailed", {
  transform: {
    queue: (args) => {
      // The longest that there is: nobody has to look at it on a Sunday.
      args.messageRetentionSeconds = 14 * 86_400;
      args.sqsManagedSseEnabled = true;
    },
  },
});

const logs = new aws.cloudwatch.LogGroup("CompactLogs", {
  name: `/${$app.name}/${$app.stage}/compact`,
  retentionInDays: 30,
});

/** Compaction and garbage collection. It alone may scan the table, list the bucket, and remove anything. */
export const compact = new sst.aws.Function("Compact", {
  handler: "functions/compact.handler",
  nodejs: functionBundle,
  runtime: "nodejs24.x",
  architecture: "arm64",
  // A whole core, for it compresses; and room for the payloads of a few groups and the names of all segments.
  memory: "1792 MB",
  timeout: `${compactTimeoutSeconds} seconds`,
  // Two at once would waste work and lose nothing; the lease in the table keeps even that from happening.
  environment: {
    PAYLODE_BUCKET: bucket.name,
    PAYLODE_TABLE: table.name,
    // It expires nothing by them: reports tell classes.
    ...(settings.retention !== undefined && { PAYLODE_RETENTION: settings.retention }),
    ...(settings.retentionClasses !== undefined && { PAYLODE_RETENTION_CLASSES: settings.retentionClasses }),
  },
  logging: { format: "json", logGroup: logs.name },
  permissions: [
    {
      actions: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
      resources: [$interpolate`${bucket.arn}/segments/*`, $interpolate`${bucket.arn}/uploads/*`],
    },
    { actions: ["s3:ListBucket"], resources: [bucket.arn] },
    {
      actions: [...compactOperations()].map((operation) => `dynamodb:${operation}`),
      resources: [table.arn],
    },
    { actions: ["sqs:SendMessage"], resources: [failed.arn] },
    { actions: ["logs:CreateLogStream", "logs:PutLogEvents"], resources: [$interpolate`${logs.arn}:*`] },
  ],
  transform: {
    role: (args) => {
      args.managedPolicyArns = [];
      if (!$dev) args.assumeRolePolicy = aws.iam.assumeRolePolicyForPrincipal({ Service: "lambda.amazonaws.com" });
    },
    function: (args) => {
      // The schedule only hands the event over; that a run failed is known to Lambda alone.
      args.deadLetterConfig = { targetArn: failed.arn };
    },
  },
});

new sst.aws.CronV2("CompactSchedule", {
  function: compact,
  // Graces are an hour, so nothing is gained by coming more often; an empty run costs a scan of the table.
  schedule: "rate(1 hour)",
  // Where the event could not be handed over.
  retries: 2,
  dlq: failed.arn,
});

/** What the handlers ask of the table but for counting, and what only compaction does. */
function compactOperations(): readonly string[] {
  return [...tableOperations.filter((operation) => operation !== "UpdateItem"), "DeleteItem", "Scan"];
}
