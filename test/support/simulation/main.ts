import { parseArgs } from "node:util";
import type { Bug } from "./bug.ts";
import { bugs, rareBugs } from "./bugs.ts";
import { runSchedule } from "./schedule.ts";

/**
 * npm run simulate -- --seed N [--count N] [--bug NAME]
 *
 * Runs schedules from a seed on; one alone is told step by step. Ends with 1 on a violation.
 */
const { values: options } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "1" },
    bug: { type: "string" },
  },
});
const [firstSeed, count] = [Number(options.seed), Number(options.count)];
const bug = bugNamed(options.bug);
const started = performance.now();
const totals = { calls: 0, unknown: 0, events: 0, removed: 0, written: 0, swept: 0, closed: 0 };
let broken = 0;
for (let seed = firstSeed; seed < firstSeed + count; seed++) {
  const report = await runSchedule(seed, { tells: count === 1, ...(bug ? { bug } : {}) });
  for (const line of report.story) console.log(line);
  for (const violation of report.violations) console.log(`seed ${seed}: ${violation}`);
  if (report.violations.length > 0) broken += 1;
  for (const name of ["calls", "unknown", "events", "removed", "written", "swept", "closed"] as const)
    totals[name] += report[name];
}
const ms = (performance.now() - started) / count;
console.log(`${count} schedules, ${broken} broken, ${ms.toFixed(2)} ms each; ${JSON.stringify(totals)}`);
if (broken > 0) process.exitCode = 1;

function bugNamed(name: string | undefined): Bug | undefined {
  const all: Readonly<Record<string, Bug>> = { ...bugs, ...rareBugs };
  if (name === undefined || name in all) return name === undefined ? undefined : all[name];
  throw new Error(`--bug: there is no ${JSON.stringify(name)}, only\n${Object.keys(all).join("\n")}`);
}
