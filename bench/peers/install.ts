import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import benchPackage from "../package.json" with { type: "json" };

/**
 * Installs what bench/package.json names, once: the peers, and what draws the charts. All of them bring built binaries, so their
 * install scripts, which would compile, are not needed.
 */
export function installPeers(): void {
  const bench = path.resolve(import.meta.dirname, "..");
  const isThere = (name: string) => existsSync(path.join(bench, "node_modules", name));
  if (Object.keys(benchPackage.dependencies).every(isThere)) return;
  console.error("installing the peers into bench/node_modules …");
  const args = ["ci", "--prefix", bench, "--ignore-scripts", "--no-audit", "--no-fund"];
  const { status } = spawnSync("npm", args, {
    stdio: ["ignore", "ignore", "inherit"],
    shell: process.platform === "win32",
  });
  if (status !== 0) console.error("that failed: only what is there is measured, and drawn");
}
