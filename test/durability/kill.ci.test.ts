import { expect, it } from "vitest";
import { runKillTrials } from "../support/kill-trials.ts";

const trials = Number(process.env["KILL_TRIALS"] ?? 50);

it(`a killed process has lost nothing that it acknowledged (${trials} trials)`, async () => {
  const report = await runKillTrials(trials, 2);

  console.log(
    `kill -9: ${report.trials} trials, ${report.acknowledged} acknowledged, ${report.lost} lost, ${report.wrong} wrong, ${report.withTail} with a tail`,
  );
  expect(report).toMatchObject({ lost: 0, wrong: 0, damage: 0 });
  expect(report.acknowledged).toBeGreaterThan(trials * 20);
});
