import { afterAll, describe, expect, test, vi } from "vitest";
import { PayloadStoreError } from "../../core/errors.ts";
import { dollarsMax, farewellMs, lambdaCompact } from "../../functions/lambda-compact.ts";
import { openAwsAccess } from "../../core/entries/aws-access.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { freshPlaceOf, openHandler } from "../support/aws/handlers.ts";
import { hour, startWithMovedClock } from "../support/aws/moved-clock.ts";

const { servers, ...clock } = await startWithMovedClock();
afterAll(() => clock.close());

const context = { awsRequestId: "request-1", getRemainingTimeInMillis: () => 900_000 };

async function opened() {
  const place = await freshPlaceOf(servers);
  const { store, clients, meter } = await openHandler(servers, place);
  const lines: string[] = [];
  const access = openAwsAccess({ table: place.table, client: clients.dynamo });
  const run = lambdaCompact({
    backend: () => ({ meter, open: async () => ({ store, access }) }),
    functionName: "compact",
    write: (line) => lines.push(line),
  });
  return { store, run, lines };
}

describe("the scheduled run", () => {
  test("compacts, and tells what it did as metrics", async () => {
    const { store, run, lines } = await opened();
    const group = { tenant: "acme", group: "secret-name" };
    for (let i = 0; i < 3; i++) await store.append({ ...group, id: `${i}` }, noise(9_000, i));
    clock.pass(hour);

    await run({}, context);

    const [line = ""] = lines;
    expect(JSON.parse(line)).toMatchObject({
      FunctionName: "compact",
      Compactions: 1,
      CompactedGroups: 1,
      CompactedRows: 1,
      SweptRows: 0,
      CompactionBytesOut: expect.any(Number),
      Amplification: expect.any(Number),
      complete: true,
      requestId: "request-1",
    });
    expect(line).not.toMatch(/acme|secret-name/);
    const { _aws, ...values } = JSON.parse(line) as Record<string, unknown> & {
      _aws: { CloudWatchMetrics: { Metrics: { Name: string }[] }[] };
    };
    for (const { Name } of _aws.CloudWatchMetrics[0]!.Metrics) expect(values[Name]).toBeTypeOf("number");
  });

  test("keeps within its time and money", async () => {
    const { store, run } = await opened();
    const compact = vi.spyOn(store, "compact");

    await run({}, { ...context, getRemainingTimeInMillis: () => 100_000 });

    expect(compact).toHaveBeenCalledWith({ timeMsMax: 100_000 - farewellMs, dollarsMax });
  });

  test("is done where another is at work, and fails otherwise without a word of what is stored", async () => {
    const { store, run, lines } = await opened();
    const said = vi.spyOn(console, "error").mockImplementation(() => {});
    const compact = vi.spyOn(store, "compact");
    compact.mockRejectedValueOnce(new PayloadStoreError("LOCKED", "the store is being compacted already"));
    await run({}, context);
    expect(said).not.toHaveBeenCalled();

    compact.mockRejectedValueOnce(
      new PayloadStoreError("UNAVAILABLE", "group secret-name", { details: { group: "g" } }),
    );
    await expect(run({}, context)).rejects.toThrow("the compaction failed");
    expect(JSON.stringify(said.mock.calls)).toContain("UNAVAILABLE");
    expect(JSON.stringify(said.mock.calls)).not.toContain("secret-name");
    expect(lines).toEqual([]);
    said.mockRestore();
  });
});
