import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { openDisk } from "../../core/entries/disk.ts";

/** How the process wrote that was killed. What `fast` had not synced is appended again, and synced, before the store is open. */
export const killedChoices = {
  "safe, zstd": { durability: "safe", codec: "zstd" },
  "safe, as they are": { durability: "safe", codec: "none" },
  "fast, zstd": { durability: "fast", codec: "zstd" },
} as const;
export type KilledChoice = keyof typeof killedChoices;

export interface KilledTask {
  readonly measure: "killed";
  readonly choice: KilledChoice;
  readonly directory: string;
}

export interface KilledResult {
  readonly openMs: number;
  readonly payloads: number;
  /** Commits that no saved index knew, and of them those that had not been synced. */
  readonly frames: number;
  readonly unsyncedFrames: number;
}

/** Opens a store whose process was killed when its one segment had 63 MiB. */
export async function measureKilled(task: KilledTask): Promise<KilledResult> {
  const writer = fork(fileURLToPath(new URL("killed-writer.ts", import.meta.url)), [JSON.stringify(task)], {
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  const [, signal] = (await once(writer, "exit")) as [number | null, string | null];
  assert.equal(signal, "SIGKILL");
  const { directory } = task;
  const start = performance.now();
  const store = await openDisk({ directory });
  const openMs = performance.now() - start;
  const { framesReplayed, tailFramesKept, damage } = store.recovery;
  assert.deepEqual(damage, []);
  const payloads = await store.size({ tenant: "bench" });
  await store.close();
  return { openMs, payloads, frames: framesReplayed + tailFramesKept, unsyncedFrames: tailFramesKept };
}
