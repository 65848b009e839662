import { compose, isFinal, noChange, severalOf, type ChangeKind, type Several } from "./change.ts";
import { ChangeTable } from "./change-table.ts";
import { levels } from "./index-bounds.ts";
import { key1Mask } from "./index-key.ts";
import { jumpHash } from "./jump-hash.ts";
import type { Run } from "./run.ts";

/** A lane: a small LSM tree over the keys that jump hash sends to it. */
export interface Lane {
  /** Changes that no run has. */
  overlay: ChangeTable;
  /** Changes that are being written to a run. */
  writing: ChangeTable | undefined;
  /** At most one run a level, the newest first. */
  readonly runs: (Run | undefined)[];
}

/** What look-ups did so far. */
export interface LookupCounters {
  lookups: number;
  /** Overlays and runs that were asked, in all, and at most by one look-up. */
  structures: number;
  structuresMax: number;
  /** Runs that a fingerprint told not to hold the key, of those asked in vain. */
  misses: number;
  missesSkipped: number;
}

/**
 * A multimap: 64-bit keyed hashes → sets of numbers, of which the newest changes are in memory and the others in runs.
 *
 * A set is what its oldest change says, changed by the newer ones. Cost of a look-up: one probe of memory, and one read
 * where a run has the key.
 */
export class LaneMap {
  #lanes: Lane[];
  readonly counters: LookupCounters = { lookups: 0, structures: 0, structuresMax: 0, misses: 0, missesSkipped: 0 };

  constructor(lanes: number) {
    this.#lanes = Array.from({ length: lanes }, newLane);
  }

  get lanes(): readonly Lane[] {
    return this.#lanes;
  }

  /** Changed keys in memory. */
  get changes(): number {
    let sum = 0;
    for (const { overlay, writing } of this.#lanes) sum += overlay.size + (writing?.size ?? 0);
    return sum;
  }

  laneOf(key0: number, key1: number): number {
    return jumpHash(key0, key1 & key1Mask, this.#lanes.length);
  }

  /** The key's values, ascending. */
  find(key0: number, key1: number): readonly number[] {
    const masked = key1 & key1Mask;
    const lane = this.#lanes[jumpHash(key0, masked, this.#lanes.length)]!;
    const { counters } = this;
    let structures = 1;
    let so: Several | undefined;
    /** Takes in what an older structure says; @returns whether there is no need to ask further. */
    const takeIn = (kind: ChangeKind, value: number, whole: Several | undefined): boolean => {
      const older = severalOf(kind, value, whole);
      so = so ? compose(so, older) : older;
      return isFinal(kind, whole);
    };
    search: {
      for (const table of [lane.overlay, lane.writing]) {
        const kind = table?.find(key0, masked) ?? noChange;
        if (table && kind !== noChange && takeIn(kind, table.value, table.found)) break search;
      }
      for (const run of lane.runs) {
        if (!run) continue;
        structures += 1;
        const readsBefore = run.reads;
        const kind = run.find(key0, masked);
        if (kind === noChange) {
          counters.misses += 1;
          if (run.reads === readsBefore) counters.missesSkipped += 1;
        } else if (takeIn(kind, run.value, run.found)) break search;
      }
    }
    counters.lookups += 1;
    counters.structures += structures;
    counters.structuresMax = Math.max(counters.structuresMax, structures);
    return so?.adds ?? [];
  }

  /** Says what the whole set of a key is from now on; values ascending. */
  assign(key0: number, key1: number, values: readonly number[]): void {
    this.#overlay(key0, key1).assign(key0, key1 & key1Mask, values);
  }

  /** Applies a change to what there is. */
  apply(key0: number, key1: number, kind: ChangeKind, value: number, whole?: Several): void {
    this.#overlay(key0, key1).apply(key0, key1 & key1Mask, kind, value, whole);
  }

  /** Divides what is in memory among another number of lanes, whose runs are given. Nothing may be being written. */
  divide(runs: readonly (readonly (Run | undefined)[])[]): void {
    const before = this.#lanes;
    this.#lanes = runs.map((of) => ({ ...newLane(), runs: [...of] }));
    for (const { overlay } of before) {
      overlay.forEach((key0, key1, { kind, value, several }) => this.apply(key0, key1, kind, value, several));
    }
  }

  #overlay(key0: number, key1: number): ChangeTable {
    return this.#lanes[this.laneOf(key0, key1)]!.overlay;
  }
}

function newLane(): Lane {
  return { overlay: new ChangeTable(), writing: undefined, runs: Array.from({ length: levels }, () => undefined) };
}
