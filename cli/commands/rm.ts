import { Command } from "commander";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { optionsOf } from "../globals.ts";
import { withStore } from "../open-store.ts";
import { count, printable, write, writeJson } from "../output.ts";

export function rmCommand(): Command {
  return new Command("rm")
    .description("Delete a payload, or with GROUP alone all of the group's, for good.")
    .argument("<group>")
    .argument("[id]")
    .action(async (group: string, id: string | undefined, _options: unknown, command: Command) => {
      const options = optionsOf(command);
      const { tenant, json } = options;
      const payloads = await withStore(options, "change", async (store) => {
        if (id === undefined) return store.deleteGroup({ tenant, group });
        return (await store.delete({ tenant, group, id })) ? 1 : 0;
      });
      const name =
        id === undefined ? `group ${printable(group)}` : `payload ${printable(id)} in group ${printable(group)}`;
      if (payloads === 0) throw new CommandFailure(exitCodes.notFound, `no ${name}`);
      if (json) await writeJson({ group, id, payloads });
      else await write(`deleted ${name}: ${count(payloads, "payload")}\n`);
    });
}
