import process from "node:process";
import { Command } from "commander";
import { isPayloadStoreError } from "../../core/errors.ts";
import type { CommandStore } from "../command-store.ts";
import { formatLine } from "../../functions/ndjson-lines.ts";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { optionsOf } from "../globals.ts";
import { withStore } from "../open-store.ts";
import { count, note, printable, writeAll } from "../output.ts";
import { type Progress, progressBar } from "../progress.ts";

interface ExportFlags {
  readonly skipDamaged?: true;
}

export function exportCommand(): Command {
  return new Command("export")
    .description("Write GROUP, or all groups one after the other, to standard output as NDJSON that `import` reads.")
    .argument("[group]")
    .option("--skip-damaged", "leave out what is damaged, and name it on standard error; exit code 1 if there is any")
    .action(async (group: string | undefined, _options: unknown, command: Command) => {
      const options = optionsOf<ExportFlags>(command);
      const { tenant } = options;
      let skipped = 0;
      const skip: Skip = (what, error) => {
        if (!isPayloadStoreError(error, "CORRUPT")) throw error;
        skipped += 1;
        note(`left out ${what}: ${error.message}`);
      };
      const progress = exportBar();
      try {
        await withStore(options, "stream", (store) =>
          writeAll(exported(store, tenant, group, { skip: options.skipDamaged ? skip : undefined, progress })),
        );
      } finally {
        progress.stop();
      }
      if (skipped > 0) throw new CommandFailure(exitCodes.notFound, `${count(skipped, "damaged place")} left out`);
    });
}

/** On a terminal that gets the lines themselves, a bar would stand among them. */
function exportBar(): Progress {
  return process.stdout.isTTY ? { update: () => {}, stop: () => {} } : progressBar("export", "payloads");
}

/** How many payloads there will be; 0 where the store does not count them, and the bar is left out. */
async function countOf(store: CommandStore, tenant: string): Promise<number> {
  const counted = await store.stats({ tenant }).catch(() => undefined);
  return counted?.payloads ?? 0;
}

/** Gets what is damaged. It throws what is something else. */
type Skip = (what: string, error: unknown) => void;

async function* exported(
  store: CommandStore,
  tenant: string,
  group: string | undefined,
  { skip, progress }: { readonly skip: Skip | undefined; readonly progress: Progress },
): AsyncGenerator<string | Uint8Array> {
  const linesOf = (name: string) =>
    skip ? wholeLines(store, { tenant, group: name }, skip) : store.exportLines({ tenant, group: name });
  if (group !== undefined) {
    let empty = true;
    for await (const piece of linesOf(group)) {
      empty = false;
      yield piece;
    }
    if (empty) throw new CommandFailure(exitCodes.notFound, `no group ${printable(group)}`);
    return;
  }
  try {
    const total = await countOf(store, tenant);
    let done = 0;
    progress.update(done, total);
    for await (const { group: name, payloads } of store.groups({ tenant })) {
      yield* linesOf(name);
      done += payloads;
      progress.update(done, total);
    }
  } catch (error) {
    if (!skip) throw error;
    skip("groups that nothing names any more", error);
  }
}

/** The payloads of a group that can be read, each by itself. */
async function* wholeLines(
  store: CommandStore,
  { tenant, group }: { readonly tenant: string; readonly group: string },
  skip: Skip,
): AsyncGenerator<string> {
  try {
    for await (const { id, contentType, attributes } of store.list({ tenant, group })) {
      const body = await store.get({ tenant, group, id }).catch((error: unknown) => {
        skip(`payload ${printable(id)} of group ${printable(group)}`, error);
      });
      if (body) yield `${formatLine({ group, id, body, contentType, attributes })}\n`;
    }
  } catch (error) {
    skip(`group ${printable(group)}`, error);
  }
}
