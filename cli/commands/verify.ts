import { Command } from "commander";
import { openDisk } from "../../core/entries/disk.ts";
import type { VerifyReport } from "../../core/verify.ts";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { optionsOf } from "../globals.ts";
import { count, write, writeJson } from "../output.ts";
import { progressBar } from "../progress.ts";

export function verifyCommand(): Command {
  return new Command("verify")
    .description("Read and check every byte of the folder, of all tenants. Works beside a server.")
    .action(async (_options: unknown, command: Command) => {
      const { dir, json } = optionsOf(command);
      const report = await verify(dir);
      if (json) await writeJson(report);
      else await write(describe(report));
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

function describe({ segments, frames, payloads, bytes, faults }: VerifyReport): string {
  const read = [count(segments, "segment"), count(frames, "frame"), count(payloads, "payload"), count(bytes, "byte")];
  const found = faults.map(({ kind, tenant, segment, start, reason }) => {
    const place = `segment ${tenant}/${segment}, byte ${start}`;
    return `${kind}: ${place}: ${reason}\n`;
  });
  return `${found.join("")}read ${read.join(", ")}; ${faults.length === 0 ? "no faults" : count(faults.length, "fault")}\n`;
}
