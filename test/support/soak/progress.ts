import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { coreSha256 } from "./core-hash.ts";
import { isSameLineage, type Lineage, lineageOf } from "./lineage.ts";
import type { ChunkResult, SoakPart, Violation } from "./part.ts";

/** How far a part is. Its runs had the seeds `firstSeed` … `nextSeed` − 1, each once. */
export interface PartProgress extends Lineage {
  /** Of all its runs. */
  readonly coreSha256: string;
  readonly firstSeed: number;
  nextSeed: number;
  runs: number;
  chunks: number;
  /** Sum over its chunks, of which several may run at a time. */
  seconds: number;
  figures: Record<string, number>;
  violations: Violation[];
  /** Seeds that were given out to a chunk that did not end: run first when the soak goes on. */
  open: { firstSeed: number; count: number }[];
  /** When its last chunk ended. */
  date: string;
}

const folder = path.resolve(import.meta.dirname, "../../../.soak");
const file = path.join(folder, "state.json");

/** What the soak has done so far, kept in `.soak/state.json` after each chunk: a part at a time, each with one core. */
export class Progress {
  readonly #parts: Record<string, PartProgress>;
  readonly coreSha256: string = coreSha256();

  private constructor(parts: Record<string, PartProgress>) {
    this.#parts = parts;
  }

  static load(): Progress {
    return new Progress(read());
  }

  /** Whether core is still the one that the soak began, or went on, with. */
  get isCurrent(): boolean {
    return coreSha256() === this.coreSha256;
  }

  /** A part that goes on. What was done with another core, or is to be forgotten, is no part of it: it begins anew. */
  part(name: string, part: SoakPart, fresh: boolean): PartProgress {
    const kept = this.#parts[name];
    const lineage = lineageOf(part);
    const goesOn = kept?.coreSha256 === this.coreSha256 && isSameLineage(kept, lineage);
    if (kept && goesOn && !fresh) return kept;
    if (kept && !goesOn) console.error(`${name}: core has changed since it began: it begins anew`);
    const begun: PartProgress = {
      ...lineage,
      coreSha256: this.coreSha256,
      firstSeed: part.firstSeed,
      nextSeed: part.firstSeed,
      runs: 0,
      chunks: 0,
      seconds: 0,
      figures: {},
      violations: [],
      open: [],
      date: new Date().toISOString(),
    };
    this.#parts[name] = begun;
    return begun;
  }

  /** The next seeds of a part, at most `count`: those of a chunk that did not end, else new ones. */
  take(part: PartProgress, count: number): { firstSeed: number; count: number } {
    const left = part.open.shift();
    if (left) return left;
    const taken = { firstSeed: part.nextSeed, count };
    part.nextSeed += count;
    return taken;
  }

  add(part: PartProgress, { runs, figures, violations }: ChunkResult, seconds: number): void {
    part.runs += runs;
    part.chunks += 1;
    part.seconds += seconds;
    part.date = new Date().toISOString();
    for (const [name, value] of Object.entries(figures)) part.figures[name] = (part.figures[name] ?? 0) + value;
    part.violations.push(...violations);
  }

  save(underWay: Iterable<{ part: PartProgress; firstSeed: number; count: number }>): void {
    const parts = structuredClone(this.#parts);
    for (const { part, firstSeed, count } of underWay) {
      const name = Object.keys(parts).find((each) => this.#parts[each] === part);
      if (name !== undefined) parts[name]?.open.push({ firstSeed, count });
    }
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${file}.tmp`, JSON.stringify({ parts }));
    renameSync(`${file}.tmp`, file);
  }
}

function read(): Record<string, PartProgress> {
  try {
    const { parts } = JSON.parse(readFileSync(file, "utf8")) as { parts?: Record<string, PartProgress> };
    return parts ?? {};
  } catch {
    return {};
  }
}
