import { readFileSync } from "node:fs";

/** The most memory that a process had resident at any time, in bytes. Only Linux tells it. */
export function peakBytes(pid: number | "self" | undefined): number {
  const [, kibibytes = ""] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kibibytes) * 1024;
}
