import type { RunBuild } from "./build-run.ts";
import { several, type ChangeKind } from "./change.ts";
import type { ChangeColumns } from "./change-columns.ts";
import { ChangeTable } from "./change-table.ts";
import { keysPerStep } from "./index-bounds.ts";
import { jumpHash } from "./jump-hash.ts";
import { keepChanges } from "./keep-changes.ts";
import type { Lane } from "./lane-map.ts";
import type { MergeSpace } from "./merge-space.ts";
import { partBitsFor } from "./run-format.ts";
import { RunWriter } from "./run-writer.ts";

export interface LaneDivision {
  readonly lanes: readonly Lane[];
  /** How many lanes there shall be, more than there are. */
  readonly into: number;
  /** Takes the bytes of the run of a new lane, in order; it must not keep them. */
  readonly write: (lane: number, bytes: Uint8Array) => void;
  readonly crc32: RunBuild["crc32"];
  readonly space: MergeSpace;
}

/**
 * Writes a run for each new lane, of the keys in runs that jump hash sends there: their share, and no others. The runs of
 * the old lanes stay as they are; what has moved is not asked of them any more, and left out when they are merged next.
 *
 * Cost: one pass over all runs, about 0.5 µs a key, and 1 µs for one that moves. It stops after each step, of some 256 keys.
 * @returns how many keys moved
 */
export function* divideLanes({ lanes, into, write, crc32, space }: LaneDivision): Generator<void, number> {
  const runs = lanes.map((lane) => lane.runs.flatMap((run) => run ?? []).toReversed());
  const keys = runs.flat().reduce((sum, run) => sum + run.keys, 0);
  const partBits = partBitsFor(Math.ceil(keys / into));
  const writers: RunWriter[] = [];
  const tables: ChangeTable[] = [];
  for (let lane = lanes.length; lane < into; lane++) {
    const build = { write: (bytes: Uint8Array) => write(lane, bytes), crc32, space };
    writers.push(new RunWriter(Math.ceil(keys / into), partBits, build));
    tables.push(new ChangeTable());
    yield;
  }
  const { table, columns } = space;
  const moving = { lanes: lanes.length, into, tables };
  let moved = 0;
  for (let part = 0; part < 2 ** partBits; part++) {
    for (const each of tables) {
      each.clear(keys / into / 2 ** partBits);
      yield;
    }
    for (const [number, of] of runs.entries()) {
      table.clear(of.reduce((sum, run) => sum + run.keys, 0) / 2 ** partBits);
      for (const run of of) yield* run.window(part, partBits, table);
      yield* table.gather(columns);
      for (let from = 0; from < columns.keys; from += keysPerStep) {
        moveKeys(columns, number, from, Math.min(columns.keys, from + keysPerStep), moving);
        yield;
      }
    }
    for (const [i, writer] of writers.entries()) {
      yield* tables[i]!.gather(columns);
      yield* keepChanges(columns, { bottom: true });
      moved += columns.keys;
      yield* writer.addPart(columns);
    }
  }
  for (const writer of writers) {
    yield* writer.finish();
  }
  return moved;
}

/** Adds those of a lane's keys that move to the tables of the new lanes. */
function moveKeys(
  { key0, key1, kind: kinds, value: values, several: lists }: ChangeColumns,
  from: number,
  start: number,
  end: number,
  { lanes, into, tables }: { readonly lanes: number; readonly into: number; readonly tables: readonly ChangeTable[] },
): void {
  for (let i = start; i < end; i++) {
    const lane = jumpHash(key0[i]!, key1[i]!, into);
    // A run may have keys that moved to another lane before: what it says of them is old.
    if (lane < lanes || jumpHash(key0[i]!, key1[i]!, lanes) !== from) continue;
    const kind = kinds[i] as ChangeKind;
    const value = values[i]! >>> 0;
    tables[lane - lanes]!.apply(key0[i]!, key1[i]!, kind, value, kind === several ? lists[value] : undefined);
  }
}
