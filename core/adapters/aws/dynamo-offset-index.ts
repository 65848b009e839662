import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { setTimeout as sleep } from "node:timers/promises";
import { RowOffsetIndex, type RowOffsetIndexOptions } from "../../rows/row-offset-index.ts";
import type { Deadline } from "./deadline.ts";
import { DynamoRowTable } from "./dynamo-row-table.ts";

export interface DynamoOffsetIndexOptions extends Omit<RowOffsetIndexOptions, "rows" | "sleep"> {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly deadline: Deadline;
}

/** Pages as rows of a DynamoDB table. */
export class DynamoOffsetIndex extends RowOffsetIndex {
  constructor({ client, table, deadline, ...options }: DynamoOffsetIndexOptions) {
    super({ ...options, rows: new DynamoRowTable({ client, table, deadline }), sleep });
  }
}
