import { readFileSync } from "node:fs";
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

  test("tells how much was dead, what was emptied and freed, and what was written for what was read", async () => {
    const { store, run, lines } = await opened();
    const put = (group: string, seed: number) => store.append({ tenant: "acme", group, id: "a" }, noise(9_000, seed));
    // In one segment, of which half is dead then; and what expires.
    await Promise.all([put("stays", 1), put("goes", 2)]);
    await store.append({ tenant: "acme", group: "over", id: "a" }, noise(9_000, 3), { expiresAt: Date.now() + hour });
    await store.deleteGroup({ tenant: "acme", group: "goes" });
    const compact = vi.spyOn(store, "compact");
    for (let i = 0; i < 4; i++) {
      clock.pass(26 * hour);
      await run({}, context);
    }

    const told = lines.map((line) => JSON.parse(line) as Record<string, number>);
    const sum = (name: string) => told.reduce((total, line) => total + line[name]!, 0);
    const [first] = told;
    expect(first!["DeadShare"]).toBeGreaterThan(40);
    expect(first!["DeadShare"]).toBeLessThan(80);
    expect(told.at(-1)!["DeadShare"]).toBeLessThan(10);
    expect([sum("EmptiedSegments"), sum("FreedSegments")]).toEqual([1, 2]);
    expect(sum("FreedBytes")).toBeGreaterThan(27_000);
    // One payload that expired, and one that stays.
    expect([sum("ExpiredPayloads"), sum("ExpiredBytes")]).toEqual([1, 9_000]);
    expect(sum("CompactionBytesOut")).toBeGreaterThan(9_000);
    expect(sum("CompactionBytesOut")).toBeLessThan(10_000);
    expect(sum("CompactionBytesIn")).toBeGreaterThan(18_000);
    for (const [i, line] of told.entries()) {
      const { bytesIn, bytesOut } = await (compact.mock.results[i]!.value as ReturnType<typeof store.compact>);
      expect([line["CompactionBytesIn"], line["CompactionBytesOut"]]).toEqual([bytesIn, bytesOut]);
      expect(line["Amplification"]).toBeCloseTo(bytesIn === 0 ? 0 : bytesOut / bytesIn, 2);
    }
  });

  test("tells how long ago the pass began that it ends: since an earlier run left it", async () => {
    const { store, run, lines } = await opened();
    for (const group of ["g", "h", "i"]) await store.append({ tenant: "acme", group, id: "a" }, noise(300, 1));
    const lagOf = (line = "") => (JSON.parse(line) as { CompactionLag: number }).CompactionLag;
    await run({}, context);
    expect(await store.compact({ dollarsMax: 1e-9 })).toMatchObject({ complete: false, rows: { groups: 1 } });
    clock.pass(1.5 * hour);
    await run({}, context);
    await run({}, context);

    expect(lines.map(lagOf)).toEqual([0, 5_400, 0]);
  });

  test("has the metrics that docs/operations.md names, and no others", async () => {
    const { run, lines } = await opened();
    await run({}, context);
    const operations = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
    const [, section = ""] = /^## Compaction\n(.*?)(?=^## )/ms.exec(operations) ?? [];
    const named = [...section.matchAll(/^\| `(\w+)` +\| ([\w ]+?) +\|/gm)].map(([, name, unit]) => [name, unit]);

    const { _aws } = JSON.parse(lines[0]!) as {
      _aws: { CloudWatchMetrics: { Dimensions: string[][]; Metrics: { Name: string; Unit?: string }[] }[] };
    };
    const [metrics, ...others] = _aws.CloudWatchMetrics;
    expect(others).toEqual([]);
    expect(metrics!.Dimensions).toEqual([["FunctionName"]]);
    expect(named).toEqual(metrics!.Metrics.map(({ Name, Unit }) => [Name, Unit?.toLowerCase() ?? "count"]));
    expect(named.length).toBeGreaterThan(10);
  });

  test("keeps within its time and money", async () => {
    const { store, run } = await opened();
    const compact = vi.spyOn(store, "compact");

    await run({}, { ...context, getRemainingTimeInMillis: () => 100_000 });

    expect(compact).toHaveBeenCalledWith({ timeMsMax: 100_000 - farewellMs, dollarsMax });
  });

  test("that is asked for a plan alone answers what it would do, free and cost, and writes nothing", async () => {
    const { store, run, lines } = await opened();
    const group = { tenant: "acme", group: "g" };
    for (let i = 0; i < 3; i++) await store.append({ ...group, id: `${i}` }, noise(9_000, i));
    clock.pass(hour);
    servers.dynamo.log.clear();

    const planned = await run({ dryRun: true }, context);

    const writes = servers.dynamo.log.entries().filter(({ operation }) => /Put|Delete|Update/.test(operation));
    expect([writes, lines]).toEqual([[], []]);
    expect(planned).toMatchObject({ complete: true, freed: 0, freedBytes: 0, rows: { rowsWritten: 1 } });
    expect(planned!.rows!.dollars).toBeGreaterThan(0);
    expect(JSON.parse(JSON.stringify(planned))).toEqual(planned);
    for (const event of [{}, undefined, null, { dryRun: "true" }]) expect(await run(event, context)).toBeUndefined();
    expect(lines).toHaveLength(4);
  });

  test("is done where another is at work, and fails otherwise without a word of what is stored", async () => {
    const { store, run, lines } = await opened();
    const said = vi.spyOn(console, "error").mockImplementation(() => {});
    const compact = vi.spyOn(store, "compact");
    compact.mockRejectedValueOnce(new PayloadStoreError("LOCKED", "the store is being compacted already"));
    await run({}, context);
    expect(said).not.toHaveBeenCalled();
    // Who asks for a plan hears that there is none.
    compact.mockRejectedValueOnce(new PayloadStoreError("LOCKED", "the store is being compacted already"));
    await expect(run({ dryRun: true }, context)).rejects.toThrow("the compaction failed");
    said.mockClear();

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
