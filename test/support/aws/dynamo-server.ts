import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CreateTableCommand, DynamoDBClient, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import type { DynamoDBClientConfig } from "@aws-sdk/client-dynamodb";
import dynalite from "dynalite";
import { dynamoError, errorCodeOf, sendJson, signatureRefused } from "./dynamo-proxy/answer.ts";
import type { DynamoAnswer, Json } from "./dynamo-proxy/answer.ts";
import { inTurn } from "./dynamo-proxy/in-turn.ts";
import { forwarder } from "./dynamo-proxy/forward.ts";
import { itemThere } from "./dynamo-proxy/item-there.ts";
import { billedQuery, capacityUnitsOf, cutBatch, subjectOf, writtenKeys } from "./dynamo-proxy/request.ts";
import { faultSchedule } from "./faults.ts";
import type { Fault, FaultPlan, NetworkFaultKind } from "./faults.ts";
import { bodyOf, headersOf, serveLoopback, underFault } from "./loopback-server.ts";
import { requestLog, unanswered } from "./request-log.ts";
import type { LoggedRequest, RequestLog } from "./request-log.ts";
import { refuseSignature } from "./signature.ts";

export type DynamoOperation =
  | "BatchGetItem"
  | "BatchWriteItem"
  | "CreateTable"
  | "DeleteItem"
  | "DeleteTable"
  | "DescribeTable"
  | "GetItem"
  | "ListTables"
  | "PutItem"
  | "Query"
  | "Scan"
  | "UpdateItem";

/**
 * - `throughput-exceeded`: ProvisionedThroughputExceededException, what a hot partition answers. `throttling`:
 *   ThrottlingException. `internal-error`: 500. The SDK retries all three.
 * - `access-denied`: AccessDeniedException.
 * - `unprocessed`: of a batch call, the second half is left undone and answered as such; one of a single entry is throttled.
 */
export type DynamoFaultKind =
  | NetworkFaultKind
  | "throughput-exceeded"
  | "throttling"
  | "internal-error"
  | "access-denied"
  | "unprocessed";

export type DynamoFaultPlan = FaultPlan<DynamoOperation, DynamoFaultKind>;

export interface LoggedDynamoRequest extends LoggedRequest<DynamoOperation> {
  /**
   * Read units of a read, write units of a write. `undefined` of errors: a condition that fails is billed like a write of
   * what is there, but DynamoDB does not say so.
   */
  readonly capacityUnits: number | undefined;
}

/** See {@link startDynalite}. */
export interface DynamoServer {
  /** `http://127.0.0.1:` and a port that was free. */
  readonly url: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** A client of this server, with the SDK's own defaults where `overrides` says nothing. Destroyed with the server. */
  client(overrides?: DynamoDBClientConfig): DynamoDBClient;
  /** Creates a table of Paylode's layout (`pk` string, `sk` number, on demand) for a suite or a test; answers its name. */
  freshTable(): Promise<string>;
  /** Plans a fault: `server.fault({ kind: "timeout", when: "after", operation: "PutItem" })`. */
  fault(plan: DynamoFaultPlan): Fault;
  /** Every request that reached the server, but not what {@link freshTable} asks. */
  readonly log: RequestLog<LoggedDynamoRequest>;
  close(): Promise<void>;
}

export interface DynamoServerOptions {
  /** The server's clock, by which it judges signatures: milliseconds since 1970. */
  readonly nowMs?: () => number;
  /** The only ones that it knows: those of another server, for a process that has one pair for both. */
  readonly credentials?: DynamoServer["credentials"];
}

/**
 * Starts dynalite in this process, in memory, behind a proxy that has the faults, keeps the log, and adds what dynalite
 * leaves out: signatures are verified and must be no older than five minutes, a condition that fails tells the item, a
 * query without an item costs a unit. Both listen on free ports of the loopback. There are no transactions, and no TTL.
 *
 * The faults lie in a proxy and not in a client, so that the SDK's retries, timeouts and clock correction are the real ones.
 *
 * ```ts
 * const dynamo = await startDynalite();
 * const table = await dynamo.freshTable();
 * const client = dynamo.client({ maxAttempts: 1 });
 *
 * dynamo.fault({ kind: "reset", when: "after", operation: "PutItem", key: "acme/run-1#7" });
 * await expect(client.send(new PutItemCommand({ TableName: table, … }))).rejects.toThrow();
 *
 * expect(dynamo.log.entries({ operation: "PutItem" })[0]).toMatchObject({ capacityUnits: 1, fault: "reset" });
 * await dynamo.close();
 * ```
 */
export async function startDynalite({
  nowMs = Date.now,
  credentials = { accessKeyId: "dynalite", secretAccessKey: "secret-of-dynalite" },
}: DynamoServerOptions = {}): Promise<DynamoServer> {
  const secrets = new Map([[credentials.accessKeyId, credentials.secretAccessKey]]);
  const faults = faultSchedule<DynamoFaultPlan>();
  const log = requestLog<LoggedDynamoRequest>();
  const clients: DynamoDBClient[] = [];
  const turns = inTurn();

  const inner = dynalite({ createTableMs: 0, deleteTableMs: 0 }).listen(0, "127.0.0.1");
  await once(inner, "listening");
  const innerUrl = `http://127.0.0.1:${(inner.address() as AddressInfo).port}`;

  const forward = forwarder(inner);
  const perform = async (message: IncomingMessage, raw: Uint8Array, json: Json): Promise<DynamoAnswer> => {
    const headers = headersOf(message);
    const refusal = refuseSignature(
      { method: message.method ?? "", target: message.url ?? "", headers, body: raw },
      { service: "dynamodb", region, secrets, nowMs: nowMs(), skewMsMax },
    );
    if (refusal !== undefined) return signatureRefused(refusal);

    const passed = ["authorization", "content-type", "x-amz-date", "x-amz-target"].map((name): [string, string] => [
      name,
      headers.get(name) ?? "",
    ]);
    const ask = async (asked: Json, more: Readonly<Record<string, string>> = {}): Promise<DynamoAnswer> => {
      const answered = await forward(asked, { ...Object.fromEntries(passed), ...more });
      return { ...answered, json: billedQuery(json, answered.json) };
    };
    const answer = await ask({ ...json, ReturnConsumedCapacity: json["ReturnConsumedCapacity"] ?? "TOTAL" });
    const item = await itemThere(json, answer, (get) => ask(get, { "x-amz-target": "DynamoDB_20120810.GetItem" }));
    return { ...answer, json: { ...answer.json, ...item } };
  };

  const handle = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const raw = await bodyOf(message);
    const json = JSON.parse(Buffer.from(raw).toString()) as Json;
    const operation = String(message.headers["x-amz-target"]).split(".").at(-1) as DynamoOperation;
    const subject = { operation, ...subjectOf(json) };
    const strike = faults.next(subject);
    const fault = strike?.plan.kind;
    const note = log.add({ ...subject, ...unanswered, requestBytes: raw.length, fault, capacityUnits: undefined });

    const work = async (): Promise<DynamoAnswer> => {
      const cut = fault === "unprocessed" ? cutBatch(json) : undefined;
      const answer = await turns(writtenKeys(operation, json), () => perform(message, raw, cut?.done ?? json));
      note({ capacityUnits: capacityUnitsOf(answer.json) });
      const left = cut && { [operation === "BatchGetItem" ? "UnprocessedKeys" : "UnprocessedItems"]: cut.left };
      return { ...answer, json: { ...answer.json, ...left } };
    };
    const answer = await underFault(strike, message, work, (kind) => refusedBy(kind, json));
    if (answer === undefined) return;

    const { ConsumedCapacity: _, ...unasked } = answer.json;
    const told = { ...answer, json: json["ReturnConsumedCapacity"] === undefined ? unasked : answer.json };
    note({ status: answer.status, errorCode: errorCodeOf(answer), responseBytes: sendJson(response, told, nowMs()) });
  };

  const proxy = await serveLoopback(handle);
  const clientOf = (endpoint: string, overrides: DynamoDBClientConfig = {}): DynamoDBClient => {
    const client = new DynamoDBClient({ endpoint, region, credentials, ...overrides });
    clients.push(client);
    return client;
  };
  const owner = clientOf(innerUrl);
  return {
    url: proxy.url,
    credentials,
    client: (overrides) => clientOf(proxy.url, overrides),
    async freshTable() {
      const TableName = `test-${randomBytes(8).toString("hex")}`;
      await owner.send(
        new CreateTableCommand({
          TableName,
          BillingMode: "PAY_PER_REQUEST",
          AttributeDefinitions: [
            { AttributeName: "pk", AttributeType: "S" },
            { AttributeName: "sk", AttributeType: "N" },
          ],
          KeySchema: [
            { AttributeName: "pk", KeyType: "HASH" },
            { AttributeName: "sk", KeyType: "RANGE" },
          ],
        }),
      );
      await waitUntilTableExists({ client: owner, maxWaitTime: 10, minDelay: 0.01, maxDelay: 0.1 }, { TableName });
      return TableName;
    },
    fault: (plan) => faults.add(plan),
    log,
    async close() {
      for (const client of clients) client.destroy();
      faults.clear();
      await proxy.close();
      await new Promise((resolve) => {
        inner.close(resolve);
        inner.closeAllConnections();
      });
    },
  };
}

const region = "us-east-1";

/** DynamoDB takes no signature that is older than this. */
const skewMsMax = 5 * 60 * 1_000;

/** What a fault of the service answers; `undefined` for all others. */
function refusedBy(kind: DynamoFaultKind, json: Json): DynamoAnswer | undefined {
  switch (kind) {
    case "throughput-exceeded":
      return throughputExceeded();
    case "throttling":
      return dynamoError("ThrottlingException", "Rate of requests exceeds the allowed throughput.");
    case "internal-error":
      return dynamoError("InternalServerError", "The request processing has failed because of an unknown error.");
    case "access-denied":
      return dynamoError("AccessDeniedException", "User is not authorized to perform this operation on this resource.");
    case "unprocessed":
      return cutBatch(json) === undefined ? throughputExceeded() : undefined;
    default:
      return undefined;
  }
}

function throughputExceeded(): DynamoAnswer {
  return dynamoError(
    "ProvisionedThroughputExceededException",
    "The level of configured provisioned throughput for the table was exceeded.",
  );
}
