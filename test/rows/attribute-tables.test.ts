import { afterAll } from "vitest";
import { Deadline } from "../../core/adapters/aws/deadline.ts";
import { DynamoAttributeTable } from "../../core/adapters/aws/dynamo-attribute-table.ts";
import { MemoryAttributeTable } from "../../core/adapters/memory/memory-attribute-table.ts";
import { attributeTableSuite } from "../support/attribute-table-suite.ts";
import { startDynalite } from "../support/aws/dynamo-server.ts";

const dynamo = await startDynalite();
afterAll(() => dynamo.close());

attributeTableSuite("memory", () => new MemoryAttributeTable());

attributeTableSuite("DynamoDB", async () => {
  const table = await dynamo.freshTable();
  return new DynamoAttributeTable({ client: dynamo.client(), table, deadline: new Deadline(20_000) });
});
