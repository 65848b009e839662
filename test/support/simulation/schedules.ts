import { setImmediate as turn } from "node:timers/promises";
import { runSchedule, type ScheduleOptions } from "./schedule.ts";

/** What a stretch of seeds came to. */
export interface SchedulesReport {
  readonly calls: number;
  /** Calls whose outcome their client never knew. */
  readonly unknown: number;
  /** What compactors wrote in the place of others, and removed. */
  readonly rowsWritten: number;
  readonly rowsRemoved: number;
  readonly removedSegments: number;
  readonly violations: readonly { readonly seed: number; readonly what: string }[];
}

/** Runs the schedules of the seeds from `firstSeed` on. */
export async function runSchedules(
  firstSeed: number,
  count: number,
  options: ScheduleOptions = {},
): Promise<SchedulesReport> {
  let calls = 0;
  let unknown = 0;
  let rowsWritten = 0;
  let rowsRemoved = 0;
  let removedSegments = 0;
  const violations: { seed: number; what: string }[] = [];
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const report = await runSchedule(seed, options);
    // A schedule is one turn of the event loop: whoever watches this process wants to hear of it now and then.
    await turn();
    calls += report.calls;
    unknown += report.unknown;
    rowsWritten += report.written;
    rowsRemoved += report.swept;
    removedSegments += report.removed;
    for (const violation of report.violations)
      violations.push({ seed, what: `${violation}\nnpm run simulate -- --seed ${seed}` });
  }
  return { calls, unknown, rowsWritten, rowsRemoved, removedSegments, violations };
}
