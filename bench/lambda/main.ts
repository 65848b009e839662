import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { FunctionUrlEvent } from "../../functions/lambda-runtime.ts";
import { eventOf, responseOf } from "../../test/support/lambda/function-url.ts";
import { lambdaUnderTest } from "../../test/support/lambda/lambda-under-test.ts";
import { buildTask, type Sandbox, startSandbox } from "../../test/support/lambda/sandbox.ts";
import { thisMachine, thisVersion } from "../machine.ts";
import { median, spread } from "../spread.ts";

/**
 * npm run bench:lambda -- --spawns N --no-record
 *
 * How long a process of the function takes from its start to the end of its first answer, beside one on hono that says hello: the
 * bundles as they are deployed, run as Lambda runs them, taking turns. S3 and DynamoDB are doubles in this process, so what is
 * measured is the function's own work and theirs, and no network.
 */
const { values: options } = parseArgs({
  allowNegative: true,
  options: { spawns: { type: "string", default: "15" }, record: { type: "boolean", default: true } },
});
const spawns = Number(options.spawns);
if (!(Number.isSafeInteger(spawns) && spawns >= 1 && spawns <= 1000)) throw new Error("--spawns must be 1–1000");

interface First {
  readonly title: string;
  readonly start: () => Promise<Sandbox>;
  readonly event: () => FunctionUrlEvent;
  /** What it must answer with. */
  readonly status: number;
}

interface Figures {
  readonly title: string;
  /** From the spawn to the last byte, in milliseconds. */
  readonly wallMs: number[];
  /** Of the process, all of its threads, until then. */
  readonly cpuMs: number[];
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "paylode-bench-lambda-"));
const lambda = await lambdaUnderTest();
try {
  const hello = await buildTask(folder, "bench/lambda/hello.ts");
  const authorization = `Bearer ${await lambda.token("acme")}`;
  const target = "/v1/acme/groups/run-0/payloads/prompt";
  const storing = { method: "PUT", target, headers: { authorization }, body: new Uint8Array(2048).fill(1) };
  const stored = await responseOf(await (await lambda.start()).invoke(eventOf(storing)));
  if (stored.status !== 200) throw new Error(`nothing to get: ${await stored.text()}`);
  let puts = 0;
  const kinds: readonly First[] = [
    {
      title: "hono that says hello",
      start: () => startSandbox({ taskRoot: folder, environment: {} }),
      event: () => eventOf({ method: "GET", target: "/" }),
      status: 200,
    },
    {
      title: "paylode: GET /healthz",
      start: () => lambda.spawn(),
      event: () => eventOf({ method: "GET", target: "/healthz" }),
      status: 200,
    },
    {
      title: "paylode: GET of 2 KB with a key",
      start: () => lambda.spawn(),
      event: () => eventOf({ method: "GET", target, headers: { authorization } }),
      status: 200,
    },
    {
      title: "paylode: PUT of 2 KB with a key, committed",
      start: () => lambda.spawn(),
      event: () => {
        const target = `/v1/acme/groups/run-${(puts += 1)}/payloads/prompt`;
        return eventOf({ method: "PUT", target, headers: { authorization }, body: new Uint8Array(2048).fill(puts) });
      },
      status: 200,
    },
  ];
  const figures: readonly Figures[] = kinds.map(({ title }) => ({ title, wallMs: [], cpuMs: [] }));
  for (let round = 0; round < spawns; round++) {
    for (const [i, { start, event, status }] of kinds.entries()) {
      const startMs = performance.now();
      const sandbox = await start();
      const response = await responseOf(await sandbox.invoke(event()));
      figures[i]!.wallMs.push(performance.now() - startMs);
      figures[i]!.cpuMs.push(cpuMsOf(sandbox));
      if (response.status !== status)
        throw new Error(`${figures[i]!.title}: ${response.status} ${await response.text()}`);
      await sandbox.kill();
    }
  }
  const bundleBytes = { paylode: lambda.bundleBytes, hello: hello.bytes };
  console.log(report(figures));
  if (options.record) {
    const machine = thisMachine();
    const record = {
      date: new Date().toISOString(),
      version: thisVersion(root),
      machine,
      spawns,
      bundleBytes,
      figures,
    };
    const file = path.join(root, "bench/records", machine.name, `lambda-${record.date.slice(0, 10)}.json`);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(record, undefined, 2)}\n`);
    execFileSync(path.join(root, "node_modules/.bin/oxfmt"), [file], { cwd: root });
    console.log(`\nwritten: ${path.relative(root, file)}`);
  }
} finally {
  await lambda.close();
  rmSync(folder, { recursive: true, force: true });
}

function report(figures: readonly Figures[]): string {
  const [hello] = figures;
  const rows = figures.map(({ title, wallMs, cpuMs }) => {
    const ratio = (median(wallMs) / median(hello!.wallMs)).toFixed(2);
    const cpuRatio = (median(cpuMs) / median(hello!.cpuMs)).toFixed(2);
    const around = Math.round(spread(wallMs) * 50);
    return `| ${title} | ${median(wallMs).toFixed(0)} ±${around} % | ${ratio}× | ${median(cpuMs).toFixed(0)} | ${cpuRatio}× |`;
  });
  const head = [
    "| first answer after the spawn | ms | to hello | CPU ms | to hello |",
    "| --- | ---: | ---: | ---: | ---: |",
  ];
  return [...head, ...rows].join("\n");
}

/** Of all of its threads, as Linux's scheduler counts it, in nanoseconds. */
function cpuMsOf({ pid }: Sandbox): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const spent = threads.map((id) => Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, "utf8").split(" ")[0]));
  return spent.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e6;
}
