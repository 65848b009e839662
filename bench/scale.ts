import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { thisMachine, thisVersion, type Machine } from "./machine.ts";
import type { ScalePart, ScaleResult } from "./measures/scale/main.ts";
import { installPeers } from "./peers/install.ts";
import { scaleChart } from "./scale-chart.ts";
import { scaleTable } from "./scale-report.ts";

/**
 * What the index on disk costs alone, without payloads, as its keys grow: `npm run bench:scale -- --keys 1000000,10000000`.
 * The parts that do not grow, or not with the index on disk, are measured up to so many keys.
 */
const memoryKeysMax = 1_000_000;
const walkedMax = 10_000_000;

const root = path.resolve(import.meta.dirname, "..");
const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "1000000,10000000" },
    directory: { type: "string", default: path.join(import.meta.dirname, "data") },
    record: { type: "boolean", default: true },
  },
  allowNegative: true,
});

const results: Partial<ScaleResult>[] = [];
for (const keys of values.keys.split(",").map(Number)) {
  const directory = path.join(values.directory, `scale-${keys}`);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  let result: Partial<ScaleResult> = { keys };
  try {
    for (const part of ["build", "ask", "divide", "churn"] as const)
      result = { ...result, ...(await measure(part, directory, keys)) };
    if (keys <= memoryKeysMax) result = { ...result, ...(await measure("memory", directory, keys)) };
    if (keys <= walkedMax) result = { ...result, ...(await measure("walk", path.join(directory, "walk"), keys)) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  results.push(result);
  console.table(Object.fromEntries(Object.entries(result).map(([name, value]) => [name, rounded(value)])));
}
const machine = thisMachine();
if (values.record) {
  const folder = path.join(import.meta.dirname, "records", machine.name);
  const date = new Date().toISOString().slice(0, 10);
  mkdirSync(folder, { recursive: true });
  const record = { date, version: thisVersion(root), machine, scale: results };
  const file = path.join(folder, `scale-${date}.json`);
  writeFileSync(file, `${JSON.stringify(record, null, 2)}\n`);
  writeTable(results, date, machine, await drawn(results));
  console.log(`written: ${path.relative(root, file)}, docs/performance.md`);
}

/** The chart of a record of several sizes, written and named in Markdown. What was measured is kept also where nothing draws it. */
async function drawn(measured: readonly Partial<ScaleResult>[]): Promise<string> {
  if (measured.length < 2) return "";
  try {
    installPeers();
    const chart = await scaleChart(measured);
    if (!chart) return "";
    mkdirSync(path.join(root, "docs/charts"), { recursive: true });
    writeFileSync(path.join(root, "docs/charts", chart.file), `${chart.svg}\n`);
    return `![${chart.alt}](charts/${chart.file})\n\n`;
  } catch (error) {
    console.error(`no chart was drawn: ${String(error)}`);
    return "";
  }
}

/** What is between the markers in docs/performance.md is written here, never by hand. */
function writeTable(
  measured: readonly Partial<ScaleResult>[],
  date: string,
  { cpu, cores, node }: Machine,
  chart: string,
): void {
  const docs = path.join(root, "docs/performance.md");
  const markers = { begin: "<!-- scale: begin -->", end: "<!-- scale: end -->" };
  const [before, rest] = readFileSync(docs, "utf8").split(markers.begin);
  const after = rest?.split(markers.end)[1];
  if (before === undefined || after === undefined) throw new Error("docs/performance.md has lost its markers");
  const gapMs = Math.max(...measured.map(({ preemptedMs = 0 }) => preemptedMs));
  const busy =
    gapMs > 5 ? ` Others used the cores meanwhile: a loop that does nothing was held for ${Math.round(gapMs)} ms.` : "";
  const text = `${chart}${date}, ${cpu}, ${cores} cores, Node ${node}.${busy}\n\n${scaleTable(measured)}`;
  writeFileSync(docs, `${before}${markers.begin}\n\n${text}\n\n${markers.end}${after}`);
  execFileSync(path.join(root, "node_modules/.bin/oxfmt"), [docs], { cwd: root });
}

/** Each part has a process of its own: what opening takes is not hidden by what building left in memory. */
async function measure(part: ScalePart, directory: string, keys: number): Promise<Partial<ScaleResult>> {
  const worker = path.join(import.meta.dirname, "measures", "scale", "main.ts");
  const start = performance.now();
  const child = spawn(process.execPath, ["--expose-gc", worker, part, directory, String(keys)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (some: string) => (text += some));
  const [status] = (await once(child, "close")) as [number | null];
  if (status !== 0) throw new Error(`measuring ${part} of ${keys} keys ended with ${status ?? "a signal"}`);
  process.stderr.write(`${part} ${keys.toLocaleString("en")}: ${((performance.now() - start) / 1000).toFixed(0)} s\n`);
  return JSON.parse(text) as Partial<ScaleResult>;
}

function rounded(value: unknown): unknown {
  return typeof value === "number" ? Number(value.toPrecision(4)) : value;
}
