import { parseArgs } from "node:util";
import type { Bug } from "./bug.ts";
import { bugs, rareBugs } from "./bugs.ts";
import { lapsingBugs, rareLapsingBugs } from "./lapsing-bugs.ts";
import { runSchedule } from "./schedule.ts";
import { runSchedules } from "./schedules.ts";

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
const [seed, count] = [Number(options.seed), Number(options.count)];
const bug = bugNamed(options.bug);
const bugged = bug ? { bug } : {};

if (count === 1) {
  const { story, violations } = await runSchedule(seed, { tells: true, ...bugged });
  for (const line of story) console.log(line);
  for (const violation of violations) console.log(`seed ${seed}: ${violation}`);
  if (violations.length > 0) process.exitCode = 1;
} else {
  const [startedMs, startedCpu] = [performance.now(), process.cpuUsage()];
  const { violations, ...totals } = await runSchedules(seed, count, bugged);
  const cpu = process.cpuUsage(startedCpu);
  const each = (ms: number) => (ms / count).toFixed(2);
  for (const violation of violations) console.log(`seed ${violation.seed}: ${violation.what}`);
  const broken = new Set(violations.map((violation) => violation.seed)).size;
  const times = `${each(performance.now() - startedMs)} ms each, ${each((cpu.user + cpu.system) / 1000)} ms of CPU`;
  console.log(`${count} schedules, ${broken} broken, ${times}; ${JSON.stringify(totals)}`);
  if (broken > 0) process.exitCode = 1;
}

function bugNamed(name: string | undefined): Bug | undefined {
  const all: Readonly<Record<string, Bug>> = { ...bugs, ...rareBugs, ...lapsingBugs, ...rareLapsingBugs };
  if (name === undefined || name in all) return name === undefined ? undefined : all[name];
  throw new Error(`--bug: there is no ${JSON.stringify(name)}, only\n${Object.keys(all).join("\n")}`);
}
