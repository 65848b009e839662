import { WordTable } from "../index/word-table.ts";
import {
  changeOf,
  clears,
  compose,
  isFinal,
  noChange,
  only,
  several,
  severalOf,
  type Change,
  type ChangeKind,
  type Several,
} from "./change.ts";
import { ColumnSpace, type ChangeColumns } from "./change-columns.ts";
import { keysPerStep } from "./index-bounds.ts";

/** Values of a key's slot. */
const kindOf = 0;
const valueOf = 1;
/** Where a slot's kind lies: behind both words of the key. 0 in a slot that is free. */
const kindAt = 2;

/** Changes that lie elsewhere until somebody asks for one of them. */
export interface PendingChanges {
  readonly keys: number;
  /**
   * Look-ups before a table is made of them: by then they have cost as much as that does. A process that asks for a few ids, and
   * ends, makes none. Of tables that are asked together each has another number, so that they are not made in one go.
   */
  readonly looksMax: number;
  /** Throws where they are not what was written. */
  readonly read: () => PackedChanges;
}

/** Changes side by side, in no order. */
export interface PackedChanges {
  /** The change of a key, if it has one. Cost: all keys are gone through, 2–4 ns each. */
  readonly find: (key0: number, key1: number) => Change | undefined;
  /**
   * Those at the places `from` … `to − 1`, four words each: both of the key, kind, and value, of kind `several` its place in `lists`,
   * which gets them.
   */
  readonly unpack: (from: number, to: number, lists: (Several | undefined)[]) => Int32Array;
  /** The error where a key is there twice. */
  readonly refuse: (what: string) => Error;
}

/**
 * The changes of some keys, one each: what came last, composed over what came before. It is the overlay of a lane, and
 * where a merge brings runs together.
 *
 * Memory: 16 bytes a slot, slots at most three quarters full.
 */
export class ChangeTable {
  #table: WordTable;
  #pending: PendingChanges | undefined;
  #packed: PackedChanges | undefined;
  /** Look-ups in what is pending. */
  #looks = 0;
  readonly #key = new Int32Array(2);
  #several: (Several | undefined)[] = [];
  /** Value of the key that was found last. */
  value = 0;
  /** Of the key that was found last, where its kind is `several`. */
  found: Several | undefined;

  /** @param keys  for how many there shall be room at once */
  constructor(keys = 0) {
    this.#table = new WordTable(2, 2, keys);
  }

  /**
   * A table that is read when it is first asked or changed, and filled when that was done often: both may throw. Until then it
   * keeps what is newer than what is pending.
   */
  static pending(changes: PendingChanges): ChangeTable {
    const table = new ChangeTable();
    table.#pending = changes;
    return table;
  }

  /** How many keys there are. A key that was changed since it was saved may be counted twice until a table is made. */
  get size(): number {
    return (this.#pending?.keys ?? 0) + this.#table.size;
  }

  /** @returns the kind of the key's change, and sets {@link value} and {@link found}. */
  find(key0: number, key1: number): ChangeKind {
    const at = this.#find(key0, key1);
    if (at >= 0) return this.#read(at);
    return this.#pending ? this.#look(this.#pending, key0, key1) : noChange;
  }

  /** Takes in a change that is newer than all that are there. */
  apply(key0: number, key1: number, kind: ChangeKind, value: number, whole?: Several): void {
    const at = this.#find(key0, key1);
    let older: ChangeKind = noChange;
    if (isFinal(kind, whole)) older = noChange;
    else if (at >= 0) older = this.#read(at);
    else if (this.#pending) older = this.#look(this.#pending, key0, key1);
    if (older === noChange) {
      this.#write(at < 0 ? this.#insert(key0, key1) : at, kind, value, whole);
      return;
    }
    const both = changeOf(compose(severalOf(kind, value, whole), severalOf(older, this.value, this.found)));
    this.#write(at < 0 ? this.#insert(key0, key1) : at, both.kind, both.value, both.several);
  }

  /** Says what the whole set of a key is from now on; values ascending. */
  assign(key0: number, key1: number, values: readonly number[]): void {
    if (values.length > 1) this.apply(key0, key1, several, 0, { drops: true, adds: values, removes: [] });
    else if (values.length === 1) this.apply(key0, key1, only, values[0]!);
    else this.apply(key0, key1, clears, 0);
  }

  /** Calls `visit` with every key; the table must not change meanwhile. */
  forEach(visit: (key0: number, key1: number, change: Change) => void): void {
    for (const _ of this.#fillInSteps());
    const { words } = this.#table;
    for (let at = 0; at < words.length; at += 4) {
      if (words[at + 2] === 0) continue;
      const kind = this.#read(at);
      visit(words[at]!, words[at + 1]!, { kind, value: this.value, several: this.found });
    }
  }

  /**
   * The keys that are there now, two words each, in portions that are good until the next: meanwhile the table may change. Of keys
   * that are added some may come too.
   */
  *keysInSteps(): Generator<Int32Array, void> {
    for (const _ of this.#fillInSteps()) yield noKeys;
    // A table that grows leaves its words behind as they were; nothing in it moves otherwise.
    const { words } = this.#table;
    const keys = new Int32Array(2 * keysPerStep);
    for (let from = 0; from < words.length; from += 4 * keysPerStep) {
      let count = 0;
      for (let at = from; at < Math.min(words.length, from + 4 * keysPerStep); at += 4) {
        if (words[at + 2] === 0) continue;
        keys[count++] = words[at]!;
        keys[count++] = words[at + 1]!;
      }
      yield keys.subarray(0, count);
    }
  }

  /** Empties the table, and leaves it with room for so many keys. */
  clear(keys: number): void {
    this.#pending = undefined;
    this.#packed = undefined;
    this.#table.clear(keys);
    // Whoever gathered the changes still has the lists.
    this.#several = [];
  }

  /** The keys and changes in the order of their slots, in columns; `several` by its place in the list. */
  columns(): ChangeColumns {
    const columns = new ColumnSpace();
    for (const _ of this.gather(columns));
    return columns;
  }

  /** Fills columns as {@link columns} does, a step at a time; the table must not change meanwhile. */
  *gather(columns: ColumnSpace): Generator<void, void> {
    yield* this.#fillInSteps();
    columns.reset(this.size, this.#several);
    const { words } = this.#table;
    for (let from = 0, keys = 0; from < words.length; from += 4 * keysPerStep) {
      keys = gatherSlots(words, from, Math.min(words.length, from + 4 * keysPerStep), columns, keys);
      yield;
    }
  }

  #find(key0: number, key1: number): number {
    if (this.#pending && this.#looks >= this.#pending.looksMax) for (const _ of this.#fillInSteps());
    // As the table finds a key of any width, in a third of the time: this is asked first by every look-up.
    const { words } = this.#table;
    const word0 = key0 | 0;
    const word1 = key1 | 0;
    const last = words.length - 1;
    for (let at = (4 * word0) & last; words[at + kindAt] !== 0; at = (at + 4) & last) {
      if (words[at] === word0 && words[at + 1] === word1) return at;
    }
    return -1;
  }

  #look(pending: PendingChanges, key0: number, key1: number): ChangeKind {
    this.#looks += 1;
    this.#packed ??= pending.read();
    const change = this.#packed.find(key0, key1);
    this.found = change?.several;
    this.value = change?.value ?? 0;
    return change?.kind ?? noChange;
  }

  /** Makes a table of what is pending, if anything is, and then of what is newer. Meanwhile the table may be asked and changed. */
  *#fillInSteps(): Generator<void, void> {
    const pending = this.#pending;
    if (!pending) return;
    this.#packed ??= pending.read();
    const packed = this.#packed;
    const table = new WordTable(2, 2, pending.keys);
    const lists: (Several | undefined)[] = [];
    for (let from = 0; from < pending.keys; from += keysPerStep) {
      if (from > 0) yield;
      if (!table.fill(packed.unpack(from, Math.min(pending.keys, from + keysPerStep), lists)))
        throw packed.refuse("has a key twice");
    }
    // Others did the same meanwhile.
    if (this.#pending !== pending) return;
    const newer = this.#table;
    const newerLists = this.#several;
    this.#table = table;
    this.#several = lists;
    this.#pending = undefined;
    this.#packed = undefined;
    for (const at of newer.slots()) {
      const kind = newer.value(at, kindOf) as ChangeKind;
      const value = newer.value(at, valueOf);
      const key0 = newer.words[at]!;
      const key1 = newer.words[at + 1]!;
      const found = this.#find(key0, key1);
      this.#write(
        found < 0 ? this.#insert(key0, key1) : found,
        kind,
        value,
        kind === several ? newerLists[value] : undefined,
      );
    }
  }

  #insert(key0: number, key1: number): number {
    this.#key[0] = key0;
    this.#key[1] = key1;
    return this.#table.add(this.#key);
  }

  #read(at: number): ChangeKind {
    const kind = this.#table.value(at, kindOf) as ChangeKind;
    const value = this.#table.value(at, valueOf);
    this.found = kind === several ? this.#several[value] : undefined;
    this.value = kind === several ? 0 : value >>> 0;
    return kind;
  }

  #write(at: number, kind: ChangeKind, value: number, whole: Several | undefined): void {
    const place = this.#table.value(at, kindOf) === several ? this.#table.value(at, valueOf) : undefined;
    if (place !== undefined) this.#several[place] = undefined;
    let stored = value;
    if (kind === several) {
      // A set that grows page by page keeps its place.
      stored = place ?? this.#several.length;
      this.#several[stored] = whole;
    }
    this.#table.setValue(at, kindOf, kind);
    this.#table.setValue(at, valueOf, stored);
  }
}

const noKeys = new Int32Array(0);

/** Copies the used slots among some to the columns, from place `i` on. @returns the place behind them */
function gatherSlots(words: Int32Array, from: number, to: number, columns: ColumnSpace, i: number): number {
  const { key0, key1, kind: kinds, value } = columns;
  let place = i;
  for (let at = from; at < to; at += 4) {
    const kind = words[at + 2]!;
    if (kind === 0) continue;
    key0[place] = words[at]!;
    key1[place] = words[at + 1]!;
    kinds[place] = kind;
    value[place++] = words[at + 3]!;
  }
  return place;
}
