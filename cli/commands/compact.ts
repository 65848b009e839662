import { Command, Option } from "commander";
import type { CompactionReport } from "../../core/compaction/compaction.ts";
import { liveBytes } from "../../core/compaction/plan.ts";
import { openDisk } from "../../core/entries/disk.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { optionsOf, parseSeconds } from "../globals.ts";
import { heldBy } from "../open-store.ts";
import { count, write, writeJson } from "../output.ts";
import { progressBar } from "../progress.ts";

interface CompactOptions {
  readonly grace: number;
  readonly dryRun?: boolean;
}

export function compactCommand(): Command {
  return new Command("compact")
    .description("Give back the room of what is dead, and lay groups together. A server does so by itself.")
    .addOption(
      new Option("--grace <seconds>", "how long what was rewritten is kept for who still reads it")
        .argParser(parseSeconds)
        .default(300),
    )
    .option("--dry-run", "only tell what would be done, and what it costs")
    .action(async (_options: unknown, command: Command) => {
      const { dir, json, grace, dryRun = false } = optionsOf<CompactOptions>(command);
      const report = await compact(dir, grace * 1_000, dryRun);
      if (json) await writeJson(report);
      else await write(dryRun ? describePlan(report) : describe(report));
    });
}

async function compact(directory: string, graceMs: number, dryRun: boolean): Promise<CompactionReport> {
  const store = await openDisk(dryRun ? { directory, readOnly: true } : { directory }).catch((error: unknown) => {
    if (!isPayloadStoreError(error, "LOCKED")) throw error;
    const held = heldBy(directory, error).message;
    throw new CommandFailure(exitCodes.store, `${held}: a server compacts by itself, see paylode serve --help`);
  });
  const progress = progressBar("compact", "segments");
  try {
    return await store.compact({
      graceMs,
      dryRun,
      onProgress: ({ segments, ofSegments }) => progress.update(segments, ofSegments),
    });
  } finally {
    progress.stop();
    await store.close();
  }
}

function describePlan({ plan }: CompactionReport): string {
  const lines = plan.segments.map(({ usage, reason }) => {
    const { tenant, segment, bytes } = usage;
    return `${reason}: segment ${tenant}/${segment}, ${count(bytes, "byte")}, of which ${liveBytes(usage)} are alive\n`;
  });
  const sum = `${count(plan.segments.length, "segment")} to compact`;
  return `${lines.join("")}${sum}: writes ${count(plan.rewrittenBytes, "byte")}, frees ${plan.freedBytes}\n`;
}

function describe({ segments, bytesOut, freed, freedBytes, waiting, skipped, complete }: CompactionReport): string {
  const left = skipped.map(({ tenant, segment, group, reason }) => {
    const place = group === undefined ? "" : `, group ${JSON.stringify(group)}`;
    return `left as it is: segment ${tenant}/${segment}${place}: ${reason}\n`;
  });
  const done = `compacted ${count(segments.length, "segment")}, wrote ${count(bytesOut, "byte")}`;
  const gone = `freed ${count(freed.length, "segment")}, ${count(freedBytes, "byte")}`;
  const later = waiting > 0 ? `; ${count(waiting, "segment")} will go once the grace is over` : "";
  return `${left.join("")}${done}; ${gone}${later}${complete ? "" : "; there is more to do"}\n`;
}
