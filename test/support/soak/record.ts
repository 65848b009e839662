import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { thisMachine, type Machine } from "../../../bench/machine.ts";
import { isSameLineage, type Lineage, lineageOf } from "./lineage.ts";
import type { SoakPart } from "./part.ts";
import { soakParts } from "./parts.ts";
import type { PartProgress } from "./progress.ts";

/** docs/records/soak.json: of each part what was done last, and with what. */
export interface SoakRecord {
  readonly parts: readonly RecordedPart[];
}

/** Counts of seeds `firstSeed` … `lastSeed`, each once, all with the core and the versions that stand here. */
export interface RecordedPart extends Lineage {
  readonly part: string;
  readonly what: string;
  /** When the last of its runs ended. */
  readonly date: string;
  readonly command: string;
  /** Over every file of core/, see core-hash.ts. */
  readonly coreSha256: string;
  readonly machine: Machine;
  readonly runs: number;
  /** How many made the part whole. */
  readonly wholeRuns: number;
  readonly firstSeed: number;
  readonly lastSeed: number;
  readonly seconds: number;
  readonly figures: Readonly<Record<string, number>>;
  readonly violations: number;
}

const root = path.resolve(import.meta.dirname, "../../..");
export const recordFile = path.join(root, "docs/records/soak.json");

export function readRecord(): SoakRecord {
  if (!existsSync(recordFile)) return { parts: [] };
  return JSON.parse(readFileSync(recordFile, "utf8")) as SoakRecord;
}

/** What is wrong with a record: a sentence each. */
export function complaintsOf(record: SoakRecord, parts: Readonly<Record<string, SoakPart>> = soakParts): string[] {
  return record.parts.flatMap((recorded) => {
    const part = parts[recorded.part];
    if (!part) return [`${recorded.part}: there is no such part of the soak any more`];
    const again = `npm run soak -- --parts ${recorded.part} --record`;
    const is = JSON.stringify(lineageOf(part));
    return [
      ...(isSameLineage(recorded, lineageOf(part)) ? [] : [`${recorded.part} was not counted with ${is}: ${again}`]),
      ...(recorded.violations === 0 ? [] : [`${recorded.part}: ${recorded.violations} violations`]),
    ];
  });
}

/** Writes what was done of some parts, and nothing that was not; of the others it leaves what is there. */
export function writeRecord(done: ReadonlyMap<string, PartProgress>, command: string): void {
  const there = new Map(readRecord().parts.map((recorded) => [recorded.part, recorded]));
  for (const [name, progress] of done) there.set(name, recordedPart(name, progress, command));
  const parts = Object.keys(soakParts).flatMap((name) => there.get(name) ?? []);
  mkdirSync(path.dirname(recordFile), { recursive: true });
  writeFileSync(recordFile, `${JSON.stringify({ parts }, undefined, 2)}\n`);
  execFileSync(path.join(root, "node_modules/.bin/oxfmt"), [recordFile], { cwd: root, stdio: "ignore" });
  console.error(`written: ${path.relative(root, recordFile)}, ${[...done.keys()].join(", ")}`);
}

function recordedPart(name: string, progress: PartProgress, command: string): RecordedPart {
  const { what, runs: wholeRuns } = soakParts[name]!;
  const { formatVersion, rowProtocolVersion } = progress;
  return {
    part: name,
    what,
    date: progress.date,
    command,
    formatVersion,
    ...(rowProtocolVersion === undefined ? {} : { rowProtocolVersion }),
    coreSha256: progress.coreSha256,
    machine: thisMachine(),
    runs: progress.runs,
    wholeRuns,
    firstSeed: progress.firstSeed,
    lastSeed: progress.nextSeed - 1,
    seconds: Math.round(progress.seconds),
    figures: progress.figures,
    violations: progress.violations.length,
  };
}
