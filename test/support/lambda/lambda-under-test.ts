import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Scope, scopes } from "../../../core/access/scope.ts";
import { openAwsAccess } from "../../../core/entries/aws-access.ts";
import type { AwsStore } from "../../../core/entries/aws.ts";
import { freshPlace, openAt, type AwsPlace, type AwsServers } from "../aws/aws-under-test.ts";
import { startDynalite } from "../aws/dynamo-server.ts";
import { type S3Double, startS3Double } from "../aws/s3-double.ts";
import { eventOf, responseOf, type UrlRequest } from "./function-url.ts";
import { buildTask, type Sandbox, startSandbox } from "./sandbox.ts";

/** The function as it is deployed, on an S3 double and dynalite. */
export interface LambdaUnderTest {
  readonly servers: AwsServers & { readonly s3: S3Double };
  readonly place: AwsPlace;
  /** Moves the clock that the servers judge signatures by. */
  advance(ms: number): void;
  readonly bundleBytes: number;
  /** A process of the function. `place`: in place of the one of the others. */
  spawn(place?: Partial<AwsPlace>): Promise<Sandbox>;
  /** The same, once it is ready. */
  start(place?: Partial<AwsPlace>): Promise<Sandbox>;
  /** A key of a tenant, by default with all scopes. */
  token(tenant: string, held?: readonly Scope[]): Promise<string>;
  /** The same place by the library, in this process. */
  openStore(): Promise<AwsStore>;
  close(): Promise<void>;
}

export async function lambdaUnderTest(): Promise<LambdaUnderTest> {
  let aheadMs = 0;
  const nowMs = (): number => Date.now() + aheadMs;
  const taskRoot = await mkdtemp(path.join(tmpdir(), "paylode-lambda-"));
  const { bytes: bundleBytes } = await buildTask(taskRoot);
  const s3 = await startS3Double({ nowMs });
  const { credentials } = s3;
  const dynamo = await startDynalite({ nowMs, credentials });
  const servers = { s3, dynamo, clients: { s3: s3.client(), dynamo: dynamo.client() } };
  const place = await freshPlace(servers);
  const { keeper } = openAwsAccess({ table: place.table, client: servers.clients.dynamo });
  const sandboxes: Sandbox[] = [];
  const stores: AwsStore[] = [];
  const spawn = async (other: Partial<AwsPlace> = {}): Promise<Sandbox> => {
    const { bucket, table } = { ...place, ...other };
    const sandbox = await startSandbox({
      taskRoot,
      environment: {
        PAYLODE_BUCKET: bucket,
        PAYLODE_TABLE: table,
        PAYLODE_INDEXED_ATTRIBUTES: "user, model",
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
        AWS_ENDPOINT_URL_S3: s3.url,
        AWS_ENDPOINT_URL_DYNAMODB: dynamo.url,
      },
    });
    sandboxes.push(sandbox);
    return sandbox;
  };
  return {
    servers,
    place,
    bundleBytes,
    advance: (ms) => void (aheadMs += ms),
    spawn,
    async start(other) {
      const sandbox = await spawn(other);
      await sandbox.started;
      return sandbox;
    },
    token: async (tenant, held = scopes) => (await keeper.create({ tenant, name: "test", scopes: held })).token,
    async openStore() {
      const store = await openAt(servers, place);
      stores.push(store);
      return store;
    },
    async close() {
      await Promise.all(sandboxes.map((sandbox) => sandbox.kill()));
      await Promise.all(stores.map((store) => store.close()));
      await Promise.all([s3.close(), dynamo.close()]);
      await rm(taskRoot, { recursive: true, force: true });
    },
  };
}

/** Asks a process of the function, with a key. */
export async function ask(sandbox: Sandbox, token: string, request: UrlRequest): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, ...request.headers };
  return responseOf(await sandbox.invoke(eventOf({ ...request, headers })));
}
