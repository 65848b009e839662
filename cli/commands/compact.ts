import { Command, Option } from "commander";
import type { CompactionReport } from "../../core/compaction/compaction.ts";
import { liveBytes } from "../../core/compaction/plan.ts";
import { openDisk } from "../../core/entries/disk.ts";
import { bearerKey } from "../bearer-key.ts";
import { CommandFailure, exitCodes } from "../exit-codes.ts";
import { type Globals, optionsOf, parseInterval } from "../globals.ts";
import { checkStore, holderOf, type Place } from "../open-store.ts";
import { count, write, writeJson } from "../output.ts";
import { type Progress, progressBar } from "../progress.ts";
import { compactServer, pauseServer, type ServersAddress } from "../server-compaction.ts";

interface CompactFlags {
  /** In milliseconds. */
  readonly grace: number;
  readonly dryRun?: true;
  readonly pause?: true;
  readonly resume?: true;
}

const help = `
A server compacts by itself, each ten minutes; beside one, or with --url, it is asked to do so now. For that, a server that asks for keys
needs one with the scope admin. --dry-run looks into the folder, also beside a server.`;

export function compactCommand(): Command {
  return new Command("compact")
    .description("Give back the room of what is dead, and lay groups together.")
    .addOption(
      new Option("--grace <duration>", "how long what was rewritten is kept for who still reads it, such as 5m or 300")
        .argParser(parseInterval)
        .default(300_000, "5m"),
    )
    .option("--dry-run", "only tell what would be done, and what it costs")
    .addOption(new Option("--pause", "let the server begin no run by itself, until --resume or its next start"))
    .addOption(new Option("--resume", "let the server go on by itself").conflicts(["pause", "dryRun"]))
    .addHelpText("after", help)
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf<CompactFlags>(command);
      const { json, grace, dryRun, pause, resume } = options;
      if (pause || resume) return setPaused(options, pause === true);
      const report = dryRun ? await planned(options) : await compact(options, grace);
      if (json) await writeJson(report);
      else await write(dryRun ? describePlan(report) : describe(report));
    });
}

async function planned({ dir: directory, url }: Globals): Promise<CompactionReport> {
  if (url !== undefined)
    throw new CommandFailure(exitCodes.usage, "compact --dry-run works on the folder itself: leave --url out");
  checkStore(directory);
  const store = await openDisk({ directory, readOnly: true });
  try {
    return await store.compact({ dryRun: true });
  } finally {
    await store.close();
  }
}

async function compact(place: Place, graceMs: number): Promise<CompactionReport> {
  const progress = progressBar("compact", "segments");
  try {
    return await compactAt(place, graceMs, progress);
  } finally {
    progress.stop();
  }
}

async function compactAt(place: Place, graceMs: number, progress: Progress): Promise<CompactionReport> {
  const told = (segments: number, ofSegments: number) => progress.update(segments, ofSegments);
  if (place.url !== undefined) return compactServer(await addressOf(place, place.url), graceMs, told);
  checkStore(place.dir);
  let store: Awaited<ReturnType<typeof openDisk>>;
  try {
    store = await openDisk({ directory: place.dir });
  } catch (error) {
    return compactServer(await holderOf(place, error), graceMs, told);
  }
  try {
    return await store.compact({
      graceMs,
      onProgress: ({ segments, ofSegments, share = 0 }) => told(segments + share, ofSegments),
    });
  } finally {
    await store.close();
  }
}

async function setPaused(options: Globals, paused: boolean): Promise<void> {
  const state = await pauseServer(await serverAt(options), paused);
  if (options.json) return writeJson(state);
  await write(paused ? "compaction is paused, until --resume or the server's next start\n" : "compaction goes on\n");
}

/** The server that is named, or that holds the folder. */
async function serverAt(place: Place): Promise<ServersAddress> {
  if (place.url !== undefined) return addressOf(place, place.url);
  checkStore(place.dir);
  try {
    await (await openDisk({ directory: place.dir })).close();
  } catch (error) {
    return holderOf(place, error);
  }
  throw new CommandFailure(exitCodes.store, `no server holds ${place.dir}: nothing compacts it by itself`);
}

async function addressOf(place: Place, url: string): Promise<ServersAddress> {
  return { url, bearer: await bearerKey(place) };
}

function describePlan({ plan, waiting }: CompactionReport): string {
  const lines = plan.segments.map(({ usage, reason }) => {
    const { tenant, segment, bytes } = usage;
    return `${reason}: segment ${tenant}/${segment}, ${count(bytes, "byte")}, ${count(liveBytes(usage), "byte")} alive\n`;
  });
  const sum = `${count(plan.segments.length, "segment")} to compact`;
  const costs = `some ${count(plan.rewrittenBytes, "byte")} to write again, ${count(plan.freedBytes, "byte")} to free`;
  const note =
    plan.rewrittenBytes === 0
      ? ""
      : "An estimate: stronger compression makes what is written less, groups that reach into other segments more.\n";
  return `${lines.join("")}${sum}: ${costs}\n${note}${waitingLine(waiting)}`;
}

function waitingLine(waiting: number): string {
  return waiting === 0 ? "" : `${count(waiting, "segment")} compacted before will go once the grace is over\n`;
}

/** What had expired, by what it was kept by. */
function expiredLines({ byRetention }: CompactionReport["expired"]): string {
  const by = Object.entries(byRetention).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const named = (name: string) =>
    name === "_default"
      ? "of no class"
      : name === "_own"
        ? "with an expiry of their own, or of a class that is not known here"
        : `of class ${name}`;
  return by
    .map(
      ([name, { payloads, bytes }]) =>
        `expired: ${count(payloads, "payload")} ${named(name)}, ${count(bytes, "byte")}\n`,
    )
    .join("");
}

function describe(report: CompactionReport): string {
  const { segments, bytesOut, freed, freedBytes, waiting, skipped, complete } = report;
  const left = skipped.map(({ tenant, segment, group, reason }) => {
    const place = group === undefined ? "" : `, group ${JSON.stringify(group)}`;
    return `left as it is: segment ${tenant}/${segment}${place}: ${reason}\n`;
  });
  const done = `compacted ${count(segments.length, "segment")}, wrote ${count(bytesOut, "byte")}`;
  const gone = `freed ${count(freed.length, "segment")}, ${count(freedBytes, "byte")}`;
  const later = waiting > 0 ? `; ${count(waiting, "segment")} will go once the grace is over` : "";
  return `${left.join("")}${expiredLines(report.expired)}${done}; ${gone}${later}${complete ? "" : "; there is more to do"}\n`;
}
