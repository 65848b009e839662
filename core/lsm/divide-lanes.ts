import { byPart } from "./by-part.ts";
import type { RunBuild } from "./build-run.ts";
import { several } from "./change.ts";
import { ChangeTable } from "./change-table.ts";
import { jumpHash } from "./jump-hash.ts";
import type { Lane } from "./lane-map.ts";
import { partBitsFor } from "./run-format.ts";
import { RunWriter } from "./run-writer.ts";

const keysBetweenStops = 4096;

export interface LaneDivision {
  readonly lanes: readonly Lane[];
  /** How many lanes there shall be, more than there are. */
  readonly into: number;
  /** Takes the bytes of the run of a new lane, in order; it must not keep them. */
  readonly write: (lane: number, bytes: Uint8Array) => void;
  readonly crc32: RunBuild["crc32"];
}

/**
 * Writes a run for each new lane, of the keys in runs that jump hash sends there: their share, and no others. The runs of
 * the old lanes stay as they are; what has moved is not asked of them any more, and left out when they are merged next.
 *
 * Cost: one pass over all runs, about 0.5 µs a key, and 1 µs for one that moves. It stops after each part.
 * @returns how many keys moved
 */
export function* divideLanes({ lanes, into, write, crc32 }: LaneDivision): Generator<void, number> {
  const sources = lanes.map(({ runs }) => runs.flatMap((run) => run ?? []).toReversed());
  const keys = sources.flat().reduce((sum, run) => sum + run.keys, 0);
  const partBits = partBitsFor(Math.ceil(keys / into));
  const windowBits = Math.min(partBits, ...sources.flat().map((run) => run.windowBits));
  const writers = Array.from({ length: into - lanes.length }, (_, i) => {
    const lane = lanes.length + i;
    return new RunWriter(Math.ceil(keys / into), partBits, { write: (bytes) => write(lane, bytes), crc32 });
  });
  let moved = 0;
  for (let window = 0; window < 2 ** windowBits; window++) {
    const tables = writers.map(() => new ChangeTable());
    for (const [number, runs] of sources.entries()) {
      const table = new ChangeTable();
      for (const run of runs) yield* run.window(window, windowBits, table);
      const columns = table.columns();
      for (let i = 0; i < columns.keys; i++) {
        if (i % keysBetweenStops === keysBetweenStops - 1) yield;
        const key0 = columns.key0[i]!;
        const key1 = columns.key1[i]!;
        const lane = jumpHash(key0, key1, into);
        // A run may have keys that moved to another lane before: what it says of them is old.
        if (lane < lanes.length || jumpHash(key0, key1, lanes.length) !== number) continue;
        const kind = columns.kind[i] as Parameters<ChangeTable["apply"]>[2];
        const value = columns.value[i]! >>> 0;
        const whole = kind === several ? columns.several[value] : undefined;
        tables[lane - lanes.length]!.apply(key0, key1, kind, value, whole);
      }
      yield;
    }
    for (const [i, writer] of writers.entries()) {
      const { columns, ends } = yield* byPart(tables[i]!.columns(), partBits, windowBits, { bottom: true });
      for (let part = 0; part + 1 < ends.length; part++) {
        writer.addPart(columns, ends[part]!, ends[part + 1]!);
        moved += ends[part + 1]! - ends[part]!;
        yield;
      }
    }
  }
  for (const writer of writers) {
    yield* writer.finish();
  }
  return moved;
}
