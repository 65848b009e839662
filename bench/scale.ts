import { spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { thisMachine, thisVersion } from "./machine.ts";
import type { ScalePart, ScaleResult } from "./measures/scale/main.ts";

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
  console.log(path.relative(root, file));
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
  const status = await new Promise((resolve) => child.once("close", resolve));
  if (status !== 0) throw new Error(`measuring ${part} of ${keys} keys ended with ${String(status)}`);
  process.stderr.write(`${part} ${keys.toLocaleString("en")}: ${((performance.now() - start) / 1000).toFixed(0)} s\n`);
  return JSON.parse(text) as Partial<ScaleResult>;
}

function rounded(value: unknown): unknown {
  return typeof value === "number" ? Number(value.toPrecision(4)) : value;
}
