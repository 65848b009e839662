import { DescribeTableCommand, type DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { setTimeout as sleep } from "node:timers/promises";
import { AttributeRows } from "../../rows/attribute-rows.ts";
import { AttributedOffsetIndex } from "../../rows/attributed-offset-index.ts";
import type { RowOffsetIndexOptions } from "../../rows/row-offset-index.ts";
import { awsError } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";
import { DynamoAttributeTable } from "./dynamo-attribute-table.ts";
import { DynamoRowTable } from "./dynamo-row-table.ts";

export interface DynamoOffsetIndexOptions extends Omit<RowOffsetIndexOptions, "rows" | "sleep"> {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly deadline: Deadline;
  /** The attributes that payloads are found by, of the table's own row. None by default: each takes writes. */
  readonly indexed?: readonly string[] | undefined;
}

/** Pages as rows of a DynamoDB table. Cost: as {@link AttributedOffsetIndex}. */
export class DynamoOffsetIndex extends AttributedOffsetIndex {
  readonly #options: Pick<DynamoOffsetIndexOptions, "client" | "table" | "deadline">;

  constructor({ client, table, deadline, indexed = [], ...options }: DynamoOffsetIndexOptions) {
    const dynamo = { client, table, deadline };
    const attributes = new AttributeRows({ ...options, indexed, table: new DynamoAttributeTable(dynamo) });
    super({ ...options, attributes, rows: new DynamoRowTable(dynamo), sleep });
    this.#options = dynamo;
  }

  /** As DynamoDB counts them, every six hours. For the operator: a handler may not ask. */
  async size(): Promise<{ readonly rows: number; readonly bytes: number }> {
    const { client, table, deadline } = this.#options;
    try {
      const { Table } = await client.send(new DescribeTableCommand({ TableName: table }), deadline.options());
      return { rows: Table?.ItemCount ?? 0, bytes: Table?.TableSizeBytes ?? 0 };
    } catch (error) {
      throw awsError(error, `asking for the size of table ${table} failed`);
    }
  }
}
