import { writeSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { openDisk } from "../../core/entries/disk.ts";
import { payloadOf, tenant } from "./kill-payloads.ts";

/**
 * A process to be killed: `kill-writer.ts FOLDER TRIAL`. Four callers append at the same time, lone payloads and batches,
 * and each acknowledgement is written to standard output at once, in one system call.
 */
const [directory = "", trial = ""] = process.argv.slice(2);
const store = await openDisk({ directory, segmentBytesMax: 256 * 1024 });
// It would be written when the process ends of itself.
flushCompileCache();
writeSync(1, "open\n");

async function write(writer: number): Promise<never> {
  const group = `trial-${trial}-writer-${writer}`;
  for (let n = 0; ;) {
    if (n % 5 < 4) {
      await store.append({ tenant, group, id: `${n}` }, payloadOf(group, n));
      writeSync(1, `${group} ${n}\n`);
      n += 1;
      continue;
    }
    const batch = Array.from({ length: 6 }, (_, i) => n + i);
    await store.appendMany(
      { tenant, group },
      batch.map((i) => ({ id: `${i}`, bytes: payloadOf(group, i) })),
    );
    writeSync(1, batch.map((i) => `${group} ${i}\n`).join(""));
    n += batch.length;
  }
}

await Promise.all([0, 1, 2, 3].map(write));
