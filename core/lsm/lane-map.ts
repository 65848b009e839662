import { invariant } from "../invariant.ts";
import { compose, noChange, severalOf, type ChangeKind, type Several } from "./change.ts";
import { ChangeTable } from "./change-table.ts";
import { levels } from "./index-bounds.ts";
import { key1Mask } from "./index-key.ts";
import { jumpHash } from "./jump-hash.ts";
import type { Run } from "./run.ts";

/** A lane: a small LSM tree over the keys that jump hash sends to it. */
export interface Lane {
  /** Changes that no run has. */
  overlay: ChangeTable;
  /** Changes that are being written, to a run or as they are. */
  writing: ChangeTable | undefined;
  /** At most one run a level, the newest first. */
  readonly runs: (Run | undefined)[];
}

/** Puts a lane's changes aside to be written as they are now: newer ones gather in another table. Cost: none that grows. */
export function setAside(lane: Lane): void {
  invariant(lane.writing === undefined, "what was put aside before is written or taken back");
  lane.writing = lane.overlay;
  lane.overlay = new ChangeTable();
}

/** Takes back what was put aside and is in no run: newer changes join it. Cost: that of the newer ones. */
export function takeBack(lane: Lane): void {
  const { overlay, writing } = lane;
  if (!writing) return;
  overlay.forEach((key0, key1, { kind, value, several }) => writing.apply(key0, key1, kind, value, several));
  lane.overlay = writing;
  lane.writing = undefined;
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
    const { overlay, writing, runs } = lane;
    let structures = 1;
    let so: Several | undefined;
    let kind = overlay.find(key0, masked);
    let isDone = false;
    if (kind !== noChange) {
      so = severalOf(kind, overlay.value, overlay.found);
      isDone = so.drops;
    }
    if (writing && !isDone) {
      kind = writing.find(key0, masked);
      if (kind !== noChange) {
        so = composed(so, severalOf(kind, writing.value, writing.found));
        isDone = so.drops;
      }
    }
    for (let level = 0; level < runs.length && !isDone; level++) {
      const run = runs[level];
      if (!run) continue;
      structures += 1;
      const readsBefore = run.reads;
      kind = run.find(key0, masked);
      if (kind === noChange) {
        counters.misses += 1;
        if (run.reads === readsBefore) counters.missesSkipped += 1;
      } else {
        so = composed(so, severalOf(kind, run.value, run.found));
        isDone = so.drops;
      }
    }
    counters.lookups += 1;
    counters.structures += structures;
    if (structures > counters.structuresMax) counters.structuresMax = structures;
    return so ? so.adds : nothing;
  }

  /**
   * As {@link find} for many keys: lane by lane, run by run, in the order of their slots, so that those of one page share a
   * read.
   */
  findMany(key0: Int32Array, key1: Int32Array): (readonly number[])[] {
    const masked = key1.map((word) => word & key1Mask);
    const inLane = new Map<number, number[]>();
    for (const [place, word] of masked.entries()) {
      const number = jumpHash(key0[place]!, word, this.#lanes.length);
      const places = inLane.get(number);
      if (places) places.push(place);
      else inLane.set(number, [place]);
    }
    const all: (Several | undefined)[] = Array.from({ length: key0.length }, () => undefined);
    for (const [number, places] of inLane) this.#findInLane(this.#lanes[number]!, key0, masked, places, all);
    return all.map((so) => so?.adds ?? nothing);
  }

  /** What is found of the keys at these places is put into `all`. */
  #findInLane(
    { overlay, writing, runs }: Lane,
    key0: Int32Array,
    key1: Int32Array,
    places: readonly number[],
    all: (Several | undefined)[],
  ): void {
    const { counters } = this;
    let open = places;
    let structures = 1;
    for (const table of writing ? [overlay, writing] : [overlay]) {
      for (const place of open) {
        const kind = table.find(key0[place]!, key1[place]!);
        if (kind !== noChange) all[place] = composed(all[place], severalOf(kind, table.value, table.found));
      }
      open = open.filter((place) => all[place]?.drops !== true);
    }
    counters.lookups += places.length;
    counters.structures += places.length;
    for (const run of runs) {
      if (!run || open.length === 0) continue;
      structures += 1;
      counters.structures += open.length;
      counters.misses += open.length;
      counters.missesSkipped += open.length;
      run.findMany(key0, key1, open, (place, kind) => {
        counters.missesSkipped -= 1;
        if (kind === noChange) return;
        counters.misses -= 1;
        all[place] = composed(all[place], severalOf(kind, run.value, run.found));
      });
      open = open.filter((place) => all[place]?.drops !== true);
    }
    if (structures > counters.structuresMax) counters.structuresMax = structures;
  }

  /** Says what the whole set of a key is from now on; values ascending. */
  assign(key0: number, key1: number, values: readonly number[]): void {
    this.#overlay(key0, key1).assign(key0, key1 & key1Mask, values);
  }

  /** Applies a change to what there is. */
  apply(key0: number, key1: number, kind: ChangeKind, value: number, whole?: Several): void {
    this.#overlay(key0, key1).apply(key0, key1 & key1Mask, kind, value, whole);
  }

  /** Takes the saved overlays of the lanes, which have none; also those of another number of lanes. */
  takeOverlays(overlays: readonly ChangeTable[]): void {
    if (overlays.length === this.#lanes.length) {
      for (const [i, lane] of this.#lanes.entries()) lane.overlay = overlays[i]!;
      return;
    }
    for (const overlay of overlays) this.#takeChanges(overlay);
  }

  /** Divides what is in memory among another number of lanes, whose runs are given. Nothing may be being written. */
  divide(runs: readonly (readonly (Run | undefined)[])[]): void {
    const before = this.#lanes;
    this.#lanes = runs.map((of) => ({ ...newLane(), runs: [...of] }));
    for (const { overlay } of before) this.#takeChanges(overlay);
  }

  #takeChanges(overlay: ChangeTable): void {
    overlay.forEach((key0, key1, { kind, value, several }) => this.apply(key0, key1, kind, value, several));
  }

  #overlay(key0: number, key1: number): ChangeTable {
    return this.#lanes[this.laneOf(key0, key1)]!.overlay;
  }
}

const nothing: readonly number[] = [];

function composed(newer: Several | undefined, older: Several): Several {
  return newer ? compose(newer, older) : older;
}

function newLane(): Lane {
  return { overlay: new ChangeTable(), writing: undefined, runs: Array.from({ length: levels }, () => undefined) };
}
