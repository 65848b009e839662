import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { execFileSync } from "node:child_process";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { gzipSync, zstdCompress, zstdCompressSync } from "node:zlib";
import { openDisk } from "../core/entries/disk.ts";
import { limits } from "../core/limits.ts";
import { agentTraces } from "./agent-traces.ts";
import { SeededRandom } from "./agent-trace-random.ts";
import { bytesOf, type Recorded, recorded } from "./recorded.ts";
import { thisMachine, thisVersion } from "./machine.ts";
import { latency, median, type Latency } from "./spread.ts";

/**
 * npm run bench:compaction -- --payloads N --rounds N --only-callers --no-record
 *
 * What compaction does to callers, and to bytes. A folder is filled and half of it deleted; then appends and reads are timed
 * while nothing else goes on, while it is compacted, and while nothing else goes on once more; so in each round, with a folder of its
 * own, and with another that is compacted without rests (`restMs: 0`). Beside these stands a thread pool that compresses all the time, and
 * nothing else: what two cores allow. The answer is the median of the rounds. A process of its own tells how much memory it takes. Then
 * the recorded messages and calls of agents, or made-up ones where there are none, and short spans, are stored one by one and
 * compacted, beside gzip and zstd of each payload alone.
 */
const { values: options } = parseArgs({
  allowNegative: true,
  options: {
    payloads: { type: "string", default: "40000" },
    rounds: { type: "string", default: "3" },
    "only-callers": { type: "boolean", default: false },
    record: { type: "boolean", default: true },
  },
});
const payloads = Number(options.payloads);
const rounds = Number(options.rounds);
const root = path.resolve(import.meta.dirname, "..");
const tenant = "bench";
const encoder = new TextEncoder();
const zstdInPool = promisify(zstdCompress);
/** Some thousands of calls: their 99th percentile is that of dozens. */
const idleMs = 5_000;

interface Calls {
  readonly append: Timed;
  readonly read: Timed;
  /** The longest the event loop was held up, and 99 % of its turns, in milliseconds. */
  readonly stallMaxMs: number;
  readonly stallP99Ms: number;
}

/** Times of single calls, in µs, and how many there were. */
type Timed = Latency & { readonly calls: number };

interface Round extends Compacted {
  /** The same where compaction does not rest beside callers. */
  readonly withoutRests: Pick<Compacted, "compacting" | "seconds">;
  /** Beside blocks that are compressed in the thread pool, one after the other. */
  readonly zstdAlone: Calls;
}

interface Compacted {
  readonly idle: readonly [Calls, Calls];
  readonly compacting: Calls;
  /** How long it took. */
  readonly seconds: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly amplification: number;
}

interface Foreground {
  readonly payloads: number;
  readonly rounds: readonly Round[];
  /** Medians of the rounds. */
  readonly idle: readonly [Calls, Calls];
  readonly compacting: Calls;
  readonly withoutRests: Calls;
  readonly zstdAlone: Calls;
  readonly seconds: number;
  readonly secondsWithoutRests: number;
  /** Medians of what a round's p99 while it compacts is of the mean of its two idle ones. */
  readonly appendP99OfIdle: number;
  readonly readP99OfIdle: number;
}

const foreground = await measureForeground();
if (options["only-callers"]) {
  for (const round of foreground.rounds)
    console.log(`round: ${told({ ...round, withoutRests: round.withoutRests.compacting })}`);
  console.log(`median: ${told(foreground)}`);
  const { appendP99OfIdle, readP99OfIdle, seconds, secondsWithoutRests } = foreground;
  console.log(`took ${seconds.toFixed(1)} s, without rests ${secondsWithoutRests.toFixed(1)} s`);
  console.log(`p99 of idle: append ${appendP99OfIdle.toFixed(2)}, read ${readP99OfIdle.toFixed(2)}`);
} else await measureTheRest();

async function measureTheRest(): Promise<void> {
  const memory = await measureMemory();
  const sizes = [
    measureSize("messages", recorded("airline-messages")),
    measureSize("calls with their history", recorded("airline-llm-calls")),
    measureSize("spans of 300 bytes, each alone", { source: "made up", items: [...spans(6_000)] }),
  ];
  const compression = await Promise.all(sizes);
  console.log(JSON.stringify({ foreground, memory, compression }, null, 2));
  if (!options.record) return;
  const machine = thisMachine();
  const folder = path.join(import.meta.dirname, "records", machine.name);
  mkdirSync(folder, { recursive: true });
  const version = thisVersion(root);
  const record = { date: new Date().toISOString(), version, machine, foreground, memory, compression };
  writeFileSync(path.join(folder, "compaction.json"), `${JSON.stringify(record, null, 2)}\n`);
}

async function measureForeground(): Promise<Foreground> {
  const measured: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    const measuredRound = await measureRound(round, {});
    const { compacting, seconds } = await measureRound(round, { restMs: 0 });
    measured.push({ ...measuredRound, withoutRests: { compacting, seconds }, zstdAlone: await measureZstdAlone() });
  }
  const medianOf = (of: (round: Round) => Calls): Calls => {
    const all = measured.map(of);
    const each = (value: (calls: Calls) => number) => median(all.map(value));
    const timed = (what: "append" | "read"): Timed => ({
      p50: each((calls) => calls[what].p50),
      p99: each((calls) => calls[what].p99),
      p999: each((calls) => calls[what].p999),
      calls: each((calls) => calls[what].calls),
    });
    const stallMaxMs = each((calls) => calls.stallMaxMs);
    return { append: timed("append"), read: timed("read"), stallMaxMs, stallP99Ms: each((calls) => calls.stallP99Ms) };
  };
  const ofIdle = (what: "append" | "read") =>
    median(measured.map(({ idle: [a, b], compacting }) => (2 * compacting[what].p99) / (a[what].p99 + b[what].p99)));
  return {
    payloads,
    rounds: measured,
    idle: [medianOf(({ idle }) => idle[0]), medianOf(({ idle }) => idle[1])],
    compacting: medianOf(({ compacting }) => compacting),
    withoutRests: medianOf(({ withoutRests }) => withoutRests.compacting),
    zstdAlone: medianOf(({ zstdAlone }) => zstdAlone),
    seconds: median(measured.map(({ seconds }) => seconds)),
    secondsWithoutRests: median(measured.map(({ withoutRests }) => withoutRests.seconds)),
    appendP99OfIdle: ofIdle("append"),
    readP99OfIdle: ofIdle("read"),
  };
}

async function measureRound(round: number, rules: { readonly restMs?: number }): Promise<Compacted> {
  const directory = mkdtempSync(path.join(tmpdir(), "paylode-bench-compaction-"));
  const segmentBytesMax = 8_388_608;
  try {
    // No more than the filling: nobody waits for its syncs.
    const filling = await openDisk({ directory, segmentBytesMax, durability: "fast" });
    const keys: { readonly group: string; readonly id: string }[] = [];
    const lines = bytesOf(agentTraces({ seed: 1 + round, traces: payloads / 20 }));
    for (const { group, id, bytes } of lines.slice(0, payloads)) {
      keys.push({ group, id });
      await filling.append({ tenant, group, id }, bytes);
    }
    const alive = keys.filter((_, i) => i % 2 === 0);
    for (const [i, key] of keys.entries()) if (i % 2 === 1) await filling.delete({ tenant, ...key });
    await filling.close();
    const store = await openDisk({ directory, segmentBytesMax });
    const bytesBefore = bytesIn(directory);
    let freed = 0;
    let written = 0;
    let seconds = 0;
    const before = await calls(store, alive, async () => sleep(idleMs));
    const compacting = await calls(store, alive, async () => {
      const start = performance.now();
      const report = await store.compact({ graceMs: 0, rules });
      seconds = (performance.now() - start) / 1000;
      freed += report.freedBytes;
      written += report.bytesOut;
    });
    const after = await calls(store, alive, async () => sleep(idleMs));
    const bytesAfter = bytesIn(directory);
    await store.close();
    const amplification = written / Math.max(1, freed - written);
    return { idle: [before, after], compacting, seconds, bytesBefore, bytesAfter, amplification };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measureZstdAlone(): Promise<Calls> {
  const directory = mkdtempSync(path.join(tmpdir(), "paylode-bench-compaction-"));
  try {
    const store = await openDisk({ directory });
    const lines = bytesOf(agentTraces({ seed: 1, traces: 50 }));
    for (const { group, id, bytes } of lines) await store.append({ tenant, group, id }, bytes);
    const block = Buffer.concat(lines.map(({ bytes }) => bytes)).subarray(0, limits.mergedBlockBytes);
    const measured = await calls(store, lines, async () => {
      for (const start = performance.now(); performance.now() - start < idleMs;) await zstdInPool(block);
    });
    await store.close();
    return measured;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function told({
  idle: [before, after],
  compacting,
  withoutRests,
  zstdAlone,
}: {
  readonly idle: readonly [Calls, Calls];
  readonly compacting: Calls;
  readonly withoutRests: Calls;
  readonly zstdAlone: Calls;
}): string {
  const line = ({ append, read, stallMaxMs, stallP99Ms }: Calls) =>
    `append ${append.p50.toFixed(0)}/${append.p99.toFixed(0)} µs of ${append.calls}, ` +
    `read ${read.p50.toFixed(0)}/${read.p99.toFixed(0)} µs, stall ${stallMaxMs.toFixed(1)}, p99 ${stallP99Ms.toFixed(1)} ms`;
  return [
    `idle ${line(before)}`,
    `compacting ${line(compacting)}`,
    `idle ${line(after)}`,
    `compacting without rests ${line(withoutRests)}`,
    `zstd alone ${line(zstdAlone)}`,
  ].join("\n  ");
}

/** One caller that appends and one that reads, each waiting for its answer, while `work` goes on. */
async function calls(
  store: Awaited<ReturnType<typeof openDisk>>,
  keys: readonly { readonly group: string; readonly id: string }[],
  work: () => Promise<unknown>,
): Promise<Calls> {
  const [appends, reads]: [number[], number[]] = [[], []];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let working = true;
  const timed = async (into: number[], call: (i: number) => Promise<unknown>) => {
    for (let i = 0; working; i++) {
      const start = performance.now();
      await call(i);
      into.push((performance.now() - start) * 1000);
      await sleep(1);
    }
  };
  delay.enable();
  const bytes = encoder.encode("a payload as long as a short answer. ".repeat(30));
  const both = [
    timed(appends, (i) => store.append({ tenant, group: `beside-${i % 50}`, id: `${performance.now()}` }, bytes)),
    timed(reads, (i) => store.get({ tenant, ...keys[(i * 7919) % keys.length]! })),
  ];
  await work();
  working = false;
  await Promise.all(both);
  delay.disable();
  return {
    append: { ...latency(Float64Array.from(appends)), calls: appends.length },
    read: { ...latency(Float64Array.from(reads)), calls: reads.length },
    stallMaxMs: delay.max / 1e6,
    stallP99Ms: delay.percentile(99) / 1e6,
  };
}

/** Spans as tracers export them: of their 300 bytes some 30 are drawn by chance, and the names come again. */
function* spans(count: number): Generator<Recorded["items"][number]> {
  const random = new SeededRandom(3);
  const hex = (digits: number) => Array.from({ length: digits }, () => random.between(0, 15).toString(16)).join("");
  let startMs = Date.UTC(2026, 0, 5);
  for (let i = 0; i < count; i++) {
    const tookMs = random.between(3, 4_000);
    startMs += random.between(1, 900);
    const span = {
      trace_id: hex(32),
      span_id: hex(16),
      name: random.pick(["llm.completion", "tool.search_flights", "tool.update_reservation", "retriever.query"]),
      kind: random.pick(["CLIENT", "INTERNAL"]),
      start_time_ms: startMs,
      duration_ms: tookMs,
      status: random.pick(["OK", "OK", "OK", "ERROR"]),
      attributes: {
        "gen_ai.request.model": random.pick(["atlas-large-2026-01", "corvid-2.5"]),
        "gen_ai.usage.input_tokens": random.between(200, 9_000),
        "gen_ai.usage.output_tokens": random.between(5, 700),
      },
    };
    yield { group: span.span_id, id: span.span_id, bytes: encoder.encode(JSON.stringify(span)) };
  }
}

interface Memory {
  readonly segmentBytes: number;
  /** Of the process, resident, when the folder was open, and at most. */
  readonly openBytes: number;
  readonly peakBytes: number;
}

/** What a process that compacts takes of memory, of segments of 16 MiB and as long as they get. Linux only. */
async function measureMemory(): Promise<readonly Memory[]> {
  if (process.platform !== "linux") return [];
  const program = path.join(root, "test/support/compacting-process.ts");
  const measured: Memory[] = [];
  for (const segmentBytesMax of [16_777_216, limits.segmentBytesMax]) {
    const directory = mkdtempSync(path.join(tmpdir(), "paylode-bench-compaction-"));
    try {
      const store = await openDisk({ directory, segmentBytesMax });
      let length = 0;
      for (let group = 0; length < 0.95 * segmentBytesMax; group++) {
        const items = Array.from({ length: 25 }, (_, i) => ({ id: `${group}-${i}`, bytes: randomBytes(20_000) }));
        await store.appendMany({ tenant, group: `g${group % 100}` }, items);
        ({ bytes: length } = await store.storage({ tenant }));
      }
      await store.close();
      const told = execFileSync(process.execPath, [program, directory], { encoding: "utf8" });
      const { bytesIn, openBytes, peakBytes } = JSON.parse(told) as Omit<Memory, "segmentBytes"> & { bytesIn: number };
      measured.push({ segmentBytes: bytesIn, openBytes, peakBytes });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return measured;
}

async function measureSize(
  what: string,
  { source, items }: Recorded,
): Promise<{
  readonly what: string;
  readonly source: string;
  readonly payloads: number;
  readonly rawBytes: number;
  readonly gzipEach: number;
  readonly zstdEach: number;
  readonly stored: number;
  readonly compacted: number;
  readonly folder: number;
}> {
  const directory = mkdtempSync(path.join(tmpdir(), "paylode-bench-compaction-"));
  try {
    const store = await openDisk({ directory });
    let rawBytes = 0;
    let gzipBytes = 0;
    let zstdBytes = 0;
    for (const { group, id, bytes } of items) {
      rawBytes += bytes.length;
      gzipBytes += gzipSync(bytes).length;
      zstdBytes += zstdCompressSync(bytes).length;
      await store.append({ tenant, group, id }, bytes);
    }
    const stored = (await store.stats({ tenant })).ratio;
    await store.compact({ graceMs: 0, mustGo: () => true });
    const compacted = (await store.stats({ tenant })).ratio;
    await store.close();
    const folder = rawBytes / bytesIn(directory);
    return {
      what,
      source,
      payloads: items.length,
      rawBytes,
      gzipEach: rawBytes / gzipBytes,
      zstdEach: rawBytes / zstdBytes,
      stored,
      compacted,
      folder,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Of segments. */
function bytesIn(directory: string): number {
  const folder = path.join(directory, "segments", tenant);
  return readdirSync(folder).reduce((sum, file) => sum + statSync(path.join(folder, file)).size, 0);
}
