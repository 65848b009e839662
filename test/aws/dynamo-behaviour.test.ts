import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { AttributeValue, DynamoDBClient, QueryCommandInput, WriteRequest } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { noise } from "../conformance/sample-bytes.ts";
import { startDynalite } from "../support/aws/dynamo-server.ts";
import type { DynamoServer } from "../support/aws/dynamo-server.ts";

/** What Paylode relies on in DynamoDB, on the server that stands for it in tests. */
describe("dynalite as DynamoDB", () => {
  let server: DynamoServer;
  let dynamo: DynamoDBClient;
  let TableName: string;
  /** Of one test alone. */
  let pk: string;
  let tests = 0;
  beforeAll(async () => {
    server = await startDynalite();
    dynamo = server.client({ maxAttempts: 1 });
    TableName = await server.freshTable();
  });
  beforeEach(() => void (pk = `acme/run-${(tests += 1)}`));
  afterAll(() => server.close());

  const itemOf = (sk: number | bigint, r: Uint8Array): Record<string, AttributeValue> => ({
    pk: { S: pk },
    sk: { N: String(sk) },
    r: { B: r },
  });
  const keyOf = (sk: number): Record<string, AttributeValue> => ({ pk: { S: pk }, sk: { N: String(sk) } });
  const put = (sk: number | bigint, r: Uint8Array, asked: object = {}): Promise<unknown> =>
    dynamo.send(new PutItemCommand({ TableName, Item: itemOf(sk, r), ...asked }));
  const get = async (sk: number): Promise<Uint8Array | undefined> =>
    (await dynamo.send(new GetItemCommand({ TableName, Key: keyOf(sk), ConsistentRead: true }))).Item?.["r"]?.B;
  const ofGroup = (): QueryCommandInput => ({
    TableName,
    KeyConditionExpression: "pk = :pk",
    ExpressionAttributeValues: { ":pk": { S: pk } },
    ConsistentRead: true,
  });
  /** All pages of a query: of each the sort keys, as they are told. */
  const pages = async (asked: Partial<QueryCommandInput> = {}): Promise<readonly (readonly string[])[]> => {
    const found: string[][] = [];
    let ExclusiveStartKey: Record<string, AttributeValue> | undefined;
    do {
      const page = await dynamo.send(new QueryCommand({ ...ofGroup(), ...asked, ExclusiveStartKey }));
      found.push((page.Items ?? []).map((item) => item["sk"]?.N ?? ""));
      ExclusiveStartKey = page.LastEvaluatedKey;
    } while (ExclusiveStartKey !== undefined);
    return found;
  };
  const bytes = (length: number): Uint8Array => noise(length, length);
  const isFree = { ConditionExpression: "attribute_not_exists(pk)" };

  describe("a put under a condition", () => {
    test("takes a free number once, and tells the loser what is there", async () => {
      await put(1, bytes(10), isFree);

      const second = put(1, bytes(20), { ...isFree, ReturnValuesOnConditionCheckFailure: "ALL_OLD" });

      await expect(second).rejects.toMatchObject({
        name: "ConditionalCheckFailedException",
        Item: itemOf(1, bytes(10)),
      });
      expect(await get(1)).toEqual(bytes(10));
    });

    test("of twenty that race for a number one wins, and the others know", async () => {
      const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => put(1, bytes(n + 1), isFree)));

      const lost = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : []));
      expect(lost).toHaveLength(19);
      expect(lost.filter((error) => !(error instanceof ConditionalCheckFailedException))).toEqual([]);
    });

    test("that fails tells what made it fail, also while the number is freed and taken", async () => {
      const all = { ...isFree, ReturnValuesOnConditionCheckFailure: "ALL_OLD" };
      const frees: Promise<unknown>[] = [];
      const puts = Array.from({ length: 60 }, (_, n) => {
        if (n % 3 === 0) frees.push(dynamo.send(new DeleteItemCommand({ TableName, Key: keyOf(1) })));
        return put(1, bytes(n + 1), all).then(
          () => "taken",
          (error: unknown) => (error instanceof ConditionalCheckFailedException ? error.Item : error),
        );
      });

      const found = await Promise.all(puts);
      await Promise.all(frees);

      expect(found.filter((one) => one === "taken").length).toBeGreaterThan(1);
      const failed = found.filter((one) => one !== "taken");
      expect(failed.length).toBeGreaterThan(1);
      for (const item of failed) expect(item).toMatchObject(keyOf(1));
    });

    test("compares an attribute, so that a row is swapped by whoever read it", async () => {
      await put(1, bytes(10));
      const swap = (from: Uint8Array, to: Uint8Array): Promise<unknown> =>
        put(1, to, { ConditionExpression: "r = :r", ExpressionAttributeValues: { ":r": { B: from } } });

      await swap(bytes(10), bytes(11));

      await expect(swap(bytes(10), bytes(12))).rejects.toThrow(ConditionalCheckFailedException);
      expect(await get(1)).toEqual(bytes(11));
    });

    test("frees its number by a delete under a condition", async () => {
      await put(1, bytes(10));
      const remove = (r: Uint8Array): Promise<unknown> =>
        dynamo.send(
          new DeleteItemCommand({
            TableName,
            Key: keyOf(1),
            ConditionExpression: "r = :r",
            ExpressionAttributeValues: { ":r": { B: r } },
            ReturnValuesOnConditionCheckFailure: "ALL_OLD",
          }),
        );

      await expect(remove(bytes(11))).rejects.toMatchObject({
        name: "ConditionalCheckFailedException",
        Item: itemOf(1, bytes(10)),
      });
      await remove(bytes(10));

      expect(await get(1)).toBeUndefined();
      await put(1, bytes(12), isFree);
    });
  });

  describe("an update", () => {
    test("adds, so that none of many at once is lost", async () => {
      const add = (): Promise<unknown> =>
        dynamo.send(
          new UpdateItemCommand({
            TableName,
            Key: keyOf(0),
            UpdateExpression: "ADD requests :one, payloadBytes :bytes",
            ExpressionAttributeValues: { ":one": { N: "1" }, ":bytes": { N: "1000000007" } },
          }),
        );

      await Promise.all(Array.from({ length: 50 }, add));

      const { Item } = await dynamo.send(new GetItemCommand({ TableName, Key: keyOf(0), ConsistentRead: true }));
      expect(Item).toEqual({ ...keyOf(0), requests: { N: "50" }, payloadBytes: { N: "50000000350" } });
    });

    test("under a condition changes what is there, and nothing else", async () => {
      const revoke = (sk: number): Promise<unknown> =>
        dynamo.send(
          new UpdateItemCommand({
            TableName,
            Key: keyOf(sk),
            UpdateExpression: "SET revoked = :now",
            ConditionExpression: "attribute_exists(pk)",
            ExpressionAttributeValues: { ":now": { N: "1" } },
          }),
        );
      await put(1, bytes(1));

      await revoke(1);

      await expect(revoke(2)).rejects.toThrow(ConditionalCheckFailedException);
      expect(await pages()).toEqual([["1"]]);
    });
  });

  describe("a query", () => {
    test("sees what was just put, in the order of the numbers", async () => {
      for (const sk of [10, 9, 100, 1, 2]) await put(sk, bytes(1));

      expect(await pages()).toEqual([["1", "2", "9", "10", "100"]]);
      expect(await pages({ ScanIndexForward: false })).toEqual([["100", "10", "9", "2", "1"]]);
    });

    test("answers pages of 1 MB, and where to go on", async () => {
      for (let sk = 1; sk <= 7; sk += 1) await put(sk, bytes(300_000));

      const found = await pages();

      expect(found.flat()).toEqual(["1", "2", "3", "4", "5", "6", "7"]);
      // The item that passes 1 MB is the last of its page.
      expect(found.map(({ length }) => length)).toEqual([4, 3]);
    });

    test("takes ranges, limits, and a start that is not included", async () => {
      for (let sk = 1; sk <= 5; sk += 1) await put(sk, bytes(1));
      const from = (condition: string, values: Record<string, AttributeValue>): Partial<QueryCommandInput> => ({
        KeyConditionExpression: `pk = :pk AND ${condition}`,
        ExpressionAttributeValues: { ":pk": { S: pk }, ...values },
      });

      expect(await pages(from("sk > :a", { ":a": { N: "3" } }))).toEqual([["4", "5"]]);
      expect(await pages(from("sk BETWEEN :a AND :b", { ":a": { N: "2" }, ":b": { N: "3" } }))).toEqual([["2", "3"]]);
      expect((await pages({ Limit: 2 })).filter(({ length }) => length > 0)).toEqual([["1", "2"], ["3", "4"], ["5"]]);
      const { Items } = await dynamo.send(new QueryCommand({ ...ofGroup(), ExclusiveStartKey: keyOf(2), Limit: 1 }));
      expect(Items).toEqual([itemOf(3, bytes(1))]);
    });

    test("of a group that is not there is empty", async () => {
      expect(await pages()).toEqual([[]]);
    });
  });

  describe("an item", () => {
    test("is read byte for byte", async () => {
      const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);

      await put(1, all);

      expect(await get(1)).toEqual(all);
    });

    test("of 400 KB is stored, a larger one refused", async () => {
      // Names count too: "pk" and its text, "sk" and its number, "r".
      const rest = "pk".length + pk.length + "sk".length + 2 + "r".length;

      await put(1, bytes(400 * 1_024 - rest));

      const larger = put(2, bytes(400 * 1_024 - rest + 1));
      await expect(larger).rejects.toMatchObject({ name: "ValidationException", message: /maximum allowed size/ });
      expect(await pages()).toEqual([["1"]]);
    });

    test("has numbers up to 2^53 as sort keys, each one for itself", async () => {
      const numbers = [0n, 1n, 2n ** 47n, 2n ** 53n - 2n, 2n ** 53n - 1n, 2n ** 53n];
      for (const sk of numbers.toReversed()) await put(sk, bytes(1), isFree);

      expect(await pages()).toEqual([numbers.map(String)]);
    });

    test("has keys of any characters, compared as they are", async () => {
      const group = pk;
      for (const end of ["é", "e\u0301", "/", " ", "\u{1F600}"]) {
        pk = `${group}${end}`;
        await put(1, Buffer.from(end), isFree);
        expect(await get(1)).toEqual(new Uint8Array(Buffer.from(end)));
      }
    });

    test("needs a key", async () => {
      pk = "";

      await expect(put(1, bytes(1))).rejects.toMatchObject({ name: "ValidationException" });
    });
  });

  describe("a batch", () => {
    const puts = (count: number): WriteRequest[] =>
      Array.from({ length: count }, (_, sk) => ({ PutRequest: { Item: itemOf(sk, bytes(10)) } }));
    const write = (requests: WriteRequest[]): Promise<unknown> =>
      dynamo.send(new BatchWriteItemCommand({ RequestItems: { [TableName]: requests } }));

    test("writes 25 items at most", async () => {
      await write(puts(25));

      expect((await pages()).flat()).toHaveLength(25);
      await expect(write(puts(26))).rejects.toMatchObject({ name: "ValidationException" });
    });

    test("reads 100 items at most, and says nothing of those that are not there", async () => {
      await write(puts(25));
      const read = async (count: number): Promise<unknown> => {
        const Keys = Array.from({ length: count }, (_, sk) => keyOf(sk));
        const wanted = { [TableName]: { Keys, ConsistentRead: true } };
        return (await dynamo.send(new BatchGetItemCommand({ RequestItems: wanted }))).Responses?.[TableName];
      };

      expect(await read(100)).toHaveLength(25);
      await expect(read(101)).rejects.toMatchObject({ name: "ValidationException" });
    });

    test("names no item twice", async () => {
      await expect(write([...puts(1), ...puts(1)])).rejects.toMatchObject({ name: "ValidationException" });
    });
  });

  describe("the capacity that is consumed", () => {
    const kilobyte = 1_024;
    const unitsOf = async (request: () => Promise<unknown>): Promise<readonly (number | undefined)[]> => {
      server.log.clear();
      await request();
      return server.log.entries().map(({ capacityUnits }) => capacityUnits);
    };

    test("of a put is one unit for each KB that is begun", async () => {
      expect(await unitsOf(() => put(1, bytes(100)))).toEqual([1]);
      expect(await unitsOf(() => put(2, bytes(kilobyte)))).toEqual([2]);
      expect(await unitsOf(() => put(3, bytes(10 * kilobyte)))).toEqual([11]);
    });

    test("of an overwrite is that of the larger item, of a delete that of what was there", async () => {
      await put(1, bytes(5 * kilobyte));

      expect(await unitsOf(() => put(1, bytes(10)))).toEqual([6]);
      expect(await unitsOf(() => put(1, bytes(3 * kilobyte)))).toEqual([4]);
      const remove = (): Promise<unknown> => dynamo.send(new DeleteItemCommand({ TableName, Key: keyOf(1) }));
      expect(await unitsOf(remove)).toEqual([4]);
      expect(await unitsOf(remove)).toEqual([1]);
    });

    test("of a query is one unit for each 4 KB of all its items together, half of it if it may be stale", async () => {
      for (let sk = 1; sk <= 10; sk += 1) await put(sk, bytes(kilobyte));
      const query = (ConsistentRead: boolean) => (): Promise<unknown> =>
        dynamo.send(new QueryCommand({ ...ofGroup(), ConsistentRead }));

      expect(await unitsOf(query(true))).toEqual([3]);
      expect(await unitsOf(query(false))).toEqual([1.5]);
    });

    test("of a query without an item is one unit, half of it if it may be stale", async () => {
      expect(await unitsOf(() => pages())).toEqual([1]);
      expect(await unitsOf(() => pages({ ConsistentRead: false }))).toEqual([0.5]);
    });

    test("is told to whoever asks, and to nobody else", async () => {
      expect(await put(1, bytes(10))).not.toHaveProperty("ConsumedCapacity");
      const told = await put(1, bytes(10), { ReturnConsumedCapacity: "TOTAL" });

      expect(told).toMatchObject({ ConsumedCapacity: { TableName, CapacityUnits: 1 } });
    });
  });

  test("a table that is not there is ResourceNotFoundException", async () => {
    const put = new PutItemCommand({ TableName: "no-such-table", Item: itemOf(1, bytes(1)) });

    await expect(dynamo.send(put)).rejects.toMatchObject({ name: "ResourceNotFoundException" });
  });
});
