import { expect, it } from "vitest";
import { runCompactionKillTrials } from "../support/kill-trials.ts";

const trials = Number(process.env["KILL_TRIALS"] ?? 8);

it(`a process that is killed while it compacts has lost nothing and brought nothing back (${trials} trials)`, async () => {
  const report = await runCompactionKillTrials(trials, 4, 1_500);

  console.log(`kill -9 of a compacting process: ${JSON.stringify(report)}`);
  expect(report).toMatchObject({ lost: 0, wrong: 0, resurrected: 0, faults: 0 });
  expect(report.resting).toBeGreaterThan(0);
  expect(report.deleted).toBeGreaterThan(trials * 5);
});
