import { afterAll } from "vitest";
import { Deadline } from "../../core/adapters/aws/deadline.ts";
import { DynamoRowTable } from "../../core/adapters/aws/dynamo-row-table.ts";
import { MemoryRowTable } from "../../core/adapters/memory/memory-row-table.ts";
import { systemClock } from "../../core/adapters/node/clock.ts";
import { startDynalite } from "../support/aws/dynamo-server.ts";
import { rowTableSuite } from "../support/row-table-suite.ts";

const dynamo = await startDynalite();
afterAll(() => dynamo.close());

rowTableSuite("memory", () => new MemoryRowTable({ clock: systemClock, pageRowsMax: 3 }));

rowTableSuite("DynamoDB", async () => {
  const table = await dynamo.freshTable();
  return new DynamoRowTable({ client: dynamo.client(), table, deadline: new Deadline(20_000) });
});
