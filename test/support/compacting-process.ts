import { openDisk } from "../../core/entries/disk.ts";
import { peakBytes } from "./peak-bytes.ts";

/**
 * A process that compacts all of a folder, to see how much memory that takes: `compacting-process.ts FOLDER`. It says on standard
 * output, as JSON, what it did and how much it had resident at most, in bytes, when the folder was open and at its end.
 */
const [directory = ""] = process.argv.slice(2);
const store = await openDisk({ directory });
const openBytes = peakBytes("self");
const { segments, bytesIn, bytesOut } = await store.compact({ graceMs: 0, mustGo: () => true });
await store.close();
console.log(JSON.stringify({ segments: segments.length, bytesIn, bytesOut, openBytes, peakBytes: peakBytes("self") }));
