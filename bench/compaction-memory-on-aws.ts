import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { DynamoDBClient, type DynamoDBClientConfig } from "@aws-sdk/client-dynamodb";
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { openAws } from "../core/entries/aws.ts";
import type { AwsPlace } from "../test/support/aws/aws-under-test.ts";
import { type FaultyServers, freshPlaceOf, openHandler, startFaultyServers } from "../test/support/aws/handlers.ts";
import { peakBytes } from "../test/support/peak-bytes.ts";

/**
 * npm run bench:compaction-memory-on-aws
 *
 * How much memory a process of its own takes while it compacts on the S3 double and dynalite, above what it has when the store is
 * open: resident, and what is in use, by a collection every 15 ms. Three quarters of what was stored are deleted. Linux only.
 */
const tenant = "bench";
const times = { restMs: 0, movedAfterMs: 0, graceMs: 0, graceMsMin: 0, arrivalMs: 0 };

interface Told {
  readonly place: AwsPlace;
  readonly s3: S3ClientConfig;
  readonly dynamo: DynamoDBClientConfig;
}

const [told] = process.argv.slice(2);
if (told === undefined) await measureAll();
else await compact(JSON.parse(told) as Told);

async function measureAll(): Promise<void> {
  const servers = await startFaultyServers();
  try {
    for (const [groups, each, bytes] of [
      [30, 100, 20_000],
      [120, 100, 20_000],
      [12, 8, 4_000_000],
      [4, 3, 60_000_000],
    ] as const) {
      for (const flags of [[], ["--expose-gc"]]) {
        const told = JSON.stringify(await filled(servers, { groups, each, bytes }));
        const { stdout } = await promisify(execFile)(process.execPath, [...flags, import.meta.filename, told]);
        console.log(`${groups} groups of ${each} payloads of ${bytes} bytes: ${stdout.trim()}`);
      }
    }
  } finally {
    await servers.close();
  }
}

async function filled(
  servers: FaultyServers,
  { groups, each, bytes }: { readonly groups: number; readonly each: number; readonly bytes: number },
): Promise<Told> {
  const place = await freshPlaceOf(servers);
  const { store, clients } = await openHandler(servers, place);
  const batch = 4;
  const fill = async (group: string) => {
    const ids = Array.from({ length: each }, (_, i) => `${i}`);
    for (let at = 0; at < each; at += batch) {
      const items = ids.slice(at, at + batch).map((id) => ({ id, bytes: randomBytes(bytes) }));
      await store.appendMany({ tenant, group }, items);
    }
    for (const [i, id] of ids.entries()) if (i % batch !== 0) await store.delete({ tenant, group, id });
  };
  await Promise.all(Array.from({ length: groups }, (_, i) => fill(`g${i}`)));
  // Dates of signatures, by which everything is judged, are of whole seconds.
  await sleep(2_000);
  const endpointOf = async (endpoint: S3Client["config"]["endpoint"]) => {
    const at = await endpoint?.();
    if (!at) throw new Error("the client has no endpoint");
    return `${at.protocol}//${at.hostname}:${at.port}`;
  };
  const region = "us-east-1";
  return {
    place,
    s3: {
      endpoint: await endpointOf(clients.s3.config.endpoint),
      credentials: servers.s3.credentials,
      forcePathStyle: true,
      region,
    },
    dynamo: {
      endpoint: await endpointOf(clients.dynamo.config.endpoint),
      credentials: servers.dynamo.credentials,
      region,
    },
  };
}

async function compact({ place, s3, dynamo }: Told): Promise<void> {
  const clients = { s3: new S3Client(s3), dynamo: new DynamoDBClient(dynamo) };
  const store = await openAws({ ...place, clients }, { compaction: { times } });
  const openBytes = peakBytes("self");
  const before = bytesInUse();
  let inUse = 0;
  const collecting = globalThis.gc && setInterval(() => (inUse = Math.max(inUse, bytesInUse() - before)), 15);
  const { bytesIn, bytesOut } = await store.compact({});
  clearInterval(collecting);
  const above = Math.round((peakBytes("self") - openBytes) / 1e6);
  const used = collecting ? `, in use ${Math.round(inUse / 1e6)} MB` : "";
  console.log(`${above} MB above that of the open store${used}; ${bytesIn} bytes read, ${bytesOut} written`);
  clients.s3.destroy();
  clients.dynamo.destroy();
}

function bytesInUse(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
