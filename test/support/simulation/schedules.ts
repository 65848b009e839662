import { setImmediate as turn } from "node:timers/promises";
import { runSchedule, type ScheduleOptions, type ScheduleReport } from "./schedule.ts";

/** What schedules did, in all: what they are compared by. */
export type ScheduleTotals = Record<(typeof counted)[number], number>;

/** What a stretch of seeds came to. */
export interface SchedulesReport extends Readonly<ScheduleTotals> {
  readonly violations: readonly { readonly seed: number; readonly what: string }[];
}

const counted = [
  "calls",
  "unknown",
  "events",
  "removed",
  "written",
  "swept",
  "closed",
  "erased",
  "found",
  "lapsed",
] as const satisfies readonly (keyof ScheduleReport)[];

/** Runs the schedules of the seeds from `firstSeed` on. */
export async function runSchedules(
  firstSeed: number,
  count: number,
  options: ScheduleOptions = {},
): Promise<SchedulesReport> {
  const totals: ScheduleTotals = {
    calls: 0,
    unknown: 0,
    events: 0,
    removed: 0,
    written: 0,
    swept: 0,
    closed: 0,
    erased: 0,
    found: 0,
    lapsed: 0,
  };
  const violations: { seed: number; what: string }[] = [];
  const { stackTraceLimit } = Error;
  // Hundreds of calls fail in a schedule, as they are to, and stacks are a fiftieth of its time. A seed alone tells them.
  Error.stackTraceLimit = 0;
  try {
    for (let seed = firstSeed; seed < firstSeed + count; seed++) {
      const report = await runSchedule(seed, options);
      // A schedule is one turn of the event loop: whoever watches this process wants to hear of it now and then.
      await turn();
      for (const name of counted) totals[name] += report[name];
      for (const violation of report.violations)
        violations.push({ seed, what: `${violation}\nnpm run simulate -- --seed ${seed}` });
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return { ...totals, violations };
}
