import { type DynamoDBClient, DynamoDBServiceException } from "@aws-sdk/client-dynamodb";
import { type S3Client, S3ServiceException } from "@aws-sdk/client-s3";
import { isAllowed, type Policy, type Request } from "../infra/iam.ts";

interface Judged {
  readonly middlewareStack: {
    add(
      middleware: (next: (args: never) => Promise<never>, context: never) => (args: never) => Promise<never>,
      options: { step: "initialize"; name: string },
    ): void;
  };
}

type Input = Readonly<Record<string, unknown>>;

export interface Places {
  readonly bucketArn: string;
  readonly tableArn: string;
}

/**
 * Puts IAM before clients, for no server of ours has it: what a policy does not allow is answered 403, and not sent. And as S3 does,
 * it tells the absence of an object to those alone who may list all of the bucket.
 *
 * @returns what was refused, `s3:HeadBucket` …
 */
export function judge(
  clients: { readonly s3: S3Client; readonly dynamo: DynamoDBClient },
  policy: Policy,
  { bucketArn, tableArn }: Places,
): readonly string[] {
  const refused: string[] = [];
  const listing = { action: "s3:ListBucket", resource: bucketArn };
  const denied = (what: string): Error => {
    refused.push(what);
    const parts = { $fault: "client", $metadata: { httpStatusCode: 403 }, message: "denied" } as const;
    // An answer to a HEAD has no body that would tell the name.
    if (what.startsWith("dynamodb")) return new DynamoDBServiceException({ ...parts, name: "AccessDeniedException" });
    return new S3ServiceException({ ...parts, name: what.startsWith("s3:Head") ? "403" : "AccessDenied" });
  };
  watch(clients.s3, async (name, input, send) => {
    if (!isAllowed(policy, s3Request(name, input, bucketArn))) throw denied(`s3:${name}`);
    return send().catch((error: unknown) => {
      const isAbsent =
        /^(?:Get|Head)Object$/.test(name) &&
        error instanceof S3ServiceException &&
        error.$metadata.httpStatusCode === 404;
      throw isAbsent && !isAllowed(policy, listing) ? denied(`s3:${name} of what is not there`) : error;
    });
  });
  watch(clients.dynamo, async (name, input, send) => {
    if (!isAllowed(policy, dynamoRequest(name, input, tableArn))) throw denied(`dynamodb:${name}`);
    return send();
  });
  return refused;
}

function watch(
  client: S3Client | DynamoDBClient,
  decide: (name: string, input: Input, send: () => Promise<never>) => Promise<never>,
): void {
  (client as unknown as Judged).middlewareStack.add(
    (next, context) => (args) => {
      const name = (context as { readonly commandName: string }).commandName.replace(/Command$/, "");
      return decide(name, (args as { readonly input: Input }).input, () => next(args));
    },
    { step: "initialize", name: "judge" },
  );
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html */
function s3Request(name: string, input: Input, bucketArn: string): Request {
  const onObject = { HeadObject: "s3:GetObject", GetObject: "s3:GetObject", PutObject: "s3:PutObject" }[name];
  if (onObject !== undefined) return { action: onObject, resource: `${bucketArn}/${String(input["Key"])}` };
  const action = name === "HeadBucket" || name === "ListObjectsV2" ? "s3:ListBucket" : `s3:${name}`;
  const prefix = input["Prefix"] as string | undefined;
  return { action, resource: bucketArn, ...(prefix === undefined ? {} : { context: { "s3:prefix": prefix } }) };
}

/** A partition key is what `dynamodb:LeadingKeys` holds. */
function dynamoRequest(name: string, input: Input, tableArn: string): Request {
  const named = (input["Key"] ?? input["Item"]) as Readonly<Record<string, { readonly S?: string }>> | undefined;
  const values = input["ExpressionAttributeValues"] as Readonly<Record<string, { readonly S?: string }>> | undefined;
  const key = named?.["pk"]?.S ?? values?.[":pk"]?.S;
  const context = key === undefined ? {} : { context: { "dynamodb:LeadingKeys": [key] } };
  return { action: `dynamodb:${name}`, resource: tableArn, ...context };
}
