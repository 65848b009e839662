import { DescribeTableCommand, type DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { setTimeout as sleep } from "node:timers/promises";
import type { Page } from "../../page/page.ts";
import type { Term } from "../../page/terms.ts";
import type { Basis, Candidate, CommitOutcome, PageRecord } from "../../ports/offset-index.ts";
import { RowOffsetIndex, type RowOffsetIndexOptions } from "../../rows/row-offset-index.ts";
import { AttributeRows } from "./attribute-rows.ts";
import { awsError } from "./aws-error.ts";
import type { Deadline } from "./deadline.ts";
import { DynamoRowTable } from "./dynamo-row-table.ts";

export interface DynamoOffsetIndexOptions extends Omit<RowOffsetIndexOptions, "rows" | "sleep"> {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly deadline: Deadline;
  /** The attributes that payloads are found by, of the table's own row. None by default: each takes writes. */
  readonly indexed?: readonly string[] | undefined;
}

/**
 * Pages as rows of a DynamoDB table.
 *
 * Cost: as {@link RowOffsetIndex}, and one write for each indexed attribute that is new in its group.
 */
export class DynamoOffsetIndex extends RowOffsetIndex {
  readonly #options: Pick<DynamoOffsetIndexOptions, "client" | "table" | "deadline">;
  readonly #attributes: AttributeRows;
  /** The rows that pages on their way need of their attributes. */
  readonly #prepared = new WeakMap<Page, Promise<void>>();

  constructor({ client, table, deadline, indexed = [], ...options }: DynamoOffsetIndexOptions) {
    super({ ...options, rows: new DynamoRowTable({ client, table, deadline }), sleep });
    this.#options = { client, table, deadline };
    this.#attributes = new AttributeRows({ ...options, client, table, deadline, indexed });
  }

  /** A page that is committed is found; one that is not leaves rows that nobody minds. */
  override async commit(record: PageRecord, page: Page, basis?: Basis): Promise<CommitOutcome> {
    await (this.#prepared.get(page) ?? this.#attributes.put(record.tenant, record.group, page));
    return super.commit(record, page, basis);
  }

  /** Puts the rows of its attributes while its segment is put. */
  prepare(tenant: string, group: string, page: Page): void {
    const putting = this.#attributes.put(tenant, group, page);
    putting.catch(() => {});
    this.#prepared.set(page, putting);
  }

  candidates(tenant: string, terms: readonly Term[], from?: string): AsyncIterable<Candidate> {
    return this.#attributes.candidates(tenant, terms, from);
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
