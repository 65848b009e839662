import type { Bug } from "./bug.ts";
import { runSchedule } from "./schedule.ts";

/** In how many schedules a mistake has to show. */
const schedulesMax = 10_000;

/** The first schedule, from seed 1 on, that a mistake breaks, and no other does. */
export async function firstBrokenBy(bug: Bug): Promise<number | undefined> {
  for (let seed = 1; seed <= schedulesMax; seed++) {
    // A mistake may also show as a schedule that does not end.
    const { violations } = await runSchedule(seed, { bug }).catch((error: unknown) => ({
      violations: [String(error)],
    }));
    if (violations.length > 0) return (await runSchedule(seed)).violations.length === 0 ? seed : undefined;
  }
  return undefined;
}
