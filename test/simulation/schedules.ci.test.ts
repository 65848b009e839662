import { expect, test } from "vitest";
import { runSchedules } from "../support/simulation/schedules.ts";

test("5,000 schedules lose nothing, undo nothing, and answer as one store would", async () => {
  const { unknown, closed, found, lapsed, violations } = await runSchedules(10_000, 5_000);

  expect(violations).toEqual([]);
  expect(unknown).toBeGreaterThan(5_000);
  expect(closed).toBeGreaterThan(200);
  expect(found).toBeGreaterThan(1_500);
  expect(lapsed).toBeGreaterThan(800);
});
