import { Command } from "commander";
import { openDisk, type Loss, type RepairOptions, type RepairReport } from "../../core/entries/disk.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { bySegment, reasonAt, type Remark, someOf } from "../damage-lines.ts";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { optionsOf } from "../globals.ts";
import { checkStore, heldBy } from "../open-store.ts";
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
    .description("Set damage aside and serve the rest. Not while a server holds the folder, but for --dry-run.")
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
  checkStore(directory);
  const progress = progressBar("verify", "segments");
  try {
    // What changes nothing needs no lock, and reads beside a server.
    const store = await openDisk(options.dryRun ? { directory, readOnly: true } : { directory });
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
  const remarks = mended.map(({ tenant, segment, reason, frames, quarantined }) => {
    const where = quarantined === undefined ? "" : `; as it was, it is in quarantine/${quarantined}`;
    // Below, the reason stands beside each loss.
    const isSaid = [...lost, ...accepted].some((loss) => loss.segment === segment && loss.reason === reason);
    const why = isSaid ? "" : `${reasonAt(reason, { tenant, segment, start: -1 })}: `;
    return { tenant, segment, line: `${why}${count(frames, "whole frame")} ${would}kept${where}` };
  });
  remarks.push(...restored.map((loss) => remarkOn("restored", loss)));
  remarks.push(...accepted.map((loss) => remarkOn("accepted as lost", loss)));
  remarks.push(...lost.map((loss) => remarkOn("lost", loss)));
  const lines = bySegment(remarks);
  for (const { tenant, group, ids } of deleted)
    lines.push(`deleted in group ${printable(group)} of ${tenant}: ${someOf(ids)}`);
  if (rebuilt) lines.push(`the index ${isDry ? "would be" : "was"} made anew`);
  if (lines.length === 0) lines.push("nothing to repair");
  if (lost.length > 0 && !isDry)
    lines.push("what is lost answers CORRUPT until `paylode repair --accept-loss`, or until its segment is restored");
  return `${lines.join("\n")}\n`;
}

function remarkOn(what: string, { tenant, segment, start, end, reason, group, sequence, ids }: Loss): Remark {
  const place = start === end ? "" : ` bytes ${start}–${end}`;
  const page = sequence === undefined ? "" : `, page ${sequence}`;
  const named = group === undefined ? "" : ` of group ${printable(group)}${page}`;
  const payloads = ids === undefined ? "" : ` with ${count(ids.length, "payload")}, ${someOf(ids)}`;
  return {
    tenant,
    segment,
    line: `${what}:${place}${named}${payloads}: ${reasonAt(reason, { tenant, segment, start })}`,
  };
}
