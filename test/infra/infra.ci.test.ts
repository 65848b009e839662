import { existsSync } from "node:fs";
import { glob, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { farewellMs } from "../../functions/lambda-compact.ts";
import { restoreWindowDays } from "../../infra/restore-window.ts";
import { evaluate, type Evaluation, type Registered } from "../support/infra/evaluation.ts";
import { isAllowed, list, type Policy, type Request, wildcardsOf } from "../support/infra/iam.ts";
import { platform, root, run, tool, unpackPlatform } from "../support/infra/platform.ts";

/**
 * What `sst deploy` would create, looked at before anything is created: sst.config.ts is evaluated with SST's own
 * components, for production, for a developer's stage, and for that stage in `sst dev`.
 */
let production: Evaluation;
let stage: Evaluation;
let developing: Evaluation;
let configured: Evaluation;

const settings = {
  PAYLODE_ALARM_EMAIL: "on-call@example.org",
  PAYLODE_RESERVED_CONCURRENCY: "40",
  PAYLODE_CORS_ORIGINS: "https://app.example,http://localhost:5173",
  PAYLODE_RETENTION: "30d",
  PAYLODE_RETENTION_CLASSES: "debug=7d",
};

beforeAll(async () => {
  await unpackPlatform();
  production = await evaluate("production");
  stage = await evaluate("ada");
  developing = await evaluate("ada", { dev: true });
  configured = await evaluate("staging", { environment: settings });
});

/** The only resource of a type: `aws:` and `Resource` are left out of `aws:s3/bucketPolicy:BucketPolicy`. */
function the(evaluation: Evaluation, type: string): Registered {
  // Of what each function has, the handler's.
  const found = all(evaluation, type).filter(({ name }) => !name.startsWith("Compact"));
  if (found.length !== 1 || !found[0]) throw new Error(`${found.length} resources of type ${type}`);
  return found[0];
}

function all({ resources }: Evaluation, type: string): readonly Registered[] {
  return resources.filter((resource) => resource.type.startsWith(`aws:${type}:`));
}

/** Documents come as JSON or as its value, depending on which component wrote them. */
function policyOf(document: unknown): Policy {
  return (typeof document === "string" ? JSON.parse(document) : document) as Policy;
}

describe("the config", () => {
  test("compiles against the types of SST", async () => {
    await run(tool("tsc"), ["-p", "tsconfig.infra.json"]);
  });

  test("would not compile with an option that SST does not have", async () => {
    const folder = await mkdtemp(path.join(root, ".sst/paylode-"));
    try {
      await writeFile(path.join(folder, "misspelt.ts"), `new sst.aws.Bucket("Bucket", { versionning: true });\n`);
      const options = { extends: "../../tsconfig.infra.json", include: ["../platform/config.d.ts", "misspelt.ts"] };
      await writeFile(path.join(folder, "tsconfig.json"), JSON.stringify(options));

      await expect(run(tool("tsc"), ["-p", folder])).rejects.toThrow(/'versionning' does not exist/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("protects production and keeps what it holds; another stage goes away as a whole", () => {
    expect(production.app).toEqual({ name: "paylode", home: "aws", protect: true, removal: "retain" });
    expect(stage.app).toEqual({ name: "paylode", home: "aws", protect: false, removal: "remove" });
    const retained = production.resources.filter((resource) => resource.retained).map(({ name }) => name);
    expect(retained.toSorted()).toEqual([
      "BucketBucket",
      "BucketEncryption",
      "BucketLifecycle",
      "BucketPolicy",
      "BucketPublicAccessBlock",
      "BucketVersioning",
      "TableTable",
    ]);
    expect(stage.resources.filter((resource) => resource.retained)).toEqual([]);
  });

  test("tells where the store is", () => {
    for (const evaluation of [production, stage]) {
      expect(evaluation.outputs).toMatchObject({
        url: expect.stringMatching(/^https:/),
        function: the(evaluation, "lambda/function").inputs["name"],
        bucket: the(evaluation, "s3/bucket").inputs["bucket"],
        table: the(evaluation, "dynamodb/table").inputs["name"],
      });
    }
  });

  test("creates the same in every stage, but for what watches it", () => {
    const names = ({ resources }: Evaluation): readonly string[] =>
      resources.map(({ type, name }) => `${type} ${name}`).filter((each) => !each.startsWith("pulumi:"));
    const watching = names(production).filter((each) => !names(stage).includes(each));

    expect(names(stage).filter((each) => !names(production).includes(each))).toEqual([]);
    expect(new Set(watching.map((each) => each.replace(/ \w+$/, "")))).toEqual(
      new Set([
        "sst:aws:SnsTopic",
        "sst:sst:LinkRef",
        "aws:sns/topic:Topic",
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "aws:cloudwatch/dashboard:Dashboard",
      ]),
    );
  });

  test("stops at a setting that makes no sense", async () => {
    const environment = { PAYLODE_ALARM_EMAIL: "on-call" };

    await expect(evaluate("production", { environment })).rejects.toThrow("PAYLODE_ALARM_EMAIL must be one address");
  });
});

describe("the bucket", () => {
  test("is closed to the public", () => {
    for (const evaluation of [production, stage, configured]) {
      expect(the(evaluation, "s3/bucketPublicAccessBlock").inputs).toMatchObject({
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      });
    }
  });

  test("is spoken to over TLS alone, whoever asks", () => {
    for (const evaluation of [production, stage]) {
      const { Statement: statements } = policyOf(the(evaluation, "s3/bucketPolicy").inputs["policy"]);
      const administrator = { Effect: "Allow", Action: "*", Resource: "*" } as const;
      const policy = { Statement: [administrator, ...statements] };
      for (const resource of ["arn:aws:s3:::BucketBucket", "arn:aws:s3:::BucketBucket/segments/acme/1.seg"]) {
        const request = (secure: string): Request => ({
          action: "s3:GetObject",
          resource,
          context: { "aws:SecureTransport": secure },
        });
        expect(isAllowed(policy, request("true"))).toBe(true);
        expect(isAllowed(policy, request("false"))).toBe(false);
      }
      expect(statements.filter(({ Effect }) => Effect === "Allow")).toEqual([]);
    }
  });

  test("is encrypted, and keeps versions", () => {
    for (const evaluation of [production, stage]) {
      expect(the(evaluation, "s3/bucketServerSideEncryptionConfiguration").inputs["rules"]).toEqual([
        { applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } },
      ]);
      expect(the(evaluation, "s3/bucketVersioning").inputs["versioningConfiguration"]).toEqual({ status: "Enabled" });
    }
  });

  test("has a lifecycle that never removes a current object", () => {
    for (const evaluation of [production, stage]) {
      const rules = the(evaluation, "s3/bucketLifecycleConfiguration").inputs["rules"] as Record<string, unknown>[];
      for (const rule of rules) {
        expect(rule["expiration"] ?? {}).not.toHaveProperty("days");
        expect(rule["expiration"] ?? {}).not.toHaveProperty("date");
        expect(rule).not.toHaveProperty("transitions");
      }
      expect(rules).toMatchObject([
        { status: "Enabled", filter: { prefix: "" }, abortIncompleteMultipartUpload: { daysAfterInitiation: 7 } },
        { status: "Enabled", filter: { prefix: "" }, noncurrentVersionExpiration: { noncurrentDays: 14 } },
      ]);
    }
  });

  test("is emptied with a developer's stage and never in production", () => {
    expect(the(production, "s3/bucket").inputs["forceDestroy"]).toBe(false);
    expect(the(stage, "s3/bucket").inputs["forceDestroy"]).toBe(true);
  });

  test("answers pages of other origins only where they are named", () => {
    for (const evaluation of [production, stage]) expect(all(evaluation, "s3/bucketCorsConfiguration")).toEqual([]);
    expect(the(configured, "s3/bucketCorsConfiguration").inputs["corsRules"]).toMatchObject([
      { allowedOrigins: ["https://app.example", "http://localhost:5173"], allowedMethods: ["GET", "PUT"] },
    ]);
  });
});

describe("the table", () => {
  test("has the keys of the layout, on demand, without indexes or streams", () => {
    for (const evaluation of [production, stage]) {
      expect(the(evaluation, "dynamodb/table").inputs).toMatchObject({
        attributes: [
          { name: "pk", type: "S" },
          { name: "sk", type: "N" },
        ],
        hashKey: "pk",
        rangeKey: "sk",
        billingMode: "PAY_PER_REQUEST",
        globalSecondaryIndexes: [],
        localSecondaryIndexes: [],
        streamEnabled: false,
      });
    }
  });

  test("expires nothing by a clock", () => {
    for (const evaluation of [production, stage]) {
      expect(the(evaluation, "dynamodb/table").inputs).not.toHaveProperty("ttl");
    }
  });

  test("can be restored to any second for as long as the bucket keeps what it removed", () => {
    for (const evaluation of [production, stage]) {
      const recovery = { enabled: true, recoveryPeriodInDays: restoreWindowDays };
      expect(the(evaluation, "dynamodb/table").inputs["pointInTimeRecovery"]).toEqual(recovery);
      expect(JSON.stringify(the(evaluation, "s3/bucketLifecycleConfiguration").inputs)).toContain(
        `"noncurrentDays":${restoreWindowDays}`,
      );
    }
  });

  test("cannot be deleted in production", () => {
    expect(the(production, "dynamodb/table").inputs["deletionProtectionEnabled"]).toBe(true);
    expect(the(stage, "dynamodb/table").inputs["deletionProtectionEnabled"]).toBe(false);
  });
});

describe("the handler", () => {
  const handlerOf = (evaluation: Evaluation): Registered["inputs"] => the(evaluation, "lambda/function").inputs;

  test("is the one of functions/api.ts, on Node 24 and arm64, with bounds", () => {
    for (const evaluation of [production, stage]) {
      expect(handlerOf(evaluation)).toMatchObject({
        handler: "functions/api.handler",
        runtime: "nodejs24.x",
        architectures: ["arm64"],
        memorySize: 1024,
        timeout: 300,
        packageType: "Zip",
      });
      expect(handlerOf(evaluation)).not.toHaveProperty("reservedConcurrentExecutions");
    }
    expect(handlerOf(configured)["reservedConcurrentExecutions"]).toBe(40);
  });

  test("is there", async () => {
    expect(existsSync(path.join(root, "functions/api.ts"))).toBe(true);
    expect(await readFile(path.join(root, "functions/api.ts"), "utf8")).toMatch(/^export const handler\b/m);
  });

  test("answers at an open URL, as a stream", () => {
    for (const evaluation of [production, stage, developing]) {
      expect(the(evaluation, "lambda/functionUrl").inputs).toMatchObject({
        authorizationType: "NONE",
        invokeMode: "RESPONSE_STREAM",
      });
      expect(all(evaluation, "lambda/permission").map(({ inputs }) => inputs)).toMatchObject([
        { action: "lambda:InvokeFunctionUrl", functionUrlAuthType: "NONE" },
        { action: "lambda:InvokeFunction", invokedViaFunctionUrl: true },
      ]);
    }
  });

  test("answers pages of other origins only where they are named", () => {
    for (const evaluation of [production, stage]) {
      expect(the(evaluation, "lambda/functionUrl").inputs).not.toHaveProperty("cors");
    }
    expect(the(configured, "lambda/functionUrl").inputs["cors"]).toMatchObject({
      allowOrigins: ["https://app.example", "http://localhost:5173"],
      allowHeaders: expect.arrayContaining(["authorization", "content-type", "idempotency-key"]),
    });
  });

  test("knows the retention that is configured, as the one that compacts does, whose reports tell classes", () => {
    for (const inputs of [handlerOf(configured), compactOf(configured).inputs]) {
      const variables = { PAYLODE_RETENTION: "30d", PAYLODE_RETENTION_CLASSES: "debug=7d" };
      expect(inputs["environment"]).toMatchObject({ variables });
    }
  });

  test("is told bucket and table, and no secret of ours", () => {
    for (const evaluation of [production, stage]) {
      const { variables } = handlerOf(evaluation)["environment"] as { variables: Record<string, string> };
      expect(Object.keys(variables).toSorted()).toEqual([
        "PAYLODE_BUCKET",
        "PAYLODE_TABLE",
        "SST_KEY",
        "SST_KEY_FILE",
        "SST_RESOURCE_App",
      ]);
      expect(variables["PAYLODE_BUCKET"]).toBe(the(evaluation, "s3/bucket").inputs["bucket"]);
      expect(variables["PAYLODE_TABLE"]).toBe(the(evaluation, "dynamodb/table").inputs["name"]);
    }
  });

  test("writes its log as JSON, which is kept for 30 days", () => {
    for (const evaluation of [production, stage]) {
      const logs = the(evaluation, "cloudwatch/logGroup").inputs;
      expect(logs["retentionInDays"]).toBe(30);
      expect(handlerOf(evaluation)["loggingConfig"]).toEqual({ logFormat: "JSON", logGroup: logs["name"] });
    }
  });
});

/** The function that compacts. */
function compactOf(evaluation: Evaluation): Registered {
  const found = all(evaluation, "lambda/function").find(({ name }) => name.startsWith("Compact"));
  if (!found) throw new Error("there is no function that compacts");
  return found;
}

describe("compaction", () => {
  test("is the function of functions/compact.ts, with a whole core and the longest time", async () => {
    for (const evaluation of [production, stage]) {
      expect(compactOf(evaluation).inputs).toMatchObject({
        handler: "functions/compact.handler",
        runtime: "nodejs24.x",
        architectures: ["arm64"],
        memorySize: 1792,
        timeout: 900,
      });
    }
    expect(await readFile(path.join(root, "functions/compact.ts"), "utf8")).toMatch(/^export const handler\b/m);
  });

  test("is started each hour, tried again, and kept for people where it fails", () => {
    for (const evaluation of [production, stage]) {
      const [queue] = all(evaluation, "sqs/queue");
      const dead = { arn: expect.stringContaining(":sqs:") };
      expect(queue?.inputs).toMatchObject({ messageRetentionSeconds: 1_209_600, sqsManagedSseEnabled: true });
      expect(compactOf(evaluation).inputs["deadLetterConfig"]).toMatchObject({ targetArn: dead.arn });
      expect(all(evaluation, "scheduler/schedule").map(({ inputs }) => inputs)).toMatchObject([
        {
          scheduleExpression: "rate(1 hour)",
          state: "ENABLED",
          target: { retryPolicy: { maximumRetryAttempts: 2 }, deadLetterConfig: dead },
        },
      ]);
    }
  });

  test("stops so long before its end that it can leave what it found", () => {
    expect(farewellMs).toBeLessThan((1000 * Number(compactOf(production).inputs["timeout"])) / 2);
    expect(farewellMs).toBeGreaterThanOrEqual(20_000);
  });

  test("alone may scan, list and remove, and no more than that", () => {
    const table = "arn:aws:dynamodb:eu-central-1:123456789012:table/TableTable";
    const bucket = "arn:aws:s3:::BucketBucket";
    for (const evaluation of [production, stage]) {
      const role = all(evaluation, "iam/role").find(({ name }) => name === "CompactRole");
      const { inlinePolicies, managedPolicyArns } = role!.inputs as unknown as {
        inlinePolicies: readonly { policy: string }[];
        managedPolicyArns: readonly string[];
      };
      const policy = { Statement: inlinePolicies.flatMap((each) => policyOf(each.policy).Statement) };
      expect(managedPolicyArns).toEqual([]);
      expect(wildcardsOf(policy)).toEqual([]);
      const may = (action: string, resource: string) => isAllowed(policy, { action, resource });
      for (const action of ["GetItem", "PutItem", "Query", "DeleteItem", "Scan"])
        expect(may(`dynamodb:${action}`, table)).toBe(true);
      for (const action of ["GetObject", "PutObject", "DeleteObject"])
        expect(may(`s3:${action}`, `${bucket}/segments/acme/1.seg`)).toBe(true);
      for (const [action, resource] of [
        ["dynamodb:UpdateItem", table],
        ["dynamodb:DeleteTable", table],
        ["s3:DeleteObject", `${bucket}/elsewhere`],
        ["s3:DeleteObjectVersion", `${bucket}/segments/acme/1.seg`],
        ["s3:PutLifecycleConfiguration", bucket],
        ["sqs:ReceiveMessage", "arn:aws:sqs:eu-central-1:123456789012:CompactFailedQueue"],
      ] as const)
        expect(may(action, resource)).toBe(false);
    }
  });
});

describe("permissions", () => {
  const table = "arn:aws:dynamodb:eu-central-1:123456789012:table/TableTable";
  const bucket = "arn:aws:s3:::BucketBucket";
  const logs = "arn:aws:logs:eu-central-1:123456789012:log-group:ApiLogs";

  interface RoleInputs {
    readonly inlinePolicies: readonly { readonly policy: string }[];
    readonly managedPolicyArns: readonly string[];
    readonly assumeRolePolicy: unknown;
  }

  const roleOf = (evaluation: Evaluation): RoleInputs => the(evaluation, "iam/role").inputs as unknown as RoleInputs;
  const granted = (evaluation: Evaluation): Policy => ({
    Statement: roleOf(evaluation).inlinePolicies.flatMap(({ policy }) => policyOf(policy).Statement),
  });

  test("of the handler are these", () => {
    for (const evaluation of [production, stage, configured]) {
      expect(granted(evaluation)).toEqual({
        Statement: [
          {
            Effect: "Allow",
            Action: ["s3:GetObject", "s3:PutObject"],
            Resource: [`${bucket}/segments/*`, `${bucket}/uploads/*`],
          },
          { Effect: "Allow", Action: ["s3:ListBucket"], Resource: [bucket] },
          {
            Effect: "Allow",
            Action: ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"],
            Resource: [table],
          },
          { Effect: "Allow", Action: ["logs:CreateLogStream", "logs:PutLogEvents"], Resource: [`${logs}:*`] },
        ],
      });
    }
  });

  test("are all in the one role, which Lambda alone may assume", () => {
    for (const evaluation of [production, stage]) {
      const roles = evaluation.resources.filter(({ type }) => type.startsWith("aws:iam/"));
      expect(roles.map(({ name }) => name).toSorted()).toEqual(["ApiRole", "CompactRole", "CompactScheduleRole"]);
      expect(roleOf(evaluation).managedPolicyArns).toEqual([]);
      expect(policyOf(roleOf(evaluation).assumeRolePolicy).Statement).toMatchObject([
        { Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" },
      ]);
    }
  });

  test("name no wildcard but keys below a prefix and streams of the log", () => {
    for (const evaluation of [production, stage, configured]) expect(wildcardsOf(granted(evaluation))).toEqual([]);
  });

  test("would be found to name wildcards if the bucket and the table were linked", () => {
    const links = production.resources.filter(({ type }) => type === "sst:sst:LinkRef");
    const statements = links.flatMap(({ inputs }) =>
      (inputs["include"] as readonly { actions: string[]; resources: string[] }[]).map(({ actions, resources }) => ({
        Effect: "Allow" as const,
        Action: actions,
        Resource: resources,
      })),
    );

    expect(wildcardsOf({ Statement: statements })).toEqual(
      expect.arrayContaining([`s3:* on ${bucket}`, `dynamodb:* on ${table}`]),
    );
  });

  test("of `sst dev` name two more, which SST needs to reach the laptop", () => {
    expect(wildcardsOf(granted(developing))).toEqual([
      "appsync:* on *",
      "s3:* on arn:aws:s3:::assets",
      "s3:* on arn:aws:s3:::assets/*",
    ]);
  });

  test("let the handler remove nothing and scan nothing", () => {
    const refused: readonly Request[] = [
      { action: "s3:DeleteObject", resource: `${bucket}/segments/acme/1.seg` },
      { action: "s3:GetObject", resource: `${bucket}/elsewhere` },
      { action: "s3:PutBucketPolicy", resource: bucket },
      { action: "dynamodb:DeleteItem", resource: table },
      { action: "dynamodb:Scan", resource: table },
      { action: "dynamodb:DeleteTable", resource: table },
      { action: "dynamodb:Query", resource: `${table}2` },
      { action: "logs:PutLogEvents", resource: "arn:aws:logs:eu-central-1:123456789012:log-group:Other:log-stream:1" },
    ];

    expect(refused.filter((request) => isAllowed(granted(production), request))).toEqual([]);
  });

  test("are what the adapter asks for; what it asks for beyond them is the operator's", async () => {
    const asked = new Set<string>();
    for await (const file of glob("core/adapters/aws/**/*.ts", { cwd: root })) {
      const source = await readFile(path.join(root, file), "utf8");
      for (const [, imports = "", client = ""] of source.matchAll(
        /\{([^{}]*)\} from "@aws-sdk\/client-(s3|dynamodb)"/g,
      )) {
        for (const [, sent, paged] of imports.matchAll(/\b(?:(\w+)Command|paginate(\w+))\b/g)) {
          asked.add(actionFor[sent ?? paged ?? ""] ?? `${client}:${sent ?? paged}`);
        }
      }
    }
    const allowed = new Set(granted(production).Statement.flatMap(({ Action }) => list(Action)));
    const ofTheStore = [...allowed].filter((action) => !action.startsWith("logs:"));

    expect(ofTheStore.filter((action) => !asked.has(action))).toEqual([]);
    expect([...asked].filter((action) => !allowed.has(action)).toSorted()).toEqual(operators.toSorted());
  });
});

/** Requests whose permission has another name. https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html */
const actionFor: Readonly<Record<string, string>> = {
  HeadObject: "s3:GetObject",
  HeadBucket: "s3:ListBucket",
  ListObjectsV2: "s3:ListBucket",
};

/** Permissions that commands of the operator need and no request of a client does. */
const operators: readonly string[] = [
  "dynamodb:DeleteItem", // keys that expired long ago, when one is made; and compaction
  "dynamodb:DescribeTable", // what a verification will cost; the words of an error, which does without
  "dynamodb:Scan", // verify, export, rebuild; and compaction
  "s3:DeleteObject", // compaction
];

describe("alarms", () => {
  const alarms = (evaluation: Evaluation): readonly Registered[] => all(evaluation, "cloudwatch/metricAlarm");

  test("watch the handler, its URL and the table", () => {
    const watched = alarms(production).map(({ name, inputs }) => {
      const queries = inputs["metricQueries"] as readonly {
        metric?: { namespace: string; metricName: string; stat: string; dimensions: Record<string, string> };
      }[];
      const metrics = queries.flatMap(({ metric }) => metric ?? []);
      const [kind = ""] = /^(?:Api|Compact|Table)/.exec(name) ?? [];
      const named = {
        Api: the(production, "lambda/function").inputs["name"],
        Compact: [compactOf(production).inputs["name"], all(production, "sqs/queue")[0]?.inputs["name"]],
        Table: the(production, "dynamodb/table").inputs["name"],
      }[kind];
      expect(metrics.length).toBeGreaterThan(0);
      for (const { dimensions } of metrics)
        expect(Object.values(dimensions).some((value) => [named].flat().includes(value))).toBe(true);
      const [{ namespace, metricName, stat } = { namespace: "", metricName: "", stat: "" }] = metrics;
      return `${name}: ${namespace} ${metricName} ${stat} >= ${String(inputs["threshold"])}`;
    });

    expect(watched.toSorted()).toEqual([
      "ApiDuration: AWS/Lambda Duration Maximum >= 240000",
      "ApiErrors: AWS/Lambda Errors Sum >= 1",
      "ApiFaults: AWS/Lambda Url5xxCount Sum >= 5",
      "ApiThrottles: AWS/Lambda Throttles Sum >= 1",
      "CompactFailed: AWS/SQS ApproximateNumberOfMessagesVisible Maximum >= 1",
      "CompactLag: Paylode CompactionLag Maximum >= 86400",
      "TableFaults: AWS/DynamoDB SystemErrors Sum >= 10",
      "TableReadThrottles: AWS/DynamoDB ReadThrottleEvents Sum >= 10",
      "TableWriteThrottles: AWS/DynamoDB WriteThrottleEvents Sum >= 10",
    ]);
  });

  test("tell the topic when they go off and when they are over, and stay quiet without data", () => {
    const topic = ["arn:aws:sns:eu-central-1:123456789012:AlarmTopicTopic"];
    for (const { inputs } of alarms(production)) {
      expect(inputs).toMatchObject({ alarmActions: topic, okActions: topic, treatMissingData: "notBreaching" });
    }
  });

  test("go off before a request is stopped", () => {
    const threshold = alarms(production).find(({ name }) => name === "ApiDuration")?.inputs["threshold"];

    expect(threshold).toBeLessThan(1000 * Number(the(production, "lambda/function").inputs["timeout"]));
  });

  test("are sent to the address that is set", () => {
    expect(all(production, "sns/topicSubscription")).toEqual([]);
    expect(the(configured, "sns/topicSubscription").inputs).toMatchObject({
      protocol: "email",
      endpoint: "on-call@example.org",
    });
  });

  test("are there where somebody watches: in production, and where an address is set", () => {
    expect(alarms(stage)).toEqual([]);
    expect(all(stage, "cloudwatch/dashboard")).toEqual([]);
    expect(alarms(configured)).toHaveLength(alarms(production).length);
  });
});

test("the dashboard shows metrics of this stage's handler, table and bucket", () => {
  const { dashboardName, dashboardBody } = the(production, "cloudwatch/dashboard").inputs;
  const { widgets } = JSON.parse(String(dashboardBody)) as {
    widgets: { properties: { title: string; region: string; metrics: (string | object)[][] } }[];
  };

  expect(dashboardName).toBe("paylode-production");
  expect(widgets.map(({ properties }) => properties.title)).toContain("Requests");
  const named = {
    "AWS/Lambda": the(production, "lambda/function").inputs["name"],
    "AWS/DynamoDB": the(production, "dynamodb/table").inputs["name"],
    "AWS/S3": the(production, "s3/bucket").inputs["bucket"],
  };
  const seen = new Set<unknown>();
  for (const { properties } of widgets) {
    expect(properties.region).toBe("eu-central-1");
    for (const metric of properties.metrics) {
      expect(metric).toContain(named[metric[0] as keyof typeof named]);
      seen.add(metric[0]);
    }
  }
  expect(seen).toEqual(new Set(Object.keys(named)));
});

describe("sst dev", () => {
  test("deploys the same store with a handler that is the laptop's", () => {
    expect(the(developing, "lambda/function").inputs).toMatchObject({ description: "live", timeout: 300 });
    expect(the(developing, "dynamodb/table").inputs["hashKey"]).toBe("pk");
  });

  test("runs the local store beside it", () => {
    const command = developing.resources.find(({ type }) => type === "sst:sst:DevCommand");

    expect(command?.told["_dev"]).toMatchObject({ command: "npm start", autostart: true, title: "Local store" });
  });
});

test("the platform is the one of the SST that is installed", async () => {
  const { devDependencies } = JSON.parse(await readFile(path.join(root, "package.json"), "utf8")) as {
    devDependencies: Record<string, string>;
  };

  expect((await readFile(path.join(platform, "version"), "utf8")).trim()).toBe(devDependencies["sst"]);
});
