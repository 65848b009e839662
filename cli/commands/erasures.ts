import { Command } from "commander";
import type { Erasure } from "../../core/erasure/erasure.ts";
import { someOf } from "../damage-lines.ts";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { type Globals, optionsOf } from "../globals.ts";
import { withStore } from "../open-store.ts";
import { count, printable, write, writeAll, writeJson } from "../output.ts";
import { table } from "../table.ts";

export function erasuresCommand(): Command {
  return new Command("erasures")
    .description(
      "List the erasures of a tenant, and how far they are; or show the receipt of one. With --json their receipts.",
    )
    .argument("[erasure]")
    .action(async (id: string | undefined, _options: unknown, command: Command) => {
      const options = optionsOf(command);
      if (id !== undefined) return showOne(options, id);
      const { tenant, json } = options;
      const erasures = await withStore(options, "read", (store) => store.erasures({ tenant }));
      if (json) for (const erasure of erasures) await writeJson(erasure);
      else await writeAll(table(columns, new Set(["payloads"]), rowsOf(erasures)));
    });
}

async function showOne(options: Globals, id: string): Promise<void> {
  const { tenant, json } = options;
  const erasure = await withStore(options, "read", (store) => store.erasure({ tenant, erasure: id }));
  if (!erasure) throw new CommandFailure(exitCodes.notFound, `no erasure ${printable(id)}`);
  if (json) return writeJson(erasure);
  await write(describe(erasure));
  await writeAll(table(segmentColumns, new Set(), segmentRows(erasure)));
}

const columns = ["erasure", "state", "payloads", "asked for", "gone"];

async function* rowsOf(erasures: readonly Erasure[]): AsyncGenerator<readonly string[]> {
  for (const { id, state, payloads, requestedMs, goneMs } of erasures) {
    yield [id, state, String(payloads), time(requestedMs), time(goneMs)];
  }
}

/** What each state is, for people. docs/http.md §14. */
const meanings: Readonly<Record<Erasure["state"], string>> = {
  hiding: "some of it may still be answered; the next compaction goes on with it",
  hidden: "no answer has any of it; the next compaction empties the segments that hold its bytes",
  compacting: "no answer has any of it; compaction has not emptied all segments that hold its bytes",
  waiting: "no answer has any of it; the segments that hold its bytes go with a compaction after their grace",
  gone: "no file has any of it",
};

function describe(erasure: Erasure): string {
  const { id, state, selector, requestedMs, hiddenMs, goneMs, groups, payloads, unknown, reason } = erasure;
  const lines = [
    `erasure ${id}: ${state}: ${meanings[state]}`,
    `  of         ${namedBy(selector)}`,
    `  asked for  ${time(requestedMs)}`,
    `  hidden     ${time(hiddenMs)}: ${count(payloads, "payload")} in ${count(groups, "group")}`,
    `  gone       ${time(goneMs)}`,
  ];
  if (reason !== undefined) lines.push(`  held up    ${printable(reason)}`);
  if (unknown.length > 0) lines.push(`  unknown    ${someOf(unknown)}`);
  return `${lines.join("\n")}\n`;
}

function namedBy({ group, ids, where, fromMs, toMs, everything }: Erasure["selector"]): string {
  const parts = [
    everything && "everything",
    group !== undefined && `group ${printable(group)}`,
    ids && `ids ${someOf(ids)}`,
    ...Object.entries(where ?? {}).map(([name, value]) => `${printable(name)}=${printable(value)}`),
    fromMs !== undefined && `committed from ${time(fromMs)}`,
    toMs !== undefined && `committed before ${time(toMs)}`,
  ];
  return parts.filter((part) => typeof part === "string").join(", ");
}

const segmentColumns = ["segment", "state", "SHA-256", "left as it is"];

/** Those that held some of it, then those that hold now what was not to be erased. */
async function* segmentRows({ segments, successors }: Erasure): AsyncGenerator<readonly string[]> {
  for (const { segment, state, sha256 = "-", reason = "" } of segments) yield [segment, state, sha256, reason];
  for (const { segment, sha256 = "-" } of successors) yield [segment, "successor", sha256, ""];
}

function time(ms: number | undefined): string {
  return ms === undefined ? "-" : new Date(ms).toISOString();
}
