import type { ChangeTable } from "./change-table.ts";
import { keepChanges } from "./keep-changes.ts";
import type { MergeSpace } from "./merge-space.ts";
import { partBitsFor, type RunShape } from "./run-format.ts";
import { RunWriter } from "./run-writer.ts";

/** What a run is built from: another run, or the changes of an overlay. */
export interface RunSource {
  /** Keys in it, at most. */
  readonly keys: number;
  /** Applies the changes of the keys whose hash begins with these bits of a number, a step at a time. */
  readonly window: (number: number, bits: number, into: ChangeTable) => Generator<void, void>;
}

export interface RunBuild {
  /** Oldest first. */
  readonly sources: readonly RunSource[];
  /** Nothing older is left: removals have done their work. */
  readonly bottom: boolean;
  /** Keys that are left out. */
  readonly keeps?: ((key0: number, key1: number) => boolean) | undefined;
  /** Takes the bytes of the run, in order; it must not keep them. */
  readonly write: (bytes: Uint8Array) => void;
  readonly crc32: (bytes: Uint8Array, seed?: number) => number;
  readonly space: MergeSpace;
}

/**
 * Merges sources into one run, part by part. It stops after each step, of some 256 keys or 30 µs, so that
 * others may run: no step grows with the run.
 *
 * Memory: a part's keys, and the resident part of the run. Cost: about 1 µs a key.
 * @returns the run's shape; without keys, nothing was written
 */
export function* buildRun(build: RunBuild): Generator<void, RunShape> {
  const keysMax = build.sources.reduce((sum, source) => sum + source.keys, 0);
  const partBits = partBitsFor(keysMax);
  const writer = new RunWriter(keysMax, partBits, build);
  const { table, columns } = build.space;
  for (let part = 0; part < 2 ** partBits; part++) {
    table.clear(keysMax / 2 ** partBits);
    for (const source of build.sources) yield* source.window(part, partBits, table);
    yield* table.gather(columns);
    yield* keepChanges(columns, build);
    yield* writer.addPart(columns);
  }
  return yield* writer.finish();
}
