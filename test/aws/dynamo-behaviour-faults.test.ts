import { BatchGetItemCommand, BatchWriteItemCommand, PutItemCommand, QueryCommand } from "@aws-sdk/client-dynamodb";
import type { BatchWriteItemCommandOutput, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startDynalite } from "../support/aws/dynamo-server.ts";
import type { DynamoServer } from "../support/aws/dynamo-server.ts";

/** What the proxy before dynalite adds: faults that come when they are called, a log, signatures, a clock that can be set. */
describe("the DynamoDB server", () => {
  let nowMs: () => number;
  let server: DynamoServer;
  let TableName: string;
  /** Neither of them retries. */
  let dynamo: DynamoDBClient;
  let impatient: DynamoDBClient;
  beforeEach(async () => {
    nowMs = Date.now;
    server = await startDynalite({ nowMs: () => nowMs() });
    TableName = await server.freshTable();
    dynamo = server.client({ maxAttempts: 1 });
    impatient = server.client({
      maxAttempts: 1,
      requestHandler: { requestTimeout: 100, throwOnRequestTimeout: true },
    });
  });
  afterEach(() => server.close());

  const itemOf = (sk: number): PutItemCommand["input"]["Item"] => ({ pk: { S: "acme/run-1" }, sk: { N: String(sk) } });
  const put = (sk: number, client = dynamo): Promise<unknown> =>
    client.send(new PutItemCommand({ TableName, Item: itemOf(sk) }));
  const stored = async (): Promise<readonly (string | undefined)[]> => {
    const { Items = [] } = await server.client().send(
      new QueryCommand({
        TableName,
        KeyConditionExpression: "pk = :pk",
        ExpressionAttributeValues: { ":pk": { S: "acme/run-1" } },
        ConsistentRead: true,
      }),
    );
    return Items.map(({ sk }) => sk?.N);
  };
  const writeBatch = (count: number): Promise<BatchWriteItemCommandOutput> => {
    const puts = Array.from({ length: count }, (_, sk) => ({ PutRequest: { Item: itemOf(sk) } }));
    return dynamo.send(new BatchWriteItemCommand({ RequestItems: { [TableName]: puts } }));
  };

  describe("has a fault that", () => {
    for (const [kind, name, status] of [
      ["throughput-exceeded", "ProvisionedThroughputExceededException", 400],
      ["throttling", "ThrottlingException", 400],
      ["internal-error", "InternalServerError", 500],
      ["access-denied", "AccessDeniedException", 400],
    ] as const) {
      test(`answers ${name} before the request takes effect, and after`, async () => {
        const refused = { name, $metadata: { httpStatusCode: status } };

        server.fault({ kind });
        await expect(put(1)).rejects.toMatchObject(refused);
        expect(await stored()).toEqual([]);

        server.fault({ kind, when: "after" });
        await expect(put(1)).rejects.toMatchObject(refused);
        expect(await stored()).toEqual(["1"]);
      });
    }

    for (const [kind, failure] of [
      ["timeout", { name: "TimeoutError" }],
      ["reset", { code: "ECONNRESET" }],
    ] as const) {
      test(`is a ${kind}, before the request takes effect and after`, async () => {
        server.fault({ kind });
        await expect(put(1, impatient)).rejects.toMatchObject(failure);
        expect(await stored()).toEqual([]);

        server.fault({ kind, when: "after" });
        await expect(put(1, impatient)).rejects.toMatchObject(failure);
        await expect.poll(stored).toEqual(["1"]);
      });
    }

    test("lets a request arrive when its client has long gone", async () => {
      const late = server.fault({ kind: "hold", operation: "PutItem", key: "acme/run-1#7" });
      await put(6);

      await expect(put(7, impatient)).rejects.toMatchObject({ name: "TimeoutError" });
      expect(await stored()).toEqual(["6"]);
      late.release();

      await expect.poll(stored).toEqual(["6", "7"]);
    });

    test("lets an answer come late", async () => {
      const late = server.fault({ kind: "hold", when: "after", operation: "PutItem" });
      let answered = false;
      const putting = put(1).then(() => (answered = true));

      await late.struck;
      await expect.poll(stored).toEqual(["1"]);
      expect(answered).toBe(false);
      late.release();

      expect(await putting).toBe(true);
    });

    test("leaves a part of a batch undone, and says which", async () => {
      server.fault({ kind: "unprocessed", operation: "BatchWriteItem" });

      const { UnprocessedItems } = await writeBatch(5);

      expect(await stored()).toEqual(["0", "1"]);
      const left = [2, 3, 4].map((sk) => ({ PutRequest: { Item: itemOf(sk) } }));
      expect(UnprocessedItems).toEqual({ [TableName]: left });
    });

    test("leaves a part of what is read unread, and says which", async () => {
      await writeBatch(4);
      server.fault({ kind: "unprocessed", operation: "BatchGetItem" });

      const Keys = [0, 1, 2, 3].map((sk) => itemOf(sk) ?? {});
      const found = await dynamo.send(
        new BatchGetItemCommand({ RequestItems: { [TableName]: { Keys, ConsistentRead: true } } }),
      );

      expect(found.Responses?.[TableName]).toHaveLength(2);
      expect(found.UnprocessedKeys).toEqual({ [TableName]: { Keys: Keys.slice(2), ConsistentRead: true } });
    });

    test("throttles a batch of which nothing is done", async () => {
      server.fault({ kind: "unprocessed", operation: "BatchWriteItem" });

      await expect(writeBatch(1)).rejects.toMatchObject({ name: "ProvisionedThroughputExceededException" });
      expect(await stored()).toEqual([]);
    });
  });

  test("strikes an SDK's retries too, which go on until one is answered", async () => {
    server.fault({ kind: "throttling", operation: "PutItem" });
    server.fault({ kind: "internal-error", operation: "PutItem", nth: 2 });
    server.fault({ kind: "reset", when: "after", operation: "PutItem", nth: 3 });

    await put(1, server.client({ maxAttempts: 4 }));

    const attempts = server.log.entries({ operation: "PutItem", key: "acme/run-1#1" });
    expect(attempts.map(({ fault, errorCode, capacityUnits }) => [fault, errorCode, capacityUnits])).toEqual([
      ["throttling", "ThrottlingException", undefined],
      ["internal-error", "InternalServerError", undefined],
      ["reset", undefined, 1],
      [undefined, undefined, 1],
    ]);
  });

  test("keeps a log of operations, tables, keys, bytes and units, but not of how its tables came to be", async () => {
    await put(7);
    await stored();
    await writeBatch(3);
    const lost = dynamo.send(new PutItemCommand({ TableName: "none", Item: itemOf(1) }));
    await expect(lost).rejects.toMatchObject({ name: "ResourceNotFoundException" });

    expect(server.log.entries()).toMatchObject([
      { operation: "PutItem", resource: TableName, key: "acme/run-1#7", capacityUnits: 1, status: 200 },
      { operation: "Query", resource: TableName, key: "acme/run-1", capacityUnits: 1, status: 200 },
      { operation: "BatchWriteItem", resource: TableName, key: undefined, capacityUnits: 3, status: 200 },
      { operation: "PutItem", resource: "none", errorCode: "ResourceNotFoundException", status: 400 },
    ]);
    expect(
      server.log.entries().every(({ requestBytes, responseBytes }) => requestBytes > 50 && responseBytes > 1),
    ).toBe(true);
  });

  describe("takes a signature", () => {
    const minuteMs = 60_000;

    test("of its own credentials only", async () => {
      const wrong = { ...server.credentials, secretAccessKey: "wrong" };
      const nobody = { ...server.credentials, accessKeyId: "nobody" };

      await expect(put(1, server.client({ credentials: wrong }))).rejects.toMatchObject({
        name: "InvalidSignatureException",
      });
      await expect(put(1, server.client({ credentials: nobody }))).rejects.toMatchObject({
        name: "UnrecognizedClientException",
      });
      expect(await stored()).toEqual([]);
    });

    test("of the last five minutes only", async () => {
      const off = (minutes: number): Promise<unknown> =>
        put(1, server.client({ maxAttempts: 1, systemClockOffset: minutes * minuteMs }));

      await off(-4);
      await off(4);
      await expect(off(-6)).rejects.toMatchObject({ name: "InvalidSignatureException" });
      await expect(off(6)).rejects.toMatchObject({ name: "InvalidSignatureException" });
    });

    test("and refuses a request that arrives later than that", async () => {
      const late = server.fault({ kind: "hold", operation: "PutItem" });
      const putting = put(1);
      await late.struck;

      nowMs = () => Date.now() + 6 * minuteMs;
      late.release();

      await expect(putting).rejects.toMatchObject({ name: "InvalidSignatureException" });
      nowMs = Date.now;
      expect(await stored()).toEqual([]);
    });

    test("again, once the SDK has corrected its clock", async () => {
      nowMs = () => Date.now() + 60 * minuteMs;

      await put(1, server.client({ maxAttempts: 2 }));

      const entries = server.log.entries({ operation: "PutItem" });
      expect(entries.map(({ errorCode }) => errorCode)).toEqual(["InvalidSignatureException", undefined]);
    });
  });
});
