import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { thisMachine, type Machine } from "../../../bench/machine.ts";
import { formatVersion } from "../../../core/segment/header.ts";
import { soakParts } from "./parts.ts";
import type { Progress } from "./progress.ts";

/** docs/records/soak.json: what the last soak did, and with what. */
export interface SoakRecord {
  readonly date: string;
  readonly command: string;
  readonly formatVersion: number;
  /** Over every file of core/, see core-hash.ts. */
  readonly coreSha256: string;
  readonly machine: Machine;
  /** Whether every part has all of its runs. */
  readonly whole: boolean;
  readonly violations: number;
  readonly parts: readonly RecordedPart[];
}

export interface RecordedPart {
  readonly part: string;
  readonly what: string;
  readonly runs: number;
  /** How many make the part whole. */
  readonly wholeRuns: number;
  readonly firstSeed: number;
  readonly lastSeed: number;
  readonly seconds: number;
  readonly figures: Readonly<Record<string, number>>;
  readonly violations: number;
}

const root = path.resolve(import.meta.dirname, "../../..");
export const recordFile = "docs/records/soak.json";

/** Writes what was done, and nothing that was not. */
export function writeRecord(progress: Progress, command: string): void {
  const parts = Object.entries(soakParts).map(([part, { what, runs: wholeRuns, firstSeed: first }]): RecordedPart => {
    const { runs, firstSeed, nextSeed, seconds, figures, violations } = progress.part(part, first);
    return {
      part,
      what,
      runs,
      wholeRuns,
      firstSeed,
      lastSeed: nextSeed - 1,
      seconds: Math.round(seconds),
      figures,
      violations: violations.length,
    };
  });
  const record: SoakRecord = {
    date: new Date().toISOString(),
    command,
    formatVersion,
    coreSha256: progress.coreSha256,
    machine: thisMachine(),
    whole: parts.every(({ runs, wholeRuns }) => runs >= wholeRuns),
    violations: parts.reduce((total, { violations }) => total + violations, 0),
    parts: parts.filter(({ runs }) => runs > 0),
  };
  const file = path.join(root, recordFile);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(record, undefined, 2)}\n`);
  execFileSync(path.join(root, "node_modules/.bin/oxfmt"), [file], { cwd: root, stdio: "ignore" });
  console.error(`written: ${recordFile}`);
}
