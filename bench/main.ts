import { execFileSync, fork } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { charts } from "./charts.ts";
import type { Chart } from "./draw.ts";
import { codecWork, type CodecResult } from "./measures/codec.ts";
import { type KilledChoice, killedChoices, type KilledResult } from "./measures/killed.ts";
import { servers, type HttpResult } from "./measures/http.ts";
import { thisMachine, thisVersion } from "./machine.ts";
import { peers } from "./peers/all.ts";
import { installPeers } from "./peers/install.ts";
import type { BenchRecord, PeerRounds } from "./record.ts";
import { report } from "./report.ts";
import type { Results, Task } from "./worker.ts";
import { batchPayloads, Work } from "./work.ts";

/**
 * npm run bench -- --payloads N --rounds R --only PEER,… --directory D --no-record
 *
 * Each measure runs in a process of its own. The peers take turns within a round, so that a machine that slows down or
 * speeds up does it to all of them.
 */
const { values: options } = parseArgs({
  allowNegative: true,
  options: {
    payloads: { type: "string", default: "100000" },
    rounds: { type: "string", default: "3" },
    only: { type: "string" },
    directory: { type: "string", default: fileURLToPath(new URL("data", import.meta.url)) },
    record: { type: "boolean", default: true },
  },
});

/** What is between them in docs/performance.md is written here, never by hand. */
const markers = { begin: "<!-- bench: begin -->", end: "<!-- bench: end -->" };

const root = fileURLToPath(new URL("..", import.meta.url));
const payloads = wholeNumber("payloads", options.payloads, batchPayloads, 100_000_000);
const rounds = wholeNumber("rounds", options.rounds, 1, 99);
const directory = path.resolve(options.directory, "running");
const chosen = peers.filter(({ name }) => options.only === undefined || options.only.split(",").includes(name));

installPeers();
const started = performance.now();
const byPeer = new Map<string, PeerRounds>();
const missing: { name: string; reason: string }[] = [];
for (const kind of chosen) {
  try {
    await kind.load();
    byPeer.set(kind.name, { name: kind.name, durable: kind.durable, write: [], callers: [], open: [], read: [] });
  } catch (error) {
    missing.push({ name: kind.name, reason: String(error) });
  }
}

const codecPayloads = Math.min(payloads, 100 * batchPayloads);
const callersPayloads = Math.min(payloads, 400 * batchPayloads);
const httpPayloads = Math.min(payloads, 20_000);
const record: BenchRecord = {
  date: new Date().toISOString(),
  version: thisVersion(root),
  machine: thisMachine(),
  work: describeWork(payloads),
  rounds,
  peers: [...byPeer.values()],
  missing,
  rebuild: [],
  single: [],
  floor: [],
  codecs: codecWork(payloads, codecPayloads).map((work) => ({ ...work, rounds: [] })),
  killed: Object.keys(killedChoices).map((choice) => ({ choice: choice as KilledChoice, rounds: [] })),
  http: servers.map((server) => ({ server, rounds: [] })),
  seconds: 0,
};

for (let round = 1; round <= rounds; round++) {
  for (const peer of record.peers) {
    const task = { peer: peer.name, payloads, directory: fresh() };
    tell(round, peer.name);
    peer.write.push(await measure({ measure: "write", ...task }));
    peer.open.push(await measure({ measure: "open", ...task }));
    peer.read.push(await measure({ measure: "read", ...task }));
    if (peer.name === "paylode") record.rebuild.push(await measure({ measure: "rebuild", ...task }));
    // What compresses each payload alone, or is naive, would take long to say nothing new.
    if (peer.name.endsWith("zstd") || peer.write[0]?.payloads !== payloads) continue;
    peer.callers.push(await measure({ ...task, measure: "callers", payloads: callersPayloads, directory: fresh() }));
  }
  if (!byPeer.has("paylode")) continue;
  tell(round, "single appends");
  record.single.push(await measure({ measure: "single", directory: fresh(), payloads: codecPayloads }));
  tell(round, "floor");
  record.floor.push(await measure({ measure: "floor", directory: fresh(), payloads: codecPayloads }));
  for (const { choice, payloads: count, rounds: results } of record.codecs) {
    tell(round, `${choice}, ${count} payloads`);
    (results as CodecResult[]).push(await measure({ measure: "codec", choice, directory: fresh(), payloads: count }));
  }
  for (const { choice, rounds: results } of record.killed) {
    tell(round, `open after a kill: ${choice}`);
    (results as KilledResult[]).push(await measure({ measure: "killed", choice, directory: fresh() }));
  }
  for (const { server, rounds: results } of record.http) {
    tell(round, `http ${server}`);
    (results as HttpResult[]).push(
      await measure({ measure: "http", server, directory: fresh(), payloads: httpPayloads }),
    );
  }
}
rmSync(directory, { recursive: true, force: true });

const whole: BenchRecord = { ...record, seconds: (performance.now() - started) / 1000 };
const text = report(whole);
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
console.log(text);
if (options.record) keep(whole, text, await charts(whole).catch(withoutCharts));

/** Runs one measure in a fresh process. */
async function measure<T extends Task>(task: T): Promise<Results[T["measure"]]> {
  const worker = fork(fileURLToPath(new URL("worker.ts", import.meta.url)), [JSON.stringify(task)], {
    execArgv: ["--expose-gc", "--disable-warning=ExperimentalWarning"],
  });
  const { promise, resolve, reject } = Promise.withResolvers<Results[T["measure"]]>();
  let result: Results[T["measure"]] | undefined;
  worker.on("message", (message) => (result = message as Results[T["measure"]]));
  worker.on("error", reject);
  worker.on("exit", (code) => {
    if (code === 0 && result !== undefined) resolve(result);
    else reject(new Error(`${JSON.stringify(task)} ended with ${code}`));
  });
  return promise;
}

function fresh(): string {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** What was measured is kept also where nothing draws it. */
function withoutCharts(error: unknown): Chart[] {
  console.error(`no charts were drawn: ${String(error)}`);
  return [];
}

function describeWork(count: number): BenchRecord["work"] {
  const work = new Work(count);
  return {
    source: work.source,
    payloads: count,
    batchPayloads,
    rawBytes: work.rawBytes(),
    medianBytes: work.medianBytes(),
  };
}

/** Writes the record, its pictures, and both into docs/performance.md, as the formatter wants them. */
function keep(whole: BenchRecord, tables: string, pictures: readonly Chart[]): void {
  const recordFile = path.join(root, "bench/records", whole.machine.name, `${whole.date.slice(0, 10)}.json`);
  mkdirSync(path.dirname(recordFile), { recursive: true });
  writeFileSync(recordFile, `${JSON.stringify(whole, undefined, 2)}\n`);
  mkdirSync(path.join(root, "docs/charts"), { recursive: true });
  for (const { file, svg } of pictures) writeFileSync(path.join(root, "docs/charts", file), `${svg}\n`);
  const shown = pictures.map(({ file, alt }) => `![${alt}](charts/${file})\n\n`).join("");
  const docsFile = path.join(root, "docs/performance.md");
  const [before, rest] = readFileSync(docsFile, "utf8").split(markers.begin);
  const after = rest?.split(markers.end)[1];
  if (before === undefined || after === undefined) throw new Error("docs/performance.md has lost its markers");
  writeFileSync(docsFile, `${before}${markers.begin}\n\n${shown}${tables}\n${markers.end}${after}`);
  execFileSync(path.join(root, "node_modules/.bin/oxfmt"), [recordFile, docsFile], { cwd: root });
  console.error(`\nwritten: ${path.relative(root, recordFile)}, docs/performance.md`);
}

function tell(round: number, what: string): void {
  const line = `round ${round} of ${rounds}: ${what}`;
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
}

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw new Error(`--${name} must be a whole number of ${least}–${most}; got ${JSON.stringify(text)}`);
}
