import { Command } from "commander";
import { openDisk, type DiskStore } from "../../core/entries/disk.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { optionsOf } from "../globals.ts";
import { exitCodes } from "../exit-codes.ts";
import { checkStore, heldBy } from "../open-store.ts";
import { count, note, write, writeJson } from "../output.ts";
import { progressBar } from "../progress.ts";

export function rebuildCommand(): Command {
  return new Command("rebuild")
    .description("Throw the index away and make it again from the segments. Not while a server holds the folder.")
    .action(async (_options: unknown, command: Command) => {
      const { dir, json } = optionsOf(command);
      const { recovery } = await rebuild(dir);
      if (json) return writeJson(recovery);
      const { segmentsScanned, framesReplayed, tornBytes, quarantined, damage } = recovery;
      await write(`rebuilt from ${count(segmentsScanned, "segment")}, ${count(framesReplayed, "frame")}\n`);
      if (tornBytes > 0) note(`${count(tornBytes, "byte")} of an unfinished write were passed over`);
      for (const segment of quarantined) note(`segment ${segment} was unreadable, and is in the folder quarantine/`);
      for (const { tenant, segment, start, end, reason } of damage) {
        note(`damage in segment ${tenant}/${segment}, bytes ${start}–${end}: ${reason}`);
      }
      if (damage.some(({ frames }) => frames !== 0)) process.exitCode = exitCodes.notFound;
    });
}

async function rebuild(directory: string): Promise<Pick<DiskStore, "recovery">> {
  checkStore(directory);
  const progress = progressBar("rebuild", "segments");
  try {
    const store = await openDisk({
      directory,
      rebuild: true,
      onProgress: ({ segments, ofSegments }) => progress.update(segments, ofSegments),
    });
    await store.close();
    return store;
  } catch (error) {
    throw isPayloadStoreError(error, "LOCKED") ? heldBy(directory, error) : error;
  } finally {
    progress.stop();
  }
}
