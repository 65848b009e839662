import { invariant } from "../invariant.ts";
import { compose, noChange, only, severalOf, type ChangeKind, type Several } from "./change.ts";
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
  /** While lanes are being divided: the overlays of the new ones, and how many of the old ones have been gone through. */
  #moving: { readonly into: number; readonly overlays: readonly ChangeTable[]; gone: number } | undefined;
  /** Counts the changes. */
  #version = 0;
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
    counters.lookups += 1;
    counters.structures += 1;
    let so: Several | undefined;
    let kind = overlay.find(key0, masked);
    // Nearly all keys have one value, and the first structure that knows them says so.
    if (kind === only) return [overlay.value];
    if (kind !== noChange) so = severalOf(kind, overlay.value, overlay.found);
    if (writing && so?.drops !== true) {
      kind = writing.find(key0, masked);
      if (kind === only && !so) return [writing.value];
      if (kind !== noChange) so = composed(so, severalOf(kind, writing.value, writing.found));
    }
    let structures = 1;
    for (let level = 0; level < runs.length && so?.drops !== true; level++) {
      const run = runs[level];
      if (!run) continue;
      structures += 1;
      counters.structures += 1;
      if (structures > counters.structuresMax) counters.structuresMax = structures;
      const readsBefore = run.reads;
      kind = run.find(key0, masked);
      if (kind === only && !so) return [run.value];
      if (kind === noChange) {
        counters.misses += 1;
        if (run.reads === readsBefore) counters.missesSkipped += 1;
      } else so = composed(so, severalOf(kind, run.value, run.found));
    }
    return so ? so.adds : nothing;
  }

  /**
   * As {@link find} for many keys: lane by lane, run by run, in the order of their slots, so that those of one page share a
   * read.
   */
  findMany(key0: Int32Array, key1: Int32Array): (readonly number[])[] {
    const masked = key1.map((word) => word & key1Mask);
    const inLane: number[][] = this.#lanes.map(() => []);
    for (let place = 0; place < masked.length; place++)
      inLane[jumpHash(key0[place]!, masked[place]!, inLane.length)]!.push(place);
    const keys: AskedKeys = { key0, key1: masked, so: [], whole: Array.from({ length: masked.length }, () => unknown) };
    for (const [number, places] of inLane.entries()) this.#findInLane(this.#lanes[number]!, keys, places);
    return keys.whole;
  }

  #findInLane({ overlay, writing, runs }: Lane, keys: AskedKeys, places: readonly number[]): void {
    const { key0, key1, so } = keys;
    const { counters } = this;
    counters.lookups += places.length;
    counters.structures += places.length;
    let open = places;
    for (const table of writing ? [overlay, writing] : [overlay]) {
      open = open.filter((place) => {
        const kind = table.find(key0[place]!, key1[place]!);
        return kind === noChange || !isSettled(keys, place, kind, table.value, table.found);
      });
    }
    let structures = 1;
    for (const run of runs) {
      if (!run || open.length === 0) continue;
      structures += 1;
      if (structures > counters.structuresMax) counters.structuresMax = structures;
      counters.structures += open.length;
      counters.misses += open.length;
      counters.missesSkipped += open.length;
      let settled = 0;
      run.findMany(key0, key1, open, (place, kind) => {
        counters.missesSkipped -= 1;
        if (kind === noChange) return;
        counters.misses -= 1;
        if (isSettled(keys, place, kind, run.value, run.found)) settled += 1;
      });
      if (settled === open.length) return;
      if (settled > 0) open = open.filter((place) => keys.whole[place] === unknown);
    }
    for (const place of open) keys.whole[place] = so[place]?.adds ?? nothing;
  }

  /**
   * Looks keys up that are about to get a value: {@link isStillEmpty} then tells without looking again, in runs above all,
   * which of them have none yet.
   */
  foresee(key0: Int32Array, key1: Int32Array): ForeseenKeys {
    const lanes = this.#lanes;
    const laneOf = new Uint16Array(key0.length);
    const overlays: (ChangeTable | undefined)[] = [];
    let areEmpty = true;
    for (let i = 0; i < key0.length; i++) {
      const masked = key1[i]! & key1Mask;
      laneOf[i] = jumpHash(key0[i]!, masked, lanes.length);
      const lane = lanes[laneOf[i]!]!;
      const isUnknown = !knows(lane, key0[i]!, masked);
      overlays.push(isUnknown ? lane.overlay : undefined);
      areEmpty &&= isUnknown;
    }
    return { key0, key1, lanes, laneOf, overlays, areEmpty, version: this.#version };
  }

  /** Whether nothing was known of any key when they were foreseen, and nothing at all has changed since. */
  areStillEmpty({ areEmpty, version }: ForeseenKeys): boolean {
    return areEmpty && version === this.#version;
  }

  /**
   * Whether a key that nothing was known of when it was foreseen has certainly no value now. What it has been given since would be in its
   * lane's overlay: that one is another once changes are put aside or taken back, and forgets no key before.
   */
  isStillEmpty({ key0, key1, lanes, laneOf, overlays }: ForeseenKeys, i: number): boolean {
    const overlay = overlays[i];
    if (!overlay || lanes !== this.#lanes || lanes[laneOf[i]!]!.overlay !== overlay) return false;
    return overlay.find(key0[i]!, key1[i]! & key1Mask) === noChange;
  }

  /** The keys as they are known now, where something has changed since they were foreseen and none of them has. */
  foreseenAgain(keys: ForeseenKeys): ForeseenKeys {
    if (!keys.areEmpty || keys.version === this.#version) return keys;
    for (let i = 0; i < keys.key0.length; i++) if (!this.isStillEmpty(keys, i)) return keys;
    return { ...keys, version: this.#version };
  }

  /** Gives a key that was foreseen its only value. */
  assignForeseen({ key0, key1, lanes, laneOf }: ForeseenKeys, i: number, value: number): void {
    const lane = lanes === this.#lanes ? laneOf[i]! : this.laneOf(key0[i]!, key1[i]!);
    this.#applyIn(lane, key0[i]!, key1[i]! & key1Mask, only, value);
  }

  /** Says what the whole set of a key is from now on; values ascending. */
  assign(key0: number, key1: number, values: readonly number[]): void {
    const masked = key1 & key1Mask;
    const lane = this.laneOf(key0, masked);
    this.#version += 1;
    this.#lanes[lane]!.overlay.assign(key0, masked, values);
    this.#movedTo(lane, key0, masked)?.assign(key0, masked, values);
  }

  /** Applies a change to what there is. */
  apply(key0: number, key1: number, kind: ChangeKind, value: number, whole?: Several): void {
    const masked = key1 & key1Mask;
    this.#applyIn(this.laneOf(key0, masked), key0, masked, kind, value, whole);
  }

  #applyIn(lane: number, key0: number, masked: number, kind: ChangeKind, value: number, whole?: Several): void {
    this.#version += 1;
    this.#lanes[lane]!.overlay.apply(key0, masked, kind, value, whole);
    this.#movedTo(lane, key0, masked)?.apply(key0, masked, kind, value, whole);
  }

  /** Takes the saved overlays of the lanes, which have none; also those of another number of lanes. */
  takeOverlays(overlays: readonly ChangeTable[]): void {
    if (overlays.length === this.#lanes.length) {
      for (const [i, lane] of this.#lanes.entries()) lane.overlay = overlays[i]!;
    } else this.#takeChanges(overlays);
  }

  /**
   * Copies what is in memory of the keys that will move to further lanes, and keeps the copies up to date. It stops after each
   * step, of some 256 keys. {@link divide} ends it, or {@link stayUndivided}.
   */
  *prepareDivision(into: number): Generator<void, void> {
    const { length } = this.#lanes;
    const overlays = Array.from({ length: into - length }, () => new ChangeTable());
    const moving = { into, overlays, gone: 0 };
    this.#moving = moving;
    for (const [number, { overlay }] of this.#lanes.entries()) {
      // From here on its changes go to the copies too, so that the keys that it has now are all that are left to be copied.
      moving.gone = number + 1;
      for (const keys of overlay.keysInSteps()) {
        for (let i = 0; i < keys.length; i += 2) this.#copyMoving(overlay, number, keys[i]!, keys[i + 1]!, moving);
        yield;
      }
    }
  }

  /** Copies the change of a key, as it is now, if the key will move. What the copy says already is part of that. */
  #copyMoving(
    overlay: ChangeTable,
    number: number,
    key0: number,
    key1: number,
    { into, overlays }: { readonly into: number; readonly overlays: readonly ChangeTable[] },
  ): void {
    const to = jumpHash(key0, key1, into);
    // What moved in an earlier division is left where it was, and old.
    if (to < this.#lanes.length || this.laneOf(key0, key1) !== number) return;
    const kind = overlay.find(key0, key1);
    if (kind !== noChange) overlays[to - this.#lanes.length]!.apply(key0, key1, kind, overlay.value, overlay.found);
  }

  stayUndivided(): void {
    this.#moving = undefined;
  }

  /** Goes over to another number of lanes, whose runs are given. Nothing may be being written. Cost: none where it was prepared. */
  divide(runs: readonly (readonly (Run | undefined)[])[]): void {
    const before = this.#lanes;
    if (runs.length > before.length) {
      if (this.#moving?.into !== runs.length) for (const _ of this.prepareDivision(runs.length));
      const overlays = this.#moving?.overlays ?? [];
      this.#lanes = runs.map((of, number) => ({
        overlay: before[number]?.overlay ?? overlays[number - before.length]!,
        writing: undefined,
        runs: [...of],
      }));
      this.#moving = undefined;
      return;
    }
    this.#lanes = runs.map((of) => ({ ...newLane(), runs: [...of] }));
    this.#takeChanges(before.map(({ overlay }) => overlay));
  }

  /** @param overlays  of as many lanes as there are of them */
  #takeChanges(overlays: readonly ChangeTable[]): void {
    for (const [number, overlay] of overlays.entries()) {
      overlay.forEach((key0, key1, { kind, value, several }) => {
        if (jumpHash(key0, key1, overlays.length) === number) this.apply(key0, key1, kind, value, several);
      });
    }
  }

  /** The overlay that a change goes to as well, of a key that will move from a lane that has been gone through. */
  #movedTo(lane: number, key0: number, key1: number): ChangeTable | undefined {
    if (!this.#moving || lane >= this.#moving.gone) return undefined;
    const to = jumpHash(key0, key1, this.#moving.into);
    return this.#moving.overlays[to - this.#lanes.length];
  }
}

const nothing: readonly number[] = [];
/** Of a key that is still asked for. */
const unknown: readonly number[] = [];

/** Whether anything of a lane says something about a key, be it that it has no value. */
function knows({ overlay, writing, runs }: Lane, key0: number, masked: number): boolean {
  if (overlay.find(key0, masked) !== noChange) return true;
  if (writing && writing.find(key0, masked) !== noChange) return true;
  for (let level = 0; level < runs.length; level++) {
    const run = runs[level];
    if (run && run.find(key0, masked) !== noChange) return true;
  }
  return false;
}

/** Keys as they were found to be a moment ago. */
export interface ForeseenKeys {
  readonly key0: Int32Array;
  readonly key1: Int32Array;
  readonly lanes: readonly Lane[];
  readonly laneOf: Uint16Array;
  /** Of each key that nothing said anything about: the overlay that its next change was to go to. */
  readonly overlays: readonly (ChangeTable | undefined)[];
  /** Whether all were such. */
  readonly areEmpty: boolean;
  /** Of the map, at that time. */
  readonly version: number;
}

/** Keys that are asked together: what is known of each so far, and what the set of each is. */
interface AskedKeys {
  readonly key0: Int32Array;
  readonly key1: Int32Array;
  readonly so: (Several | undefined)[];
  readonly whole: (readonly number[])[];
}

/** Takes in what a structure says of a key. @returns whether older ones need not be asked: its set is known */
function isSettled(
  { so, whole }: AskedKeys,
  place: number,
  kind: ChangeKind,
  value: number,
  found: Several | undefined,
): boolean {
  if (kind === only && !so[place]) {
    whole[place] = [value];
    return true;
  }
  const all = composed(so[place], severalOf(kind, value, found));
  so[place] = all;
  if (all.drops) whole[place] = all.adds;
  return all.drops;
}

function composed(newer: Several | undefined, older: Several): Several {
  return newer ? compose(newer, older) : older;
}

function newLane(): Lane {
  return { overlay: new ChangeTable(), writing: undefined, runs: Array.from({ length: levels }, () => undefined) };
}
