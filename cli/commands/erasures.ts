import { Command } from "commander";
import type { Erasure } from "../../core/erasure/erasure.ts";
import { optionsOf } from "../globals.ts";
import { withStore } from "../open-store.ts";
import { writeAll, writeJson } from "../output.ts";
import { table } from "../table.ts";

export function erasuresCommand(): Command {
  return new Command("erasures")
    .description("List the erasures of a tenant, and how far they are; with --json their receipts.")
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf(command);
      const { tenant, json } = options;
      const erasures = await withStore(options, "read", (store) => store.erasures({ tenant }));
      if (json) for (const erasure of erasures) await writeJson(erasure);
      else await writeAll(table(columns, new Set(["payloads"]), rowsOf(erasures)));
    });
}

const columns = ["erasure", "state", "payloads", "asked for", "gone"];

async function* rowsOf(erasures: readonly Erasure[]): AsyncGenerator<readonly string[]> {
  for (const { id, state, payloads, requestedMs, goneMs } of erasures) {
    yield [id, state, String(payloads), time(requestedMs), goneMs === undefined ? "-" : time(goneMs)];
  }
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
