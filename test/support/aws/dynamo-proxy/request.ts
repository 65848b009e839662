import type { Json } from "./answer.ts";

/** What a request is about, as the log and the faults name it: see `LoggedRequest`. */
export function subjectOf(json: Json): { readonly resource: string | undefined; readonly key: string | undefined } {
  const items = (json["RequestItems"] ?? {}) as Json;
  const table = (json["TableName"] as string | undefined) ?? Object.keys(items)[0];
  const key = (json["Key"] ?? json["Item"]) as Json | undefined;
  if (key !== undefined) return { resource: table, key: `${scalar(key["pk"])}#${scalar(key["sk"])}` };

  const values = Object.values((json["ExpressionAttributeValues"] ?? {}) as Json) as readonly Json[];
  return { resource: table, key: values.map(({ S }) => S).find((text) => typeof text === "string") };
}

function scalar(value: unknown): string {
  return String(Object.values((value ?? {}) as Json)[0]);
}

/** The items that a request may write, each by a name of its own; none of a read. */
export function writtenKeys(operation: string, json: Json): readonly string[] {
  const { resource, key } = subjectOf(json);
  switch (operation) {
    case "PutItem":
    case "UpdateItem":
    case "DeleteItem":
      return [`${resource} ${key}`];
    case "BatchWriteItem":
      return Object.entries(json["RequestItems"] as Json).flatMap(([table, writes]) =>
        (writes as readonly Json[]).map((write) => `${table} ${subjectOf(Object.values(write)[0] as Json).key}`),
      );
    default:
      return [];
  }
}

/** A batch call cut in two: its first half to be done, the rest to be answered as unprocessed. */
export interface CutBatch {
  readonly done: Json;
  /** Of the same shape as the request's `RequestItems`. */
  readonly left: Json;
}

/** @returns `undefined` if the batch has one entry only: DynamoDB throttles a batch of which it can do nothing. */
export function cutBatch(json: Json): CutBatch | undefined {
  const entries = Object.entries(json["RequestItems"] as Json).flatMap(([table, wanted]) =>
    (Array.isArray(wanted) ? wanted : ((wanted as Json)["Keys"] as unknown[])).map((one) => ({ table, wanted, one })),
  );
  if (entries.length < 2) return undefined;

  const together = (some: typeof entries): Json =>
    Object.fromEntries(
      [...Map.groupBy(some, ({ table }) => table)].map(([table, ones]) => {
        const list = ones.map(({ one }) => one);
        const wanted = ones[0]?.wanted;
        return [table, Array.isArray(wanted) ? list : { ...(wanted as Json), Keys: list }];
      }),
    );
  const half = Math.floor(entries.length / 2);
  return { done: { ...json, RequestItems: together(entries.slice(0, half)) }, left: together(entries.slice(half)) };
}

/**
 * The answer of a query that found nothing, with what DynamoDB bills for it: the least that its kind of read costs.
 * Dynalite bills nothing.
 */
export function billedQuery(request: Json, answer: Json): Json {
  if (capacityUnitsOf(answer) !== 0) return answer;
  const CapacityUnits = request["ConsistentRead"] === true ? 1 : 0.5;
  return { ...answer, ConsumedCapacity: { ...(answer["ConsumedCapacity"] as Json), CapacityUnits } };
}

/** The capacity units that an answer tells, of a batch their sum. */
export function capacityUnitsOf(json: Json): number | undefined {
  const consumed = json["ConsumedCapacity"];
  if (consumed === undefined) return undefined;
  return [consumed].flat().reduce<number>((sum, one) => sum + Number((one as Json)["CapacityUnits"]), 0);
}
