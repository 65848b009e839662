import { writeSync } from "node:fs";
import { openDisk } from "../../core/entries/disk.ts";
import { payloadOf, tenant } from "./kill-payloads.ts";

/**
 * A process to be killed: `kill-flusher.ts FOLDER TRIAL`. Two callers append in durability `fast`, which waits for no sync, and say on
 * standard output, in one system call, what was stored when a flush began that has ended.
 */
const [directory = "", trial = ""] = process.argv.slice(2);
const store = await openDisk({ directory, segmentBytesMax: 256 * 1024, durability: "fast" });
writeSync(1, "open\n");

async function write(writer: number): Promise<never> {
  const group = `trial-${trial}-writer-${writer}`;
  for (let n = 0; ;) {
    const first = n;
    for (; n < first + 20; n++) await store.append({ tenant, group, id: `${n}` }, payloadOf(group, n));
    await store.flush();
    writeSync(1, Array.from({ length: 20 }, (_, i) => `${group} ${first + i}\n`).join(""));
  }
}

await Promise.all([0, 1].map(write));
