import { existsSync } from "node:fs";
import { Command } from "commander";
import { openDisk, type Loss, type RepairOptions, type RepairReport } from "../../core/entries/disk.ts";
import { isPayloadStoreError, PayloadStoreError } from "../../core/errors.ts";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { optionsOf } from "../globals.ts";
import { heldBy } from "../open-store.ts";
import { count, printable, write, writeJson } from "../output.ts";
import { progressBar } from "../progress.ts";

const help = `
Damaged segments are copied to quarantine/, with a note of what was lost, and mended ones take their places. What was lost
answers CORRUPT until --accept-loss: from then on it is absent, and lists and counts of its groups answer again. It may be run as
often as one likes. A segment that is restored from a copy is found whole by the next repair.
Exit code 1: something is lost and not accepted.`;

interface RepairFlags {
  readonly dryRun?: true;
  readonly acceptLoss?: true;
}

export function repairCommand(): Command {
  return new Command("repair")
    .description("Set damage aside and serve the rest. Not while a server holds the folder.")
    .option("--dry-run", "say what would be done, and do nothing")
    .option("--accept-loss", "let what is lost be absent, for good")
    .addHelpText("after", help)
    .action(async (_options: unknown, command: Command) => {
      const { dir, json, dryRun, acceptLoss } = optionsOf<RepairFlags>(command);
      const report = await repair(dir, { dryRun, acceptLoss });
      if (json) await writeJson(report);
      else await write(describe(report, dryRun === true));
      if (report.lost.length > 0)
        throw new CommandFailure(exitCodes.notFound, `${count(report.lost.length, "loss")} not accepted`);
    });
}

async function repair(directory: string, options: RepairOptions): Promise<RepairReport> {
  if (!existsSync(directory)) throw new PayloadStoreError("NOT_FOUND", `there is no store at ${directory}`);
  const progress = progressBar("verify", "segments");
  try {
    const store = await openDisk({ directory });
    try {
      const onProgress: RepairOptions["onProgress"] = ({ segments, ofSegments }) =>
        progress.update(segments, ofSegments);
      return await store.repair({ ...options, onProgress });
    } finally {
      await store.close();
    }
  } catch (error) {
    throw isPayloadStoreError(error, "LOCKED") ? heldBy(directory, error) : error;
  } finally {
    progress.stop();
  }
}

function describe({ mended, lost, restored, accepted, deleted, rebuilt }: RepairReport, isDry: boolean): string {
  const would = isDry ? "would be " : "";
  const lines = mended.map(({ tenant, segment, reason, frames, quarantined }) => {
    const where = quarantined === undefined ? "" : `, the damaged one is in quarantine/${quarantined}`;
    return `segment ${tenant}/${segment}: ${reason}: ${count(frames, "whole frame")} ${would}kept${where}`;
  });
  lines.push(...restored.map((loss) => `restored: ${nameOf(loss)}`));
  lines.push(...accepted.map((loss) => `accepted as lost: ${nameOf(loss)}`));
  for (const { tenant, group, ids } of deleted)
    lines.push(`deleted in group ${printable(group)} of ${tenant}: ${ids.map(printable).join(", ")}`);
  lines.push(...lost.map((loss) => `lost: ${nameOf(loss)}`));
  if (rebuilt) lines.push(`the index ${isDry ? "would be" : "was"} made anew`);
  if (lines.length === 0) lines.push("nothing to repair");
  if (lost.length > 0 && !isDry)
    lines.push("what is lost answers CORRUPT until `paylode repair --accept-loss`, or until its segment is restored");
  return `${lines.join("\n")}\n`;
}

function nameOf({ tenant, segment, start, end, reason, group, sequence, ids }: Loss): string {
  const what =
    group === undefined ? "" : ` (group ${printable(group)}${sequence === undefined ? "" : `, page ${sequence}`})`;
  const payloads = ids === undefined ? "" : ` ids ${ids.map(printable).join(", ")};`;
  return `segment ${tenant}/${segment}, bytes ${start}–${end}${what}:${payloads} ${reason}`;
}
