import { apiBundle } from "./api-bundle.ts";
import { bucket } from "./bucket.ts";
import { settings } from "./stage.ts";
import { table, tableOperations } from "./table.ts";

/** What the alarm on slow requests is measured against, too. */
export const apiTimeoutSeconds = 300;

const logs = new aws.cloudwatch.LogGroup("ApiLogs", {
  name: `/${$app.name}/${$app.stage}/api`,
  // Logs may name tenants, groups and ids: they go once what was reported late has been looked into.
  retentionInDays: 30,
});

/** The HTTP face. The app asks for keys itself, so the URL is open: who calls it has no credentials of AWS to sign with. */
export const api = new sst.aws.Function("Api", {
  handler: "functions/api.handler",
  nodejs: apiBundle,
  runtime: "nodejs24.x",
  // A fifth cheaper than x86_64 by the price list, and the bundle has no native code.
  architecture: "arm64",
  // Memory buys CPU: a whole core at 1,769 MB, 0.58 of one here. Requests wait for S3 and DynamoDB; what they compute is zstd
  // over a body of 6 MB at most. The cache of segments takes 32 MiB.
  memory: "1024 MB",
  // The longest answer is a stream of 200 MB, which Lambda sends at 2 MB/s: 100 seconds, and three times that for a slow
  // client. Commits have deadlines of their own, and no process may act on what it knew longer than 15 minutes.
  timeout: `${apiTimeoutSeconds} seconds`,
  streaming: true,
  url: {
    authorization: "none",
    cors: settings.corsOrigins.length > 0 && {
      allowOrigins: [...settings.corsOrigins],
      allowMethods: ["GET", "HEAD", "PUT", "POST", "DELETE"],
      // Spelled out, for browsers do not take a wildcard to cover Authorization.
      allowHeaders: ["authorization", "content-type", "idempotency-key", "if-none-match", "if-range", "range"],
      exposeHeaders: ["accept-ranges", "content-range", "etag", "retry-after"],
      maxAge: "1 hour",
    },
  },
  ...(settings.reservedConcurrency !== undefined && { concurrency: { reserved: settings.reservedConcurrency } }),
  environment: {
    PAYLODE_BUCKET: bucket.name,
    PAYLODE_TABLE: table.name,
    ...(settings.indexedAttributes !== undefined && { PAYLODE_INDEXED_ATTRIBUTES: settings.indexedAttributes }),
    ...(settings.retention !== undefined && { PAYLODE_RETENTION: settings.retention }),
    ...(settings.retentionClasses !== undefined && { PAYLODE_RETENTION_CLASSES: settings.retentionClasses }),
  },
  logging: { format: "json", logGroup: logs.name },
  // Not `link`, which would grant s3:* and dynamodb:*. Nothing here can remove an object or a row.
  permissions: [
    {
      actions: ["s3:GetObject", "s3:PutObject"],
      resources: [$interpolate`${bucket.arn}/segments/*`, $interpolate`${bucket.arn}/uploads/*`],
    },
    {
      // No request lists anything. But S3 asks for this one where a handler starts with a HEAD of the bucket; and where an
      // object is not there, it answers 404 to those who have it and 403 to others: compaction would look like a refusal.
      actions: ["s3:ListBucket"],
      resources: [bucket.arn],
    },
    { actions: tableOperations.map((operation) => `dynamodb:${operation}`), resources: [table.arn] },
    { actions: ["logs:CreateLogStream", "logs:PutLogEvents"], resources: [$interpolate`${logs.arn}:*`] },
  ],
  transform: {
    role: (args) => {
      // The component adds a policy of AWS that may write every log group of the account: the permissions above do instead.
      args.managedPolicyArns = [];
      // And it lets the whole account assume the role, which only `sst dev` has a use for.
      if (!$dev) args.assumeRolePolicy = aws.iam.assumeRolePolicyForPrincipal({ Service: "lambda.amazonaws.com" });
    },
  },
});
