import { writeFile } from "node:fs/promises";
import { Command } from "commander";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { optionsOf } from "../globals.ts";
import { withStore } from "../open-store.ts";
import { printable, write } from "../output.ts";

export function getCommand(): Command {
  return new Command("get")
    .description("Write a payload's bytes, exactly as they were stored, to standard output.")
    .argument("<group>")
    .argument("<id>")
    .option("-o, --output <file>", "write them to a file instead")
    .action(async (group: string, id: string, _options: unknown, command: Command) => {
      const options = optionsOf<{ output?: string }>(command);
      const { tenant, output } = options;
      const bytes = await withStore(options, "read", (store) => store.get({ tenant, group, id }));
      if (!bytes)
        throw new CommandFailure(exitCodes.notFound, `no payload ${printable(id)} in group ${printable(group)}`);
      if (output === undefined) await write(bytes);
      else await writeFile(output, bytes).catch(cannotWrite(output));
    });
}

function cannotWrite(file: string): (cause: unknown) => never {
  return (cause) => {
    throw new CommandFailure(exitCodes.usage, `${file} cannot be written: ${(cause as Error).message}`, cause);
  };
}
