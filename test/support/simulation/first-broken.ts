import type { Bug } from "./bug.ts";
import { runSchedule } from "./schedule.ts";

/** In how many seeds a mistake has to show. */
const seedsMax = 10_000;

/** Which seeds are looked at. */
interface Seeds {
  readonly first: number;
  readonly step: number;
}

const allSeeds: Seeds = { first: 1, step: 1 };

/** Those of schedules in which payloads have attributes and expire. */
export const lapsingSeeds: Seeds = { first: 3, step: 4 };

/** The first schedule that a mistake breaks, and no other does. */
export async function firstBrokenBy(bug: Bug, { first, step } = allSeeds): Promise<number | undefined> {
  for (let seed = first; seed <= seedsMax; seed += step) {
    // A mistake may also show as a schedule that does not end.
    const { violations } = await runSchedule(seed, { bug }).catch((error: unknown) => ({
      violations: [String(error)],
    }));
    if (violations.length > 0) return (await runSchedule(seed)).violations.length === 0 ? seed : undefined;
  }
  return undefined;
}
