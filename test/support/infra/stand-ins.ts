import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import path from "node:path";

/** Where sst.config.ts is evaluated for: no such account exists. */
const region = "eu-central-1";
const account = "123456789012";

/** What Pulumi takes in place of its engine and of AWS. */
export interface Mocks {
  newResource(args: { type: string; name: string; inputs: Inputs }): { id: string; state: Inputs };
  call(args: { token: string; inputs: Inputs }): Inputs;
}

type Inputs = Readonly<Record<string, unknown>>;

/** Answers as AWS would: a resource has its inputs, an ARN and a name; documents of policies are written out. */
export const mocks: Mocks = {
  newResource: ({ type, name, inputs }) => {
    const url = `https://${name}.example/`;
    const made = { arn: arnOf(type, name), name, bucket: name, region, functionUrl: url, base64: "cmFuZG9t" };
    return { id: `${name}-id`, state: { ...made, ...inputs } };
  },
  call: ({ token, inputs }) => {
    try {
      return calls[token]!(inputs);
    } catch (error) {
      // Of what fails in the engine Pulumi reports the details alone.
      throw Object.assign(new Error(token, { cause: error }), { details: `${token}: ${String(error)}` });
    }
  },
};

const calls: Readonly<Record<string, (inputs: Inputs) => Inputs>> = {
  "aws:index/getPartition:getPartition": () => ({ partition: "aws", dnsSuffix: "amazonaws.com" }),
  "aws:index/getRegion:getRegion": () => ({ id: region, region, name: region }),
  "aws:index/getCallerIdentity:getCallerIdentity": () => ({ accountId: account }),
  "aws:iam/getPolicyDocument:getPolicyDocument": (inputs) => ({ ...inputs, json: policyDocument(inputs) }),
};

function arnOf(type: string, name: string): string {
  if (type === "aws:s3/bucket:Bucket") return `arn:aws:s3:::${name}`;
  if (type === "aws:dynamodb/table:Table") return `arn:aws:dynamodb:${region}:${account}:table/${name}`;
  if (type === "aws:cloudwatch/logGroup:LogGroup") return `arn:aws:logs:${region}:${account}:log-group:${name}`;
  return `arn:aws:${type.split(/[:/]/)[1]}:${region}:${account}:${name}`;
}

interface DocumentInputs {
  readonly statements?: readonly {
    readonly effect?: string;
    readonly principals?: readonly { readonly type: string; readonly identifiers: readonly string[] }[];
    readonly actions: readonly string[];
    readonly resources?: readonly string[];
    readonly conditions?: readonly { test: string; variable: string; values: readonly string[] }[];
  }[];
}

/** The JSON that the provider makes of `iam.getPolicyDocument`. */
function policyDocument({ statements = [] }: DocumentInputs): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: statements.map(({ effect = "Allow", principals, actions, resources, conditions }) => ({
      Effect: effect,
      Principal: principals && Object.fromEntries(principals.map((each) => [each.type, each.identifiers])),
      Action: actions,
      Resource: resources,
      Condition:
        conditions && Object.fromEntries(conditions.map((each) => [each.test, { [each.variable]: each.values }])),
    })),
  });
}

/**
 * The process of SST as its components see it: they ask it for the buckets that it keeps, and to bundle the handler. The
 * bundle is an empty one, and the handler keeps its name; the true bundle is looked at by other tests.
 *
 * @param work  a folder for the bundle
 */
export async function standInForSst(work: string): Promise<Server> {
  const bundle = path.join(work, "bundle");
  await mkdir(bundle);
  await writeFile(path.join(bundle, "handler.mjs"), "export const handler = () => {};");
  const answers: Readonly<Record<string, (asked: Inputs) => unknown>> = {
    "Provider.Aws.Bootstrap": () => ({ asset: "assets", assetEcrRegistryId: account, assetEcrUrl: "assets" }),
    "Provider.Aws.Appsync": () => ({ http: "http", realtime: "realtime" }),
    "Runtime.AddTarget": () => true,
    "Runtime.Build": ({ handler }) => ({ handler, out: bundle, errors: [], sourcemaps: [] }),
  };
  const server = createServer((request, response) => {
    void request.toArray().then((chunks) => {
      const { method, params } = JSON.parse(Buffer.concat(chunks as Buffer[]).toString()) as Question;
      const result = answers[method]?.(params[0]);
      response.end(JSON.stringify(result === undefined ? { error: `no answer for ${method}` } : { result }));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the stand-in for SST has no port");
  process.env["SST_SERVER"] = `http://127.0.0.1:${address.port}`;
  process.env["SST_AWS_REGION"] = region;
  return server;
}

interface Question {
  readonly method: string;
  readonly params: readonly [Inputs];
}
