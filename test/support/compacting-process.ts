import { readFileSync } from "node:fs";
import { openDisk } from "../../core/entries/disk.ts";

/**
 * A process that compacts all of a folder, to see how much memory that takes: `compacting-process.ts FOLDER`. It says on standard
 * output, as JSON, what it did and how much it had resident at most, in bytes, when the folder was open and at its end.
 */
const [directory = ""] = process.argv.slice(2);
const store = await openDisk({ directory });
const openBytes = peakBytes();
const { segments, bytesIn, bytesOut } = await store.compact({ graceMs: 0, mustGo: () => true });
await store.close();
console.log(JSON.stringify({ segments: segments.length, bytesIn, bytesOut, openBytes, peakBytes: peakBytes() }));

/** The most memory that this process had resident at any time. Only Linux tells it. */
function peakBytes(): number {
  const [, kibibytes = ""] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return Number(kibibytes) * 1024;
}
