import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startDynalite } from "../test/support/aws/dynamo-server.ts";
import type { Fault } from "../test/support/aws/faults.ts";
import { cephClientConfig, startFaultyCeph } from "../test/support/aws/faulty-ceph.ts";
import { freshPlaceOf, openHandler } from "../test/support/aws/handlers.ts";
import { Histories } from "../test/support/aws/histories.ts";
import {
  drawErasure,
  drawOperation,
  type Operation,
  operationTenant,
  runOperation,
} from "../test/support/aws/operations.ts";
import { planFault } from "../test/support/aws/random-faults.ts";
import { startS3Double } from "../test/support/aws/s3-double.ts";
import { SeededRandom } from "./agent-trace-random.ts";
import { Compactors } from "./chaos/compactors.ts";
import { Crew } from "./chaos/crew.ts";
import { ErasedValues } from "./chaos/erased.ts";
import { SettledReads } from "./chaos/settled.ts";
import type { StoreTask } from "./chaos/store-task.ts";
import { callMsMax, chaosTimes } from "./chaos/times.ts";
import { thisMachine, thisVersion } from "./machine.ts";

/**
 * npm run bench:chaos -- --minutes M --handlers H --compactors C --seed S --s3 double|ceph --no-record
 *
 * Handler processes write, erase and read a few groups on S3 and DynamoDB at once, and others run the scheduled compaction again
 * and again, while requests fail, are lost and arrive late, and while processes are killed and frozen. After each round it is looked
 * whether what was answered can be put in an order: what was acknowledged is readable, what was deleted stays deleted, what has one
 * creator has one. A group is written for some rounds, so that rows are joined and removed while others are put. What is not written any
 * more is read again, byte for byte, while it is compacted. At the end compaction goes on until
 * the erasures are gone, and of what they took a byte is looked for in all objects and rows.
 *
 * No process lives longer than some seconds, so what compaction waits for is seconds too: bench/chaos/times.ts.
 */
const { values: options } = parseArgs({
  allowNegative: true,
  options: {
    minutes: { type: "string", default: "10" },
    handlers: { type: "string", default: "6" },
    compactors: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
    s3: { type: "string", default: "double" },
    record: { type: "boolean", default: true },
  },
});

const roundMs = 10_000;
/** A group is written for so many rounds: longer than rows rest, and what was joined is kept. */
const groupRounds = 6;
const ids = 8;
/** Compaction goes on for so long at the end, until all erasures are gone: some times what one takes. */
const goneMsMax = 300_000;
const endMs = performance.now() + Number(options.minutes) * 60_000;
const random = new SeededRandom(Number(options.seed));
const isCeph = options.s3 === "ceph";
const [s3, dynamo] = await Promise.all([isCeph ? startFaultyCeph() : startS3Double(), startDynalite()]);
const servers = { s3, dynamo };
const place = await freshPlaceOf(servers);
const checker = await openHandler(servers, place, { machine: { compaction: { times: chaosTimes } } });
const { store } = checker;

const figures = { rounds: 0, calls: 0, unknown: 0, faults: 0, requests: 0 };
const broken: string[] = [];
const settled = new SettledReads();
const erased = new ErasedValues();
let histories = new Histories();
/** What ids were found to have at the end of a round, by `<group>/<id>`, of groups that are written. */
const found = new Map<string, string>();
let written: readonly string[] = Array.from({ length: 6 }, (_, i) => `round-0-${i}`);
/** Those of them that may be written now. */
let groups: readonly string[] = [];
let sent: Operation[] = [];

const crew = new Crew(Number(options.handlers), storeTask, {
  next() {
    if (groups.length === 0) return undefined;
    const again = random.chance(0.15) ? sent.at(-1) : undefined;
    const draw = random.chance(0.01) ? drawErasure : drawOperation;
    const operation = again ?? draw(random, { groups, ids }, `v${figures.rounds}.${figures.calls}`);
    if (operation.key !== undefined) sent = [operation];
    figures.calls += 1;
    return operation;
  },
  began(operation, startedMs) {
    histories.began(operation, startedMs);
    erased.began(operation);
  },
  ended(operation, startedMs, endedMs, answer) {
    if (answer === undefined) figures.unknown += 1;
    histories.ended(operation, startedMs, endedMs, answer);
    erased.ended(operation, answer);
  },
});
const compactors = new Compactors(Number(options.compactors), (n) => ({
  ...storeTask(n),
  seed: Number(options.seed) * 1000 + n,
  // Every other holds its lease for no time: two are at work at once.
  leaseMs: n % 2 === 0 ? 0 : chaosTimes.leaseMs,
}));

while (performance.now() < endMs && broken.length === 0) {
  figures.rounds += 1;
  histories = new Histories(new Map(found));
  sent = [];
  written = written.map((group, i) => {
    const isOver = (figures.rounds + i) % groupRounds === 0 || erased.unanswered.has(group);
    if (!isOver) return group;
    settle(group);
    return `round-${figures.rounds}-${i}`;
  });
  groups = written;
  crew.assign();
  await mischief(performance.now() + Math.min(roundMs, endMs - performance.now()));

  groups = [];
  while (crew.busy > 0) {
    await sleep(10);
    killSlow();
  }
  // What killed processes had sent arrives.
  await sleep(500);
  await settled.verify(read, () => random.chance(0.1));
  for (const name of histories.names()) {
    const operation = reading(name);
    const startedMs = performance.now();
    const answer = await runOperation(store, operation);
    histories.ended(operation, startedMs, performance.now(), answer);
    found.set(`${name.group}/${name.id}`, String(answer));
  }
  broken.push(...histories.broken(), ...crew.broken, ...compactors.broken, ...settled.broken);
  tell();
}
await crew.processes.dismiss();
for (const group of written) settle(group);
await untilGone();
await compactors.processes.dismiss();
await settled.verify(read);
const erasures = await erased.survey(checker, place);
const { faults, unreferenced } = await store.verify();
broken.push(
  ...compactors.broken,
  ...settled.broken,
  ...erasures.traces,
  ...faults.map((fault) => JSON.stringify(fault)),
);
if (erasures.counts.open > 0) broken.push(`${erasures.counts.open} erasures are not gone: ${await openErasures()}`);
await Promise.all([s3.close(), dynamo.close()]);

const outcome = {
  ...figures,
  processes: { handlers: crew.processes.counts, compactors: compactors.processes.counts },
  failures: crew.failures,
  compaction: compactors.sums,
  erasures: erasures.counts,
  verified: settled.counts,
  unreferenced,
  broken: broken.length,
};
console.log(JSON.stringify(outcome, undefined, 2));
for (const what of broken.slice(0, 5)) console.error(`\nBROKEN ${what}`);
if (options.record) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const machine = thisMachine();
  const file = path.join(root, "bench/records", machine.name, "chaos.json");
  const asked = {
    minutes: Number(options.minutes),
    handlers: Number(options.handlers),
    compactors: Number(options.compactors),
    seed: Number(options.seed),
    s3: isCeph ? "ceph" : "double",
  };
  const record = { date: new Date().toISOString(), version: thisVersion(root), machine, asked, outcome };
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(record, undefined, 2)}\n`);
  console.error(`written: ${path.relative(root, file)}`);
}
process.exit(broken.length === 0 ? 0 : 1);

/** Plans faults, kills and freezes until a time. */
async function mischief(untilMs: number): Promise<void> {
  const planned: Fault[] = [];
  while (performance.now() < untilMs) {
    await sleep(random.between(20, 120));
    const fault = planFault(servers, place, random, 20);
    planned.push(fault);
    void fault.struck.then(() => (figures.faults += 1));
    if (random.chance(0.015)) crew.processes.kill(random);
    if (random.chance(0.03)) crew.processes.freeze(random, random.between(50, 3000));
    if (random.chance(0.01)) compactors.processes.kill(random);
    // Longer than a lease, now and then: another begins meanwhile.
    if (random.chance(0.02)) compactors.processes.freeze(random, random.between(50, 5000));
    killSlow();
    count();
  }
  for (const fault of planned) {
    fault.remove();
    fault.release();
  }
}

/** From now on nobody writes a group. */
function settle(group: string): void {
  for (const [name, value] of found) {
    if (!name.startsWith(`${group}/`)) continue;
    settled.add({ group, id: name.slice(group.length + 1) }, value, erased.unanswered.has(group));
    found.delete(name);
  }
}

function killSlow(): void {
  crew.processes.killSlow(callMsMax);
  compactors.processes.killSlow(callMsMax);
}

function count(): void {
  figures.requests += s3.log.count() + dynamo.log.count();
  s3.log.clear();
  dynamo.log.clear();
}

/** Compactors go on alone until nothing waits that is answered for: an erasure whose handler was killed is taken up a quarter of an hour later. */
async function untilGone(): Promise<void> {
  const giveUpMs = performance.now() + goneMsMax;
  while (performance.now() < giveUpMs && compactors.broken.length === 0) {
    const receipts = await store.erasures({ tenant: operationTenant });
    if (receipts.every(({ state }) => state === "gone" || state === "hiding")) break;
    await sleep(500);
    killSlow();
    count();
  }
}

async function openErasures(): Promise<string> {
  const receipts = await store.erasures({ tenant: operationTenant });
  return JSON.stringify(receipts.filter(({ state }) => state !== "gone" && state !== "hiding").slice(0, 3));
}

function reading({ group, id }: { readonly group: string; readonly id: string }): Operation {
  return { kind: "read", group, ids: [id], value: "" };
}

async function read(name: { readonly group: string; readonly id: string }): Promise<string> {
  return String(await runOperation(store, reading(name)));
}

function storeTask(n: number): StoreTask {
  const of = ({ url, credentials }: typeof s3 | typeof dynamo) => ({ endpoint: url, credentials });
  const s3Config = isCeph ? cephClientConfig : {};
  return { ...place, s3: of(s3), s3Config, dynamo: of(dynamo), maxAttempts: n % 3 === 0 ? 1 : 3 };
}

function tell(): void {
  const { runs, segmentsFreed } = compactors.sums;
  const done = `${figures.calls} calls, ${figures.unknown} unknown, ${crew.processes.counts.kills} kills, ${runs} compactions, ${segmentsFreed} segments freed`;
  const line = `round ${figures.rounds}: ${done}, ${broken.length} broken`;
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
}
