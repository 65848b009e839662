import { Command } from "commander";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { optionsOf } from "../globals.ts";
import { withStore } from "../open-store.ts";
import { printable, writeAll } from "../output.ts";
import type { CommandStore } from "../command-store.ts";

export function exportCommand(): Command {
  return new Command("export")
    .description("Write GROUP, or all groups one after the other, to standard output as NDJSON that `import` reads.")
    .argument("[group]")
    .action(async (group: string | undefined, _options: unknown, command: Command) => {
      const options = optionsOf(command);
      const { tenant } = options;
      await withStore(options, "stream", (store) =>
        writeAll(group === undefined ? all(store, tenant) : one(store, tenant, group)),
      );
    });
}

async function* all(store: CommandStore, tenant: string): AsyncGenerator<string | Uint8Array> {
  for await (const { group } of store.groups({ tenant })) yield* store.exportLines({ tenant, group });
}

async function* one(store: CommandStore, tenant: string, group: string): AsyncGenerator<string | Uint8Array> {
  let empty = true;
  for await (const piece of store.exportLines({ tenant, group })) {
    empty = false;
    yield piece;
  }
  if (empty) throw new CommandFailure(exitCodes.notFound, `no group ${printable(group)}`);
}
