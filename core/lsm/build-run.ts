import { ChangeTable } from "./change-table.ts";
import { byPart } from "./by-part.ts";
import { partBitsFor, type RunShape } from "./run-format.ts";
import { RunWriter } from "./run-writer.ts";

/** What a run is built from: another run, or the changes of an overlay. */
export interface RunSource {
  /** Keys in it. */
  readonly keys: number;
  /** It can give its keys by windows of the first bits of their hash, of up to so many bits. */
  readonly windowBits: number;
  /** Applies the changes of a window's keys; stops now and then, when others may run. */
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
}

/**
 * Merges sources into one run, window by window of the hash. It stops after each part, some 2,000 keys or 2 ms, so that
 * others may run.
 *
 * Memory: a window's keys, and the resident part of the run. Cost: about 1 µs a key.
 * @returns the run's shape; without keys, nothing was written
 */
export function* buildRun(build: RunBuild): Generator<void, RunShape> {
  const keysMax = build.sources.reduce((sum, source) => sum + source.keys, 0);
  const partBits = partBitsFor(keysMax);
  const windowBits = Math.min(partBits, ...build.sources.map((source) => source.windowBits));
  const writer = new RunWriter(keysMax, partBits, build);
  for (let window = 0; window < 2 ** windowBits; window++) {
    const table = new ChangeTable(build.sources.length === 1 ? 0 : keysMax / 2 ** windowBits);
    for (const source of build.sources) yield* source.window(window, windowBits, table);
    const columns = table.columns();
    yield;
    const parts = yield* byPart(columns, partBits, windowBits, build);
    yield;
    for (let i = 0; i + 1 < parts.ends.length; i++) {
      writer.addPart(parts.columns, parts.ends[i]!, parts.ends[i + 1]!);
      yield;
    }
  }
  return yield* writer.finish();
}
