import { Command } from "commander";
import { openDisk } from "../../core/entries/disk.ts";
import type { PayloadStore } from "../../core/payload-store.ts";
import type { VerifyEstimate } from "../../core/verify/estimate.ts";
import { faultKinds, type VerifyReport } from "../../core/verify/report.ts";
import { bySegment, reasonAt } from "../damage-lines.ts";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { optionsOf } from "../globals.ts";
import { count, note, write, writeJson } from "../output.ts";
import { progressBar } from "../progress.ts";

interface VerifyFlags {
  readonly bucket?: string;
  readonly table?: string;
  readonly estimate?: true;
}

const help = `
Every committed payload is read and compared with its SHA-256, every id is looked up, footers are compared with frames, and what
nothing refers to is told. Faults are of these kinds: ${faultKinds.join(", ")}.
docs/operations.md says what each means. Exit code 1: faults were found; \`paylode repair\` sets them aside.`;

export function verifyCommand(): Command {
  return new Command("verify")
    .description("Read and check every byte of the folder, of all tenants. Works beside a server.")
    .option(
      "--bucket <name>",
      "of a store on AWS, with --table, in place of the folder; it is told first what that costs",
    )
    .option("--table <name>", "see --bucket; the region is the environment's")
    .option("--estimate", "of a store on AWS: tell what it would cost, and read nothing")
    .addHelpText("after", help)
    .action(async (_options: unknown, command: Command) => {
      const { dir, json, bucket, table, estimate } = optionsOf<VerifyFlags>(command);
      if ((bucket === undefined) !== (table === undefined) || (estimate && bucket === undefined))
        throw new CommandFailure(exitCodes.usage, "a store on AWS is named by --bucket and --table");
      const store = bucket !== undefined && table !== undefined ? await openAws(bucket, table) : undefined;
      if (store) {
        const cost = await store.estimateVerify();
        if (estimate) return json ? writeJson(cost) : write(describeCost(cost));
        note(describeCost(cost).trimEnd());
      }
      const report = await verify(store ?? (await openDisk({ directory: dir, readOnly: true })));
      if (json) await writeJson(report);
      else await write(describeReport(report));
      if (report.faults.length > 0) throw new CommandFailure(exitCodes.notFound, count(report.faults.length, "fault"));
    });
}

/** The SDK is loaded by who needs it. */
async function openAws(bucket: string, table: string): Promise<PayloadStore> {
  return (await import("../../core/entries/aws.ts")).openAws({ bucket, table });
}

function describeCost({ segments, bytes, lists, gets, rows, readUnits, dollars }: VerifyEstimate): string {
  const requests = [count(lists, "LIST"), count(gets, "GET"), count(readUnits, "read unit")].join(", ");
  const young = `the table counts its rows every six hours: ${count(rows, "row")} so far`;
  return `${count(segments, "segment")} of ${count(bytes, "byte")}: at most ${requests}, $${dollars.toFixed(4)} by the price list; ${young}\n`;
}

async function verify(store: PayloadStore): Promise<VerifyReport> {
  const progress = progressBar("verify", "segments");
  try {
    return await store.verify({ onProgress: ({ segments, ofSegments }) => progress.update(segments, ofSegments) });
  } finally {
    progress.stop();
    await store.close();
  }
}

/** A report for people: each fault in a line under its segment, then what was read, then what else there is to know. */
export function describeReport(report: VerifyReport): string {
  const { segments, frames, payloads, bytes, ids, superseded, notCompacted, accepted, counts, faults } = report;
  const found = bySegment(
    faults.map((fault) => {
      const { kind, tenant, segment, start, reason } = fault;
      return { tenant, segment, line: `${kind}, byte ${start}: ${reasonAt(reason, fault)}` };
    }),
  ).map((line) => `${line}\n`);
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
