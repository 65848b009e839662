import { expect, it } from "vitest";
import { runFlushKillTrials, runKillTrials, runServerKillTrials } from "../support/kill-trials.ts";

const trials = Number(process.env["KILL_TRIALS"] ?? 50);
const serverTrials = Number(process.env["KILL_TRIALS"] ?? 10);

it(`a killed process has lost nothing that it acknowledged (${trials} trials)`, async () => {
  const report = await runKillTrials(trials, 2);

  console.log(
    `kill -9: ${report.trials} trials, ${report.acknowledged} acknowledged, ${report.lost} lost, ${report.wrong} wrong, ${report.withTail} with a tail`,
  );
  expect(report).toMatchObject({ lost: 0, wrong: 0, damage: 0 });
  expect(report.acknowledged).toBeGreaterThan(trials * 3);
});

it(`a killed process has lost nothing that it flushed in durability fast (${serverTrials} trials)`, async () => {
  const report = await runFlushKillTrials(serverTrials, 4);

  console.log(
    `kill -9 after a flush: ${report.trials} trials, ${report.acknowledged} flushed, ${report.lost} lost, ${report.wrong} wrong, ${report.withTail} with a tail`,
  );
  expect(report).toMatchObject({ lost: 0, wrong: 0, damage: 0 });
  expect(report.acknowledged).toBeGreaterThan(serverTrials * 20);
});

it(`a killed server has lost nothing that it acknowledged to callers and clients (${serverTrials} trials)`, async () => {
  const report = await runServerKillTrials(serverTrials, 3);

  console.log(
    `kill -9 of a server: ${report.trials} trials, ${report.acknowledged} acknowledged, ${report.lost} lost, ${report.wrong} wrong, ${report.withTail} with a tail`,
  );
  expect(report).toMatchObject({ lost: 0, wrong: 0, damage: 0 });
  expect(report.acknowledged).toBeGreaterThan(serverTrials * 20);
});
