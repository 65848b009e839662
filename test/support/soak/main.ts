import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { constants, setPriority } from "node:os";
import { parseArgs } from "node:util";
import type { ChunkResult, Violation } from "./part.ts";
import { soakParts } from "./parts.ts";
import { Progress, type PartProgress } from "./progress.ts";
import { writeRecord } from "./record.ts";
import type { ChunkRequest } from "./worker.ts";

/**
 * npm run soak -- --parts kill,fuzz --scale 0.01 --minutes 10 --workers 1 --nice 0 --record --fresh
 *
 * Runs every part, or those that are named, in chunks, two at a time, behind all else that the machine has to do, and keeps in
 * `.soak/` how far each is: stopped by its bound or by Ctrl-C, it goes on from there. It ends with 1 on a violation.
 *
 * Parts that are whole, and with --record also those that are not, take their places in docs/records/soak.json; what is
 * written there of the others stays.
 *
 * npm run soak -- --replay PART:SEED:COUNT runs that again and records nothing.
 */
const { values: options } = parseArgs({
  options: {
    parts: { type: "string" },
    scale: { type: "string", default: "1" },
    minutes: { type: "string", default: "120" },
    workers: { type: "string", default: "2" },
    nice: { type: "string", default: String(constants.priority.PRIORITY_LOW) },
    record: { type: "boolean", default: false },
    fresh: { type: "boolean", default: false },
    replay: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

/** A chunk takes seconds. One that takes so long does not end. */
const chunkMinutesMax = 15;

if (options.help) {
  console.log(
    "npm run soak -- [--parts A,B] [--scale 1] [--minutes 120] [--workers 2] [--nice 19] [--record] [--fresh]",
  );
  console.log("npm run soak -- --replay PART:SEED:COUNT");
  console.log(`parts: ${Object.keys(soakParts).join(", ")}`);
} else if (options.replay === undefined) await soak();
else await replay(options.replay);

interface Job {
  readonly name: string;
  readonly part: PartProgress;
  readonly firstSeed: number;
  readonly count: number;
}

async function soak(): Promise<void> {
  const scale = positive("scale", options.scale);
  const until = performance.now() + positive("minutes", options.minutes) * 60_000;
  const workers = Math.ceil(positive("workers", options.workers));
  // Workers, and what they start, have that of this process.
  setPriority(Number(options.nice));
  const chosen = options.parts?.split(",") ?? Object.keys(soakParts);
  const progress = Progress.load();
  const asked = chosen.map((name) => {
    const part = soakParts[name];
    if (!part) throw new Error(`--parts: there is no ${name}, only ${Object.keys(soakParts).join(", ")}`);
    return {
      name,
      chunk: part.chunk,
      runs: Math.ceil(part.runs * scale),
      part: progress.part(name, part, options.fresh),
    };
  });

  const underWay = new Set<Job>();
  let interrupted = false;
  process.once("SIGINT", () => (interrupted = true));
  const broken = () => asked.some(({ part }) => part.violations.length > 0);
  const stops = () => interrupted || broken() || performance.now() >= until || !progress.isCurrent;

  /** The part of which the smallest share is done, so that a soak that is stopped has something of each. */
  const next = (): Job | undefined => {
    const givenOut = ({ part }: (typeof asked)[number]): number =>
      [...underWay].reduce((total, job) => total + (job.part === part ? job.count : 0), part.runs);
    const [least] = asked
      .map((each) => ({ ...each, left: each.runs - givenOut(each), share: givenOut(each) / each.runs }))
      .filter(({ left }) => left > 0)
      .toSorted((a, b) => a.share - b.share);
    if (!least) return undefined;
    return { name: least.name, part: least.part, ...progress.take(least.part, Math.min(least.chunk, least.left)) };
  };

  const work = async (): Promise<void> => {
    let worker: ChildProcess | undefined;
    for (let job = stops() ? undefined : next(); job; job = stops() ? undefined : next()) {
      underWay.add(job);
      const started = performance.now();
      worker ??= startWorker();
      const result = await ask(worker, { part: job.name, firstSeed: job.firstSeed, count: job.count });
      if (worker.exitCode !== null || worker.signalCode !== null) worker = undefined;
      underWay.delete(job);
      // Children of a chunk may have run what nobody has hashed.
      if (!progress.isCurrent) break;
      progress.add(job.part, result, (performance.now() - started) / 1000);
      progress.save(underWay);
      tell(job, result);
    }
    worker?.disconnect();
  };
  await Promise.all(Array.from({ length: workers }, work));

  const done = asked.every(({ runs, part }) => part.runs >= runs);
  for (const { name, runs, part } of asked)
    console.log(`${name}: ${part.runs} of ${runs}, ${JSON.stringify(part.figures)}`);
  if (!progress.isCurrent) {
    console.error("core was changed while the soak ran: nothing is recorded, and these parts begin anew");
    process.exitCode = 1;
    return;
  }
  const recorded = asked.filter(({ name, part }) =>
    options.record ? part.runs > 0 : part.runs >= (soakParts[name]?.runs ?? Infinity),
  );
  const command = `npm run soak -- ${process.argv.slice(2).join(" ")}`.trim();
  if (recorded.length > 0) writeRecord(new Map(recorded.map(({ name, part }) => [name, part])), command);
  if (broken()) {
    for (const { name, part } of asked) for (const violation of part.violations) complain(name, violation);
    console.error("once it is mended: --fresh, unless core has changed, begins anew");
    process.exitCode = 1;
  } else if (!done) console.log("stopped before the end; the same command goes on from here");
}

async function replay(what: string): Promise<void> {
  const [name = "", firstSeed = "", count = ""] = what.split(":");
  const part = soakParts[name];
  if (!part) throw new Error(`--replay PART:SEED:COUNT; got ${JSON.stringify(what)}`);
  const { runs, figures, violations } = await part.run(positive("replay", firstSeed), positive("replay", count));
  console.log(`${name}: ${runs} runs, ${JSON.stringify(figures)}, ${violations.length} violations`);
  for (const violation of violations) complain(name, violation);
  if (violations.length > 0) process.exitCode = 1;
}

function startWorker(): ChildProcess {
  return fork(fileURLToPath(new URL("worker.ts", import.meta.url)), [], {
    execArgv: ["--disable-warning=ExperimentalWarning"],
    // Ctrl-C is for this process alone: a chunk that is under way ends.
    detached: true,
  });
}

/** A worker that dies or does not end has found something: the chunk counts as a violation. */
async function ask(worker: ChildProcess, request: ChunkRequest): Promise<ChunkResult> {
  const ended = new AbortController();
  const { signal } = ended;
  const timer = setTimeout(() => worker.kill("SIGKILL"), chunkMinutesMax * 60_000);
  try {
    worker.send(request);
    const answer = once(worker, "message", { signal }) as Promise<[ChunkResult]>;
    const exit = once(worker, "exit", { signal }).then(([code, killedBy]: unknown[]): [ChunkResult] => {
      const what = `the process ended with ${String(killedBy ?? code)}, or was killed after ${chunkMinutesMax} minutes`;
      return [{ runs: 0, figures: {}, violations: [{ what, firstSeed: request.firstSeed, count: request.count }] }];
    });
    const [result] = await Promise.race([answer, exit]);
    ended.abort();
    await Promise.allSettled([answer, exit]);
    return result;
  } finally {
    clearTimeout(timer);
  }
}

function tell({ name, part, firstSeed, count }: Job, { violations }: ChunkResult): void {
  console.error(
    `${name} ${firstSeed}–${firstSeed + count - 1}: ${violations.length} violations; ${part.runs} runs so far`,
  );
}

function complain(name: string, { what, firstSeed, count }: Violation): void {
  console.error(`\nviolation in ${name}: ${what}\nnpm run soak -- --replay ${name}:${firstSeed}:${count}`);
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new Error(`--${option} must be a number above 0; got ${JSON.stringify(text)}`);
}
