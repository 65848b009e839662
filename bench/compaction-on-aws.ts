import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { paginateScan } from "@aws-sdk/client-dynamodb";
import { paginateListObjectsV2 } from "@aws-sdk/client-s3";
import type { CompactOptions } from "../core/compaction/compaction.ts";
import { type AwsPlace } from "../test/support/aws/aws-under-test.ts";
import { freshPlaceOf, type Handler, openHandler, startFaultyServers } from "../test/support/aws/handlers.ts";
import { thisMachine, thisVersion } from "./machine.ts";
import { type Recorded, recorded } from "./recorded.ts";
import { median } from "./spread.ts";

/**
 * npm run bench:compaction-on-aws -- --batch N --no-record
 *
 * How much smaller compaction makes the recorded messages and calls of agents on S3 and DynamoDB, or made-up ones where there are
 * none: on the S3 double and dynalite, in commits of `--batch` payloads of a group each, compacted until nothing is left to do; with
 * blocks that rest on bases, and without. Beside it gzip of each payload alone, and the GETs that a cold handler reads a group with.
 */
const { values: options } = parseArgs({
  allowNegative: true,
  options: { batch: { type: "string", default: "1" }, record: { type: "boolean", default: true } },
});
const tenant = "bench";

/** Joining, sweeping, and one that has nothing to do; and as many more. */
const runsMax = 6;

/** Groups that are read by a handler of their own each. */
const groupsRead = 32;

const root = path.resolve(import.meta.dirname, "..");
const servers = await startFaultyServers();
try {
  const measured = [];
  for (const [what, corpus] of [
    ["messages", "airline-messages"],
    ["calls with their history", "airline-llm-calls"],
  ] as const) {
    const { source, items } = recorded(corpus);
    const rawBytes = sum(items.map(({ bytes }) => bytes.length));
    const gzipEach = rawBytes / sum(items.map(({ bytes }) => gzipSync(bytes).length));
    const withBases = await measure(items, rawBytes, {});
    const withoutBases = await measure(items, rawBytes, { baseBytes: 0 });
    measured.push({ what, source, payloads: items.length, rawBytes, gzipEach, withBases, withoutBases });
  }
  console.log(JSON.stringify(measured, null, 2));
  if (options.record) {
    const machine = thisMachine();
    const folder = path.join(import.meta.dirname, "records", machine.name);
    mkdirSync(folder, { recursive: true });
    const record = { date: new Date().toISOString(), version: thisVersion(root), machine, measured };
    writeFileSync(path.join(folder, "compaction-on-aws.json"), `${JSON.stringify(record, null, 2)}\n`);
  }
} finally {
  await servers.close();
}

async function measure(items: Recorded["items"], rawBytes: number, rules: CompactOptions["rules"]) {
  const place = await freshPlaceOf(servers);
  // Nothing here is written by others, or read by those that know it as it was.
  const times = { restMs: 0, movedAfterMs: 0, graceMs: 0, graceMsMin: 0, arrivalMs: 0 };
  const handler = await openHandler(servers, place, { machine: { compaction: { times } } });
  const { store } = handler;
  const groups = Map.groupBy(items, ({ group }) => group);
  const batch = Number(options.batch);
  for (const [group, ofGroup] of groups) {
    for (let at = 0; at < ofGroup.length; at += batch) {
      await store.appendMany({ tenant, group }, ofGroup.slice(at, at + batch));
    }
  }
  const stored = await store.stats({ tenant });
  const before = await bytesIn(handler, place);
  const cpu = process.cpuUsage();
  for (let runs = 0; runs < runsMax; runs++) {
    // Dates of signatures, by which everything is judged, are of whole seconds.
    await sleep(2_000);
    const { rows } = await store.compact({ rules });
    if (rows?.rowsWritten === 0 && rows.rowsRemoved === 0) break;
  }
  const { user, system } = process.cpuUsage(cpu);
  const compacted = await store.stats({ tenant });
  const after = await bytesIn(handler, place);
  const written = sum([...after.objects].filter(([key]) => !before.objects.has(key)).map(([, bytes]) => bytes));
  const gets: number[] = [];
  for (const group of [...groups.keys()].slice(0, groupsRead)) gets.push(await getsOf(place, group));
  await store.close();
  return {
    /** Bytes of raw over bytes of payloads in their blocks. */
    stored: stored.ratio,
    compacted: compacted.ratio,
    /** … over all that rows and new segments have: pages, names and footers too. */
    everything: rawBytes / (after.rows + written),
    rowBytes: after.rows,
    segmentBytes: written,
    /** Of servers and store, which are one process here. */
    cpuMs: (user + system) / 1000,
    getsOfAGroup: { median: median(gets), max: Math.max(...gets) },
  };
}

/** GETs by which a handler that has just begun reads a whole group. */
async function getsOf(place: AwsPlace, group: string): Promise<number> {
  const { store, meter } = await openHandler(servers, place);
  meter.reset();
  for await (const { body } of store.contents({ tenant, group })) {
    if (body.length === 0) throw new Error(`an empty payload in ${group}`);
  }
  await store.close();
  return meter.counts().requests["GetObject"] ?? 0;
}

/** Segments by their keys, and the records of rows. */
async function bytesIn({ clients }: Handler, { bucket, table }: AwsPlace) {
  const objects = new Map<string, number>();
  for await (const { Contents = [] } of paginateListObjectsV2({ client: clients.s3 }, { Bucket: bucket })) {
    for (const { Key = "", Size = 0 } of Contents) objects.set(Key, Size);
  }
  let rows = 0;
  for await (const { Items = [] } of paginateScan({ client: clients.dynamo }, { TableName: table })) {
    for (const { pk, r } of Items) if (pk?.S?.startsWith(`${tenant}/`) === true) rows += r?.B?.length ?? 0;
  }
  return { objects, rows };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
