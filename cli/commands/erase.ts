import { Command, InvalidArgumentError, Option } from "commander";
import type { Attributes } from "../../core/payload.ts";
import { optionsOf, parseTime } from "../globals.ts";
import { withStore } from "../open-store.ts";
import { count, write, writeJson } from "../output.ts";

interface EraseOptions {
  readonly where?: Attributes;
  readonly from?: number;
  readonly to?: number;
  readonly everything?: true;
}

export function eraseCommand(): Command {
  return new Command("erase")
    .description(
      "Delete payloads and see that their bytes go, with a receipt: IDs of GROUP, GROUP, or what fits the options.",
    )
    .argument("[group]")
    .argument("[ids...]")
    .addOption(
      new Option("--where <name=value>", "only those with this attribute; may be given again").argParser(addAttribute),
    )
    .addOption(new Option("--from <time>", "only those committed from then on, as ISO 8601").argParser(parseTime))
    .addOption(new Option("--to <time>", "only those committed before then").argParser(parseTime))
    .option("--everything", "all that the tenant has")
    .action(async (group: string | undefined, ids: readonly string[], _options: unknown, command: Command) => {
      const options = optionsOf<EraseOptions>(command);
      const { tenant, json, where, from: fromMs, to: toMs, everything } = options;
      const named = ids.length === 0 ? undefined : ids;
      const erasure = await withStore(options, "change", (store) =>
        store.erase({ tenant, group, ids: named, where, fromMs, toMs, everything }),
      );
      if (json) return writeJson(erasure);
      const unknown = erasure.unknown.length === 0 ? "" : `, ${count(erasure.unknown.length, "id")} unknown`;
      await write(`erasure ${erasure.id}: ${count(erasure.payloads, "payload")} hidden${unknown}\n`);
      const { id, state } = erasure;
      if (state !== "gone")
        await write(`their bytes go with the next compaction and its grace: \`paylode erasures ${id}\` follows them\n`);
    });
}

function addAttribute(text: string, before: Attributes = {}): Attributes {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("An attribute is its name, = and its value.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
