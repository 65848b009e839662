import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { paginateScan } from "@aws-sdk/client-dynamodb";
import { paginateListObjectsV2 } from "@aws-sdk/client-s3";
import { freshPlaceOf, type Handler, openHandler, startFaultyServers } from "../test/support/aws/handlers.ts";
import type { AwsPlace } from "../test/support/aws/aws-under-test.ts";
import { type Recorded, recorded } from "./recorded.ts";
import { median } from "./spread.ts";

/**
 * npm run bench:compaction-on-aws -- --batch N
 *
 * How much smaller compaction makes the recorded messages and calls of agents on S3 and DynamoDB, or made-up ones where there are
 * none: the S3 double and dynalite, in commits of `--batch` payloads of a group each, compacted once. Beside it gzip of each payload alone,
 * and how many GETs it takes to read a group.
 */
const { values: options } = parseArgs({ options: { batch: { type: "string", default: "1" } } });
const tenant = "bench";
const runsMax = 6;

const servers = await startFaultyServers();
try {
  const measured = [];
  for (const [what, corpus] of [
    ["messages", "airline-messages"],
    ["calls with their history", "airline-llm-calls"],
  ] as const) {
    measured.push(await measure(what, recorded(corpus)));
  }
  console.log(JSON.stringify(measured, null, 2));
} finally {
  await servers.close();
}

async function measure(what: string, { source, items }: Recorded) {
  const place = await freshPlaceOf(servers);
  // Nothing here is written by others, or read by those that know it as it was.
  const machine = { compaction: { times: { restMs: 0, movedAfterMs: 0, graceMs: 0, graceMsMin: 0, arrivalMs: 0 } } };
  const handler = await openHandler(servers, place, { machine });
  const { store } = handler;
  const groups = Map.groupBy(items, ({ group }) => group);
  for (const [group, ofGroup] of groups) {
    for (let at = 0; at < ofGroup.length; at += Number(options.batch)) {
      await store.appendMany({ tenant, group }, ofGroup.slice(at, at + Number(options.batch)));
    }
  }
  const rawBytes = items.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const gzipBytes = items.reduce((sum, { bytes }) => sum + gzipSync(bytes).length, 0);
  const before = await bytesIn(handler, place);
  const cpu = process.cpuUsage();
  const reports = [];
  for (let runs = 0; runs < runsMax; runs++) {
    // Dates of signatures, by which everything is judged, are of whole seconds.
    await sleep(2_000);
    const report = await store.compact();
    reports.push(report);
    if (report.rows?.rowsWritten === 0 && report.rows.rowsRemoved === 0) break;
  }
  const { user, system } = process.cpuUsage(cpu);
  const after = await bytesIn(handler, place);
  const { ratio } = await store.stats({ tenant });
  const written = sum([...after.objects].filter(([key]) => !before.objects.has(key)).map(([, bytes]) => bytes));
  const gets: number[] = [];
  for (const group of [...groups.keys()].slice(0, 32)) {
    const cold = await openHandler(servers, place);
    cold.meter.reset();
    for await (const { body } of cold.store.contents({ tenant, group }))
      if (body.length === 0) throw new Error("empty");
    gets.push(cold.meter.counts().requests["GetObject"] ?? 0);
    await cold.store.close();
  }
  await store.close();
  return {
    what,
    source,
    payloads: items.length,
    groups: groups.size,
    rawBytes,
    gzipEach: rawBytes / gzipBytes,
    stored: rawBytes / (before.rows + sum(before.objects.values())),
    ratio,
    /** Of raw bytes what new segments have, and rows beside them. */
    compacted: rawBytes / (after.rows + written),
    /** Of the table, which keeps covered rows for their grace. */
    rowsBytes: after.rows,
    segmentBytes: written,
    runs: reports.map(({ payloads, rows }) => ({
      payloads,
      rowsWritten: rows?.rowsWritten,
      rowsRemoved: rows?.rowsRemoved,
    })),
    cpuMs: (user + system) / 1000,
    getsOfAGroup: { median: median(gets), max: Math.max(...gets) },
  };
}

/** Segments by their keys, and the records of rows. */
async function bytesIn({ clients }: Handler, { bucket, table }: AwsPlace) {
  const objects = new Map<string, number>();
  const pages = paginateListObjectsV2({ client: clients.s3 }, { Bucket: bucket });
  for await (const { Contents = [] } of pages) {
    for (const { Key = "", Size = 0 } of Contents) objects.set(Key, Size);
  }
  let rows = 0;
  for await (const { Items = [] } of paginateScan({ client: clients.dynamo }, { TableName: table })) {
    for (const { pk, r } of Items) if (pk?.S?.startsWith(`${tenant}/`) === true) rows += r?.B?.length ?? 0;
  }
  return { objects, rows };
}

function sum(numbers: Iterable<number>): number {
  return Array.from(numbers).reduce((a, b) => a + b, 0);
}
