import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { spawnSync } from "node:child_process";
import { thisMachine, thisVersion } from "./machine.ts";
import type { ScaleResult } from "./measures/scale.ts";

/** What the index on disk costs alone, without payloads, as its keys grow: `npm run bench:scale -- --keys 1000000,10000000`. */
const root = path.resolve(import.meta.dirname, "..");
const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "1000000,10000000" },
    directory: { type: "string", default: path.join(import.meta.dirname, "data") },
    record: { type: "boolean", default: true },
  },
  allowNegative: true,
});

const results: ScaleResult[] = [];
for (const keys of values.keys.split(",").map(Number)) {
  const directory = path.join(values.directory, `scale-${keys}`);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  try {
    const built = measure<Partial<ScaleResult>>("build", directory, keys);
    const asked = measure<Partial<ScaleResult>>("ask", directory, keys);
    results.push({ ...built, ...asked } as ScaleResult);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  console.table(
    Object.fromEntries(Object.entries(results.at(-1) ?? {}).map(([name, value]) => [name, rounded(value)])),
  );
}
const machine = thisMachine();
if (values.record) {
  const folder = path.join(import.meta.dirname, "records", machine.name);
  const date = new Date().toISOString().slice(0, 10);
  mkdirSync(folder, { recursive: true });
  const record = { date, version: thisVersion(root), machine, scale: results };
  writeFileSync(path.join(folder, `scale-${date}.json`), `${JSON.stringify(record, null, 2)}\n`);
}

/** Each part has a process of its own: what opening takes is not hidden by what building left in memory. */
function measure<Result>(part: "build" | "ask", directory: string, keys: number): Result {
  const worker = path.join(import.meta.dirname, "measures", "scale.ts");
  const child = spawnSync(process.execPath, ["--expose-gc", worker, part, directory, String(keys)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (child.status !== 0) throw new Error(`measuring ${keys} keys ended with ${child.status}`);
  return JSON.parse(child.stdout) as Result;
}

function rounded(value: unknown): unknown {
  return typeof value === "number" ? Number(value.toPrecision(4)) : value;
}
