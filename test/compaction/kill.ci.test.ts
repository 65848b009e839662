import { expect, it } from "vitest";
import { readBesideCompaction, runCompactionKillTrials } from "../support/kill-trials.ts";

const trials = Number(process.env["KILL_TRIALS"] ?? 8);

it(`a process that is killed while it compacts has lost nothing and brought nothing back (${trials} trials)`, async () => {
  const report = await runCompactionKillTrials(trials, 4, 1_500);

  console.log(`kill -9 of a compacting process: ${JSON.stringify(report)}`);
  expect(report).toMatchObject({ lost: 0, wrong: 0, resurrected: 0, faults: 0 });
  expect(report.deleted).toBeGreaterThan(trials * 5);
});

it.each(["in-arrays", "on-disk"] as const)(
  "a reader in another process misses nothing and sees nothing that is deleted, beside one that compacts (index %s)",
  async (kind) => {
    const report = await readBesideCompaction(Number(process.env["READER_MS"] ?? 6_000), kind);

    console.log(`reads beside compaction, index ${kind}: ${JSON.stringify(report)}`);
    expect(report).toMatchObject({ lost: 0, wrong: 0, resurrected: 0 });
    expect(report.reads).toBeGreaterThan(50);
    expect(report.finds).toBeGreaterThan(1);
  },
);
