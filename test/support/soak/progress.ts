import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { formatVersion } from "../../../core/segment/header.ts";
import { coreSha256 } from "./core-hash.ts";
import type { ChunkResult, Violation } from "./part.ts";

/** How far a part is. Its runs had the seeds `firstSeed` … `nextSeed` − 1, each once. */
export interface PartProgress {
  firstSeed: number;
  nextSeed: number;
  runs: number;
  chunks: number;
  /** Sum over its chunks; two run at a time. */
  seconds: number;
  figures: Record<string, number>;
  violations: Violation[];
  /** Seeds that were given out to a chunk that did not end: run first when the soak goes on. */
  open: { firstSeed: number; count: number }[];
}

interface State {
  readonly formatVersion: number;
  readonly coreSha256: string;
  readonly parts: Record<string, PartProgress>;
}

const folder = path.resolve(import.meta.dirname, "../../../.soak");
const file = path.join(folder, "state.json");

/** What the soak has done so far, kept in `.soak/state.json` after each chunk. */
export class Progress {
  readonly #state: State;

  private constructor(state: State) {
    this.#state = state;
  }

  /** What was done with another core is no part of this soak: it begins anew. */
  static load(fresh: boolean): Progress {
    const now = { formatVersion, coreSha256: coreSha256() };
    const kept = fresh ? undefined : read();
    if (kept?.formatVersion === now.formatVersion && kept.coreSha256 === now.coreSha256) return new Progress(kept);
    if (kept) console.error("core has changed since the soak began: it begins anew");
    return new Progress({ ...now, parts: {} });
  }

  get coreSha256(): string {
    return this.#state.coreSha256;
  }

  /** Whether core is still the one that the soak began with. */
  get isCurrent(): boolean {
    return coreSha256() === this.#state.coreSha256;
  }

  part(name: string, firstSeed: number): PartProgress {
    return (this.#state.parts[name] ??= {
      firstSeed,
      nextSeed: firstSeed,
      runs: 0,
      chunks: 0,
      seconds: 0,
      figures: {},
      violations: [],
      open: [],
    });
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
    for (const [name, value] of Object.entries(figures)) part.figures[name] = (part.figures[name] ?? 0) + value;
    part.violations.push(...violations);
  }

  save(underWay: Iterable<{ part: PartProgress; firstSeed: number; count: number }>): void {
    const parts = structuredClone(this.#state.parts);
    for (const { part, firstSeed, count } of underWay) {
      const name = Object.keys(parts).find((each) => this.#state.parts[each] === part);
      if (name !== undefined) parts[name]?.open.push({ firstSeed, count });
    }
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${file}.tmp`, JSON.stringify({ ...this.#state, parts }));
    renameSync(`${file}.tmp`, file);
  }
}

function read(): State | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as State;
  } catch {
    return undefined;
  }
}
