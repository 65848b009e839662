import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Fault } from "../test/support/aws/faults.ts";
import { freshPlaceOf, openHandler, startFaultyServers } from "../test/support/aws/handlers.ts";
import { Histories } from "../test/support/aws/histories.ts";
import { drawOperation, type Operation, runOperation } from "../test/support/aws/operations.ts";
import { planFault } from "../test/support/aws/random-faults.ts";
import { SeededRandom } from "./agent-trace-random.ts";
import { Crew } from "./chaos/crew.ts";
import { thisMachine, thisVersion } from "./machine.ts";

/**
 * npm run bench:chaos -- --minutes M --handlers H --seed S --no-record
 *
 * Handler processes write and read a few groups on S3 and DynamoDB at once, while requests fail, are lost and arrive late, and
 * while processes are killed and frozen. After each round it is looked whether what was answered can be put in an order: what
 * was acknowledged is readable, what was deleted stays deleted, what has one creator has one.
 */
const { values: options } = parseArgs({
  allowNegative: true,
  options: {
    minutes: { type: "string", default: "10" },
    handlers: { type: "string", default: "6" },
    seed: { type: "string", default: "1" },
    record: { type: "boolean", default: true },
  },
});

const roundMs = 10_000;
const ids = 8;
const endMs = performance.now() + Number(options.minutes) * 60_000;
const random = new SeededRandom(Number(options.seed));
const servers = await startFaultyServers();
const place = await freshPlaceOf(servers);
const { store: checker } = await openHandler(servers, place);

const figures = { rounds: 0, calls: 0, unknown: 0, kills: 0, freezes: 0, faults: 0, requests: 0 };
const broken: string[] = [];
let histories = new Histories();
let groups: readonly string[] = [];
let sent: Operation[] = [];

const crew = new Crew(Number(options.handlers), handlerTask, {
  next() {
    if (groups.length === 0) return undefined;
    const again = random.chance(0.15) ? sent.at(-1) : undefined;
    const operation = again ?? drawOperation(random, { groups, ids }, `${figures.rounds}.${figures.calls}`);
    if (operation.key !== undefined) sent = [operation];
    figures.calls += 1;
    return operation;
  },
  began: (operation, startedMs) => histories.began(operation, startedMs),
  ended(operation, startedMs, endedMs, answer) {
    if (answer === undefined) figures.unknown += 1;
    histories.ended(operation, startedMs, endedMs, answer);
  },
});

while (performance.now() < endMs && broken.length === 0) {
  figures.rounds += 1;
  histories = new Histories();
  sent = [];
  groups = Array.from({ length: 6 }, (_, i) => `round-${figures.rounds}-${i}`);
  crew.assign();
  await mischief(performance.now() + Math.min(roundMs, endMs - performance.now()));

  groups = [];
  while (crew.busy > 0) await sleep(10);
  for (const { group, id } of histories.names()) {
    const operation: Operation = { kind: "read", group, ids: [id], value: "" };
    const startedMs = performance.now();
    const answer = await runOperation(checker, operation);
    histories.ended(operation, startedMs, performance.now(), answer);
  }
  broken.push(...histories.broken(), ...crew.broken);
  tell();
}
await crew.dismiss();
const { faults, unreferenced } = await checker.verify();
broken.push(...faults.map((fault) => JSON.stringify(fault)));
await servers.close();

const outcome = { ...figures, failures: crew.failures, unreferenced, broken: broken.length };
console.log(JSON.stringify(outcome, undefined, 2));
for (const what of broken.slice(0, 5)) console.error(`\nBROKEN ${what}`);
if (options.record) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const machine = thisMachine();
  const file = path.join(root, "bench/records", machine.name, "chaos.json");
  const { minutes, handlers, seed } = options;
  const asked = { minutes: Number(minutes), handlers: Number(handlers), seed: Number(seed) };
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
    if (random.chance(0.015)) {
      crew.kill(random);
      figures.kills += 1;
    }
    if (random.chance(0.03)) {
      crew.freeze(random, random.between(50, 3000));
      figures.freezes += 1;
    }
    figures.requests += servers.s3.log.count() + servers.dynamo.log.count();
    servers.s3.log.clear();
    servers.dynamo.log.clear();
  }
  for (const fault of planned) {
    fault.remove();
    fault.release();
  }
}

function handlerTask(n: number) {
  const of = ({ url, credentials }: typeof servers.s3 | typeof servers.dynamo) => ({ endpoint: url, credentials });
  return { ...place, s3: of(servers.s3), dynamo: of(servers.dynamo), maxAttempts: n % 3 === 0 ? 1 : 3 };
}

function tell(): void {
  const line = `round ${figures.rounds}: ${figures.calls} calls, ${figures.unknown} unknown, ${figures.kills} kills, ${broken.length} broken`;
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
}
