import { Command } from "commander";
import { optionsOf } from "../globals.ts";
import { withStore } from "../open-store.ts";
import { write, writeJson } from "../output.ts";

export function statsCommand(): Command {
  return new Command("stats")
    .description("Show how much a tenant has stored, and how well it compressed.")
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf(command);
      const { tenant, json } = options;
      const stats = await withStore(options, "read", (store) => store.stats({ tenant }));
      if (json) return writeJson(stats);
      const rows = [
        ["payloads", stats.payloads.toLocaleString("en-US")],
        ["bytes", stats.uncompressedBytes.toLocaleString("en-US")],
        ["stored bytes", stats.compressedBytes.toLocaleString("en-US")],
        ["ratio", stats.ratio.toFixed(2)],
        ["stored as they are", stats.none.toLocaleString("en-US")],
        ["LZ4", stats.lz4.toLocaleString("en-US")],
        ["zstd", stats.zstd.toLocaleString("en-US")],
      ] as const;
      await write(rows.map(([name, value]) => `${name.padEnd(20)}${value.padStart(16)}\n`).join(""));
      if (!stats.exact) await write("Not exact: a damaged page hides what an overwrite or a delete made dead.\n");
    });
}
