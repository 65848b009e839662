import { Command, Option } from "commander";
import { limits } from "../../core/limits.ts";
import type { CodecName } from "../../core/ports/codec.ts";
import { optionsOf, parseDuration } from "../globals.ts";
import { bytesOf } from "../input.ts";
import { withStore } from "../open-store.ts";
import { count, printable, write, writeJson } from "../output.ts";

interface PutOptions {
  readonly contentType?: string;
  readonly codec?: CodecName;
  readonly ifAbsent?: true;
  readonly expiresIn?: number;
  readonly retention?: string;
}

export function putCommand(): Command {
  return new Command("put")
    .description("Store a file, or standard input, under GROUP and ID.")
    .argument("<group>")
    .argument("<id>")
    .argument("[file]", "- for standard input", "-")
    .option("--content-type <type>", "kept with the payload")
    .addOption(
      new Option("--codec <name>", "instead of the one the store would choose").choices(["none", "lz4", "zstd"]),
    )
    .addOption(new Option("--expires-in <duration>", "such as 12h or 30d; then it is gone").argParser(parseDuration))
    .addOption(
      new Option("--retention <class>", "a class of the server's, which says how long it is kept").conflicts(
        "expiresIn",
      ),
    )
    .option("--if-absent", "fail when there is a payload by this name")
    .action(async (group: string, id: string, file: string, _options: unknown, command: Command) => {
      const options = optionsOf<PutOptions>(command);
      const { tenant, json, contentType, codec, ifAbsent, expiresIn, retention } = options;
      const expiresAt = expiresIn === undefined ? undefined : Date.now() + expiresIn;
      const bytes = await bytesOf(file, limits.payloadBytesMax);
      const location = await withStore(options, "add", (store) =>
        store.append({ tenant, group, id }, bytes, { contentType, codec, ifAbsent, expiresAt, retention }),
      );
      if (json) await writeJson({ group, id, bytes: bytes.length, location });
      else await write(`stored ${printable(id)} in ${printable(group)}: ${count(bytes.length, "byte")}\n`);
    });
}
