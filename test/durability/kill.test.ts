import { expect, it } from "vitest";
import { runKillTrials } from "../support/kill-trials.ts";

it("a killed process has lost nothing that it acknowledged (5 trials; 50 in the long tests)", async () => {
  const report = await runKillTrials(5, 1);

  expect(report).toMatchObject({ trials: 5, lost: 0, wrong: 0, damage: 0 });
  expect(report.acknowledged).toBeGreaterThan(5 * 3);
});
