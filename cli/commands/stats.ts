import { Command } from "commander";
import { openDisk } from "../../core/entries/disk.ts";
import type { Stats } from "../../core/payload.ts";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { type Globals, optionsOf } from "../globals.ts";
import { withStore } from "../open-store.ts";
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
  const store = await openDisk({ directory, readOnly: true });
  try {
    const stats = await store.stats({ tenant }, { full: true });
    const storage = await store.storage({ tenant }, { full: true });
    if (json) return await writeJson({ ...stats, storage });
    const rows = Object.entries(storage).map(([name, value]) => [name, shown(value)] as const);
    await write(describe(stats) + table(rows));
  } finally {
    await store.close();
  }
}

function describe(stats: Stats): string {
  const rows = [
    ["payloads", stats.payloads.toLocaleString("en-US")],
    ["bytes", stats.uncompressedBytes.toLocaleString("en-US")],
    ["stored bytes", stats.compressedBytes.toLocaleString("en-US")],
    ["ratio", stats.ratio.toFixed(2)],
    ["stored as they are", stats.none.toLocaleString("en-US")],
    ["LZ4", stats.lz4.toLocaleString("en-US")],
    ["zstd", stats.zstd.toLocaleString("en-US")],
  ] as const;
  const inexact = "Not exact: pages are lost, or an overwrite or a delete met a damaged one.\n";
  return table(rows) + (stats.exact ? "" : inexact);
}

function table(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([name, value]) => `${name.padEnd(20)}${value.padStart(16)}\n`).join("");
}

function shown(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString("en-US") : value.toFixed(2);
}
