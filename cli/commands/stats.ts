import { Command } from "commander";
import { openDisk } from "../../core/entries/disk.ts";
import type { Stats } from "../../core/payload.ts";
import type { StorageStats } from "../../core/storage.ts";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { type Globals, optionsOf } from "../globals.ts";
import { checkStore, withStore } from "../open-store.ts";
import { write, writeJson } from "../output.ts";

export function statsCommand(): Command {
  return new Command("stats")
    .description("Show how much a tenant has stored, and how well it compressed.")
    .option(
      "--full",
      "count anew, by all pages, and show the room that segments take; of a folder, beside a server too",
    )
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf<{ readonly full?: true }>(command);
      const { tenant, json } = options;
      if (options.full) return showFull(options);
      const stats = await withStore(options, "read", (store) => store.stats({ tenant }));
      if (json) return writeJson(stats);
      await write(describe(stats));
    });
}

async function showFull({ dir: directory, url, tenant, json }: Globals): Promise<void> {
  if (url !== undefined)
    throw new CommandFailure(exitCodes.usage, "stats --full works on the folder itself: leave --url out");
  checkStore(directory);
  const store = await openDisk({ directory, readOnly: true });
  try {
    const stats = await store.stats({ tenant }, { full: true });
    const all = await store.storage({ tenant }, { full: true });
    // What was written since a store was opened, its writer alone knows: a server tells it at /metrics.
    const { appendedBytes: _a, compactedBytes: _c, writeAmplification: _w, ...storage } = all;
    if (json) return await writeJson({ ...stats, storage });
    await write(`${describe(stats)}\n${describeRoom(storage)}`);
  } finally {
    await store.close();
  }
}

function describe(stats: Stats): string {
  const rows: readonly Row[] = [
    ["payloads", whole(stats.payloads)],
    ["  length, as they were put", whole(stats.uncompressedBytes), "bytes"],
    ["  share of stored blocks", whole(stats.compressedBytes), "bytes"],
    ["  ratio of the two", stats.ratio.toFixed(2)],
    ["  stored without compression", whole(stats.none)],
    ["  stored with LZ4", whole(stats.lz4)],
    ["  stored with zstd", whole(stats.zstd)],
  ];
  const inexact = "Not exact: pages are lost, or an overwrite or a delete met a damaged one.\n";
  return table(rows) + (stats.exact ? "" : inexact);
}

type Room = Omit<StorageStats, "appendedBytes" | "compactedBytes" | "writeAmplification">;

function describeRoom(room: Room): string {
  return table([
    ["segments", whole(room.segments)],
    ["  length of their files", whole(room.bytes), "bytes"],
    ["  of payloads that are alive", whole(room.liveBytes), "bytes"],
    ["  of payloads that are dead", whole(room.deadBytes), "bytes"],
    ["  share that is dead", (100 * room.deadShare).toFixed(1), "%"],
    ["  length for a byte alive", room.spaceAmplification.toFixed(2), "bytes"],
    ["replaced by compaction", whole(room.supersededSegments), "segments"],
    ["  length of their files", whole(room.supersededBytes), "bytes, until their grace is over"],
  ]);
}

type Row = readonly [label: string, number: string, unit?: string];

function table(rows: readonly Row[]): string {
  return rows
    .map(([label, number, unit = ""]) => `${label.padEnd(29)}${number.padStart(16)} ${unit}`.trimEnd() + "\n")
    .join("");
}

function whole(value: number): string {
  return value.toLocaleString("en-US");
}
