import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openDisk } from "../../core/entries/disk.ts";
import { payloadOf, tenant } from "./kill-payloads.ts";
import { seededRandom } from "./seeded-random.ts";

const writer = fileURLToPath(new URL("kill-writer.ts", import.meta.url));

export interface KillReport {
  readonly trials: number;
  readonly acknowledged: number;
  readonly lost: number;
  readonly wrong: number;
  /** Trials in which opening found frames beyond the last mark. */
  readonly withTail: number;
  readonly damage: number;
}

/** Starts a writing process on one folder again and again and kills it at a random moment; then compares every acknowledged payload. */
export async function runKillTrials(trials: number, seed: number): Promise<KillReport> {
  const directory = await mkdtemp(join(tmpdir(), "paylode-kill-"));
  const random = seededRandom(seed);
  const report = { trials, acknowledged: 0, lost: 0, wrong: 0, withTail: 0, damage: 0 };
  try {
    const all: string[] = [];
    for (let trial = 0; trial < trials; trial++) {
      const lines = await runUntilKilled(directory, trial, random() * 120);
      all.push(...lines);
      const store = await openDisk({ directory });
      if (store.recovery.tailFramesKept > 0 || store.recovery.tornBytes > 0) report.withTail += 1;
      report.damage += store.recovery.damage.length;
      // The last trial is followed by a look at everything that was ever acknowledged.
      for (const line of trial === trials - 1 ? all : lines) {
        const [group = "", n = ""] = line.split(" ");
        const got = await store.get({ tenant, group, id: n });
        if (got === undefined) report.lost += 1;
        else if (Buffer.compare(got, payloadOf(group, Number(n))) !== 0) report.wrong += 1;
      }
      await store.close();
    }
    report.acknowledged = all.length;
    return report;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function runUntilKilled(directory: string, trial: number, afterMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [writer, directory, `${trial}`], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8");
  const opened = new Promise<void>((resolve, reject) => {
    child.stdout.on("data", (text: string) => {
      output += text;
      if (output.startsWith("open\n")) resolve();
    });
    child.once("exit", (code) => reject(new Error(`the writer ended by itself, with ${code}`)));
  });
  await opened;
  await wait(afterMs);
  child.kill("SIGKILL");
  await once(child, "close");
  // A line that the kill cut short was acknowledged as well, but it cannot be told which it is.
  return output.split("\n").slice(1, -1);
}
