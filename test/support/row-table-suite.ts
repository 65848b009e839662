import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { isPayloadStoreError } from "../../core/errors.ts";
import type { RowTable } from "../../core/ports/row-table.ts";
import { collect } from "../conformance/expectations.ts";
import { noise, text } from "../conformance/sample-bytes.ts";

const partition = "acme/run-1";
const key = { partition, number: 1 };
const [first, second] = [text("first"), text("second")];

/**
 * What every table of rows promises.
 * @param open  gives an empty table; its pages hold less than 1.2 MB
 */
export function rowTableSuite(name: string, open: () => RowTable | Promise<RowTable>): void {
  const on = (body: (rows: RowTable) => Promise<void>) => async () => body(await open());
  const recordAt = async (rows: RowTable, number = 1) => (await rows.get({ partition, number })).row?.record;
  const numbersOf = async (rows: RowTable, of: string, from?: number) =>
    (await collect(rows.query(of, from))).flatMap((page) => page.rows.map(({ number }) => number));

  describe(`${name} as a table of rows`, () => {
    test(
      "knows nothing at first",
      on(async (rows) => {
        assert.equal((await rows.get(key)).row, undefined);
        assert.equal((await rows.last(partition)).row, undefined);
        assert.deepEqual(await collect(rows.scan()), []);
        const pages = await collect(rows.query(partition));
        assert.equal(pages.length, 1);
        assert.deepEqual(pages[0]?.rows, []);
      }),
    );

    test(
      "puts where the key is free, and answers who was there where it is not",
      on(async (rows) => {
        const put = await rows.put(key, first, "free", Infinity);
        assert.equal(put.kind, "done");

        const again = await rows.put(key, second, "free", Infinity);

        assert.equal(again.kind, "refused");
        assert.deepEqual(again.kind === "refused" && Uint8Array.from(again.there?.record ?? []), first);
        assert.deepEqual(Uint8Array.from((await recordAt(rows)) ?? []), first);
      }),
    );

    test(
      "replaces exactly the record that was named",
      on(async (rows) => {
        const absent = await rows.put(key, second, { holds: first }, Infinity);
        assert.equal(absent.kind === "refused" && absent.there, undefined);
        assert.equal((await rows.get(key)).row, undefined);
        await rows.put(key, first, "free", Infinity);

        assert.equal((await rows.put(key, second, { holds: second }, Infinity)).kind, "refused");
        assert.equal((await rows.put(key, second, { holds: first.subarray(1) }, Infinity)).kind, "refused");
        assert.equal((await rows.put(key, second, { holds: first }, Infinity)).kind, "done");

        const late = await rows.put(key, first, { holds: first }, Infinity);
        assert.deepEqual(late.kind === "refused" && Uint8Array.from(late.there?.record ?? []), second);
      }),
    );

    test(
      "removes exactly the record that was named",
      on(async (rows) => {
        await rows.put(key, first, "free", Infinity);

        assert.equal((await rows.remove(key, second, Infinity)).kind, "refused");
        assert.equal((await rows.remove(key, first, Infinity)).kind, "done");

        const again = await rows.remove(key, first, Infinity);
        assert.deepEqual([again.kind, again.kind === "refused" && again.there], ["refused", undefined]);
        assert.equal((await rows.put(key, second, "free", Infinity)).kind, "done");
      }),
    );

    test(
      "lets one of many through where all ask for the same",
      on(async (rows) => {
        const puts = await Promise.all(
          Array.from({ length: 8 }, (_, i) => rows.put(key, text(`of ${i}`), "free", Infinity)),
        );
        assert.equal(puts.filter(({ kind }) => kind === "done").length, 1);

        const holds = (await recordAt(rows))!;
        const swaps = await Promise.all(
          Array.from({ length: 8 }, (_, i) => rows.put(key, text(`then ${i}`), { holds }, Infinity)),
        );
        assert.equal(swaps.filter(({ kind }) => kind === "done").length, 1);
      }),
    );

    test(
      "answers a partition in order of numbers, from a number on, and the last one",
      on(async (rows) => {
        for (const number of [10, 2, 1, 300, 9]) await rows.put({ partition, number }, first, "free", Infinity);
        await rows.put({ partition: "acme/run-10", number: 7 }, first, "free", Infinity);

        assert.deepEqual(await numbersOf(rows, partition), [1, 2, 9, 10, 300]);
        assert.deepEqual(await numbersOf(rows, partition, 9), [9, 10, 300]);
        assert.deepEqual(await numbersOf(rows, partition, 301), []);
        assert.equal((await rows.last(partition)).row?.number, 300);
      }),
    );

    test(
      "answers a long partition in pages",
      on(async (rows) => {
        const records = Array.from({ length: 12 }, (_, i) => noise(100_000, i));
        for (const [i, record] of records.entries())
          await rows.put({ partition, number: i + 1 }, record, "free", Infinity);

        const pages = await collect(rows.query(partition));

        assert.ok(pages.length > 1);
        const answered = pages.flatMap((page) => page.rows);
        assert.deepEqual(
          answered.map(({ record }) => Uint8Array.from(record ?? [])),
          records,
        );
        assert.deepEqual(await numbersOf(rows, partition, 5), [5, 6, 7, 8, 9, 10, 11, 12]);
      }),
    );

    test(
      "scans partitions by how they begin, each in order",
      on(async (rows) => {
        for (const of of ["acme/b", "acme/a", "acmeter/a", "~store"]) {
          for (const number of [2, 10, 1]) await rows.put({ partition: of, number }, first, "free", Infinity);
        }
        const byPartition = async (prefix?: string) =>
          Map.groupBy(await collect(rows.scan(prefix)), (row) => row.partition);

        const scanned = await byPartition("acme/");

        assert.deepEqual([...scanned.keys()].toSorted(), ["acme/a", "acme/b"]);
        for (const found of scanned.values())
          assert.deepEqual(
            found.map(({ number }) => number),
            [1, 2, 10],
          );
        assert.equal((await byPartition()).size, 4);
      }),
    );

    test(
      "tells when its answers were signed, and writes nothing that rests on what is long ago",
      on(async (rows) => {
        const { signedMs } = await rows.get(key);
        assert.ok(signedMs > 0);
        for (const answer of [await rows.last(partition), ...(await collect(rows.query(partition)))])
          assert.ok(Math.abs(answer.signedMs - signedMs) < 60_000);
        const heldUp = (error: unknown) => isPayloadStoreError(error, "UNAVAILABLE");
        const longAgo = signedMs - 20 * 60_000;

        await assert.rejects(rows.put(key, first, "free", longAgo), heldUp);
        assert.equal((await rows.put(key, first, "free", signedMs)).kind, "done");
        await assert.rejects(rows.put(key, second, { holds: first }, longAgo), heldUp);
        await assert.rejects(rows.remove(key, first, longAgo), heldUp);

        assert.deepEqual(Uint8Array.from((await recordAt(rows)) ?? []), first);
      }),
    );
  });
}
