import { type DynamoAnswer, errorCodeOf, type Json } from "./answer.ts";

/**
 * What dynalite leaves out: the item on which a condition failed, where `ReturnValuesOnConditionCheckFailure` asks for it.
 *
 * It is read after the failure, and so must run in turn with all else that writes the item: DynamoDB answers what it was.
 */
export async function itemThere(
  json: Json,
  answer: DynamoAnswer,
  getItem: (json: Json) => Promise<DynamoAnswer>,
): Promise<Json> {
  const isAskedFor = json["ReturnValuesOnConditionCheckFailure"] === "ALL_OLD";
  if (!isAskedFor || errorCodeOf(answer) !== "ConditionalCheckFailedException") return {};
  const { pk, sk } = (json["Key"] ?? json["Item"]) as Json;
  const { Item: item } = (await getItem({ TableName: json["TableName"], Key: { pk, sk }, ConsistentRead: true })).json;
  return item === undefined ? {} : { Item: item };
}
