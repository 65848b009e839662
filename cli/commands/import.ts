import { Command } from "commander";
import { limits } from "../../core/limits.ts";
import { splitLines } from "../../core/line-splitter.ts";
import { httpLimits } from "../../functions/http-limits.ts";
import { parseLine } from "../../functions/ndjson-lines.ts";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { optionsOf } from "../globals.ts";
import { ImportQueue } from "../import-queue.ts";
import { lengthOf, piecesOf, unzipped } from "../input.ts";
import { withStore } from "../open-store.ts";
import { count, note, writeJson } from "../output.ts";
import { progressBar } from "../progress.ts";

const lineHelp = `
Each line is a JSON object:
  {"group","id", one of "text" | "json" | "base64", "contentType"?, "attributes"?, "expiresAt"? or "retention"?}`;

export function importCommand(): Command {
  return new Command("import")
    .description("Store the payloads of an NDJSON file, which may be gzipped.")
    .argument("<file>", "- for standard input")
    .addHelpText("after", lineHelp)
    .action(async (file: string, _options: unknown, command: Command) => {
      const options = optionsOf(command);
      const { tenant, json } = options;
      const startedMs = performance.now();
      const stored = await withStore(options, "add", (store) => importFile(file, new ImportQueue(store, tenant)));
      const seconds = Math.round(performance.now() - startedMs) / 1000;
      if (json) return writeJson({ ...stored, seconds });
      const amount = `${count(stored.payloads, "payload")} in ${count(stored.groups, "group")}`;
      note(`imported ${amount}, ${count(stored.bytes, "byte")}, in ${seconds} s`);
    });
}

async function importFile(file: string, queue: ImportQueue): Promise<ImportQueue["stored"]> {
  const progress = progressBar("import", "bytes");
  const length = await lengthOf(file);
  let read = 0;
  const pieces = piecesOf(file, (bytes) => progress.update((read += bytes), length));
  try {
    for await (const line of splitLines(unzipped(pieces), httpLimits.batchBodyBytesMax)) {
      await queue.add(parseLine(line, "withGroup", limits.payloadBytesMax));
    }
    await queue.finish();
    return queue.stored;
  } catch (error) {
    // What came before a bad line is stored, so that the import can be taken up behind it.
    await queue.finish().catch(() => {});
    throw interrupted(error, queue.stored.payloads);
  } finally {
    progress.stop();
  }
}

function interrupted(error: unknown, stored: number): CommandFailure {
  const exitCode = error instanceof CommandFailure ? error.exitCode : exitCodes.store;
  const reason = error instanceof Error ? error.message : String(error);
  return new CommandFailure(exitCode, `${reason}; ${count(stored, "payload")} stored before`, error);
}
