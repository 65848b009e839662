import assert from "node:assert/strict";
import { describe, test } from "vitest";
import type { AttributeTable } from "../../core/ports/attribute-table.ts";
import { text } from "../conformance/sample-bytes.ts";

const partition = "~find/acme/0123";
const [first, second] = [text("first"), text("second")];
/** As great as a number may be, and one that a double does not tell from the next. */
const greatest = (1n << 120n) - 1n;

/** What every table of attributes promises. @param open  gives an empty table */
export function attributeTableSuite(name: string, open: () => AttributeTable | Promise<AttributeTable>): void {
  const on = (body: (table: AttributeTable) => Promise<void>) => async () => body(await open());
  const all = async (table: AttributeTable, from = 0n, rowsMax = 10) => {
    const { rows, next } = await table.query(partition, from, rowsMax);
    return { rows: rows.map(({ number, record }) => [number, Uint8Array.from(record ?? [])]), next };
  };

  describe(`${name} as a table of attributes`, () => {
    test(
      "knows nothing at first",
      on(async (table) => assert.deepEqual(await all(table), { rows: [], next: undefined })),
    );

    test(
      "keeps what was put last, in its own partition",
      on(async (table) => {
        await table.put(partition, 7n, first);
        await table.put(partition, 7n, second);
        await table.put("~find/acme/other", 8n, first);

        assert.deepEqual(await all(table), { rows: [[7n, second]], next: undefined });
      }),
    );

    test(
      "answers in the order of numbers, some at a time, up to the greatest",
      on(async (table) => {
        const numbers = [greatest, 3n, greatest - 1n, 20n, 100n];
        for (const number of numbers) await table.put(partition, number, first);
        const found: bigint[] = [];
        let next: bigint | undefined = 4n;
        while (next !== undefined) {
          const page = await table.query(partition, next, 2);
          assert.ok(page.rows.length <= 2);
          found.push(...page.rows.map(({ number }) => number));
          next = page.next;
        }

        assert.deepEqual(found, [20n, 100n, greatest - 1n, greatest]);
      }),
    );
  });
}
