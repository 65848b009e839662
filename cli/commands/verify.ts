import { Command } from "commander";
import { openDisk } from "../../core/entries/disk.ts";
import { faultKinds, type VerifyReport } from "../../core/verify/report.ts";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { optionsOf } from "../globals.ts";
import { count, write, writeJson } from "../output.ts";
import { progressBar } from "../progress.ts";

const help = `
Every committed payload is read and compared with its SHA-256, every id is looked up, footers are compared with frames, and what
nothing refers to is told. Faults are of these kinds: ${faultKinds.join(", ")}.
docs/operations.md says what each means. Exit code 1: faults were found; \`paylode repair\` sets them aside.`;

export function verifyCommand(): Command {
  return new Command("verify")
    .description("Read and check every byte of the folder, of all tenants. Works beside a server.")
    .addHelpText("after", help)
    .action(async (_options: unknown, command: Command) => {
      const { dir, json } = optionsOf(command);
      const report = await verify(dir);
      if (json) await writeJson(report);
      else await write(describeReport(report));
      if (report.faults.length > 0) throw new CommandFailure(exitCodes.notFound, count(report.faults.length, "fault"));
    });
}

async function verify(directory: string): Promise<VerifyReport> {
  const store = await openDisk({ directory, readOnly: true });
  const progress = progressBar("verify", "segments");
  try {
    return await store.verify({ onProgress: ({ segments, ofSegments }) => progress.update(segments, ofSegments) });
  } finally {
    progress.stop();
    await store.close();
  }
}

/** A report for people: each fault in a line, then what was read, then what else there is to know. */
export function describeReport(report: VerifyReport): string {
  const { segments, frames, payloads, bytes, ids, superseded, notCompacted, accepted, counts, faults } = report;
  const found = faults.map(({ kind, tenant, segment, start, reason }) => {
    const place = `segment ${tenant}/${segment}, byte ${start}`;
    return `${kind}: ${place}: ${reason}\n`;
  });
  const read = [
    count(segments, "segment"),
    count(frames, "frame"),
    count(payloads, "payload"),
    count(bytes, "byte"),
    count(ids, "living id"),
  ];
  const kinds = faultKinds.filter((kind) => counts[kind] > 0).map((kind) => `${counts[kind]} ${kind}`);
  const result = faults.length === 0 ? "no faults" : `${count(faults.length, "fault")} (${kinds.join(", ")})`;
  const more = [
    superseded.segments > 0 &&
      `${count(superseded.segments, "segment")} of ${count(superseded.bytes, "byte")} wait to be removed by compaction\n`,
    accepted > 0 && `${count(accepted, "damaged place")} whose loss was accepted\n`,
    notCompacted.length > 0 && `compaction leaves damaged segments as they are: ${notCompacted.join(", ")}\n`,
  ];
  return `${found.join("")}read ${read.join(", ")}; ${result}\n${more.filter(Boolean).join("")}`;
}
