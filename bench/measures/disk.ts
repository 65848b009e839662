import { readdirSync, statSync } from "node:fs";
import path from "node:path";

/** What a folder takes of the disk: allocated blocks, folders included. */
export function bytesOnDisk(directory: string): number {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" });
  // stat counts in units of 512 bytes wherever it counts blocks at all.
  return names.reduce((sum, name) => sum + statSync(path.join(directory, name)).blocks * 512, 0);
}
