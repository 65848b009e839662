import { limits } from "../../core/limits.ts";
import { openDisk } from "../../core/entries/disk.ts";
import { Work } from "../work.ts";
import { bytesOnDisk } from "./disk.ts";
import { killedChoices, type KilledTask } from "./killed.ts";

/** A process that fills a segment, all but a MiB, and kills itself: `killed-writer.ts TASK`. */
const { directory, choice } = JSON.parse(process.argv[2] ?? "") as KilledTask;
const { durability, codec } = killedChoices[choice];
const work = new Work(10_000_000);
const store = await openDisk({ directory, durability });
for (let b = 0; bytesOnDisk(`${directory}/segments`) < limits.segmentBytesMax - 1_048_576; b++) {
  const { group, items } = work.batch(b);
  const inputs = items.map(({ id, bytes }) => ({ id, bytes, codec }));
  await store.appendMany({ tenant: "bench", group }, inputs);
}
process.kill(process.pid, "SIGKILL");
