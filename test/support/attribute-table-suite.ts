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
        await table.put(partition, 7n, first, Date.now());
        await table.put(partition, 7n, second, Date.now());
        await table.put("~find/acme/other", 8n, first, Date.now());

        assert.deepEqual(await all(table), { rows: [[7n, second]], next: undefined });
      }),
    );

    test(
      "removes what was put before a time, and not again since, and nothing else",
      on(async (table) => {
        const nowMs = Date.now();
        await table.put(partition, 1n, first, nowMs - 2000);
        await table.put(partition, 2n, first, nowMs - 2000);
        const { signedMs } = await table.put(partition, 2n, second, nowMs);
        assert.ok(Math.abs(signedMs - nowMs) < 60_000);
        await table.put(partition, greatest, first, nowMs - 1000);
        for (const number of [1n, 2n, 3n, greatest]) await table.removePutBefore(partition, number, nowMs - 1000);

        const left = [
          [2n, second],
          [greatest, first],
        ];
        assert.deepEqual(await all(table), { rows: left, next: undefined });
      }),
    );

    test(
      "answers in the order of numbers, some at a time, up to the greatest",
      on(async (table) => {
        const numbers = [greatest, 3n, greatest - 1n, 20n, 100n];
        for (const number of numbers) await table.put(partition, number, first, Date.now());
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
