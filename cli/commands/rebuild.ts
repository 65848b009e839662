import { existsSync } from "node:fs";
import { Command } from "commander";
import { openDisk, type DiskStore } from "../../core/entries/disk.ts";
import { isPayloadStoreError, PayloadStoreError } from "../../core/errors.ts";
import { optionsOf } from "../globals.ts";
import { heldBy } from "../open-store.ts";
import { count, note, write, writeJson } from "../output.ts";

export function rebuildCommand(): Command {
  return new Command("rebuild")
    .description("Throw the index away and make it again from the segments. Not while a server holds the folder.")
    .action(async (_options: unknown, command: Command) => {
      const { dir, json } = optionsOf(command);
      const { recovery } = await rebuild(dir);
      if (json) return writeJson(recovery);
      const { segmentsScanned, framesReplayed, tornBytes, damage } = recovery;
      await write(`rebuilt from ${count(segmentsScanned, "segment")}, ${count(framesReplayed, "frame")}\n`);
      if (tornBytes > 0) note(`${count(tornBytes, "byte")} of an unfinished, never acknowledged write were cut off`);
      for (const { tenant, segment, start, end, reason } of damage) {
        note(`damage in segment ${tenant}/${segment}, bytes ${start}–${end}: ${reason}`);
      }
    });
}

async function rebuild(directory: string): Promise<Pick<DiskStore, "recovery">> {
  if (!existsSync(directory)) throw new PayloadStoreError("NOT_FOUND", `there is no store at ${directory}`);
  try {
    const store = await openDisk({ directory, rebuild: true });
    await store.close();
    return store;
  } catch (error) {
    throw isPayloadStoreError(error, "LOCKED") ? heldBy(directory, error) : error;
  }
}
