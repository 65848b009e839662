import { describe, expect, test } from "vitest";
import type { Bug } from "../support/simulation/bug.ts";
import { bugs } from "../support/simulation/bugs.ts";
import { runSchedule } from "../support/simulation/schedule.ts";

/** In how many schedules a mistake has to show. */
const schedulesMax = 3_000;

/** The first schedule, from seed 1 on, that a mistake breaks. */
async function firstBrokenBy(bug: Bug): Promise<number | undefined> {
  for (let seed = 1; seed <= schedulesMax; seed++) {
    // A mistake may also show as a schedule that does not end.
    const { violations } = await runSchedule(seed, { bug }).catch((error: unknown) => ({
      violations: [String(error)],
    }));
    if (violations.length > 0) return seed;
  }
  return undefined;
}

describe("schedules notice where", () => {
  test.each(Object.entries<Bug>(bugs))("%s", async (_name, bug) => {
    const seed = await firstBrokenBy(bug);

    expect(seed).toBeDefined();
    const { violations } = await runSchedule(seed!);
    expect(violations).toEqual([]);
  });
});
