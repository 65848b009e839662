/**
 * What a run or the overlay says about a key: which values join its set, which leave it, and whether what older runs say
 * counts at all. Nearly all changes name one value, and are a kind and that value; the rest are {@link Several}.
 */
export const noChange = 0;
/** The value joins the set. */
export const adds = 1;
/** The set is this one value. */
export const only = 2;
/** The value leaves the set. */
export const removes = 3;
/** The set is empty. */
export const clears = 4;
/** The value stands for a {@link Several}. */
export const several = 5;

export type ChangeKind = 0 | 1 | 2 | 3 | 4 | 5;

/** Values are 0 … 2^32 − 1, ascending, each once; none is in both lists. */
export interface Several {
  /** Whether what older runs say counts no more. `removes` is empty then. */
  readonly drops: boolean;
  readonly adds: readonly number[];
  readonly removes: readonly number[];
}

/** A change as one of its kinds; `several` only where no other kind can say it. */
export interface Change {
  readonly kind: ChangeKind;
  /** 0 for kinds that have none. */
  readonly value: number;
  readonly several?: Several | undefined;
}

export function changeOf(whole: Several): Change {
  const { drops, adds: joining, removes: leaving } = whole;
  if (drops && joining.length === 0) return { kind: clears, value: 0 };
  if (drops && joining.length === 1) return { kind: only, value: joining[0]! };
  if (!drops && leaving.length === 0 && joining.length === 0) return { kind: noChange, value: 0 };
  if (!drops && leaving.length === 0 && joining.length === 1) return { kind: adds, value: joining[0]! };
  if (!drops && joining.length === 0 && leaving.length === 1) return { kind: removes, value: leaving[0]! };
  return { kind: several, value: 0, several: whole };
}

export function severalOf(kind: ChangeKind, value: number, whole: Several | undefined): Several {
  if (kind === several && whole) return whole;
  return {
    drops: kind === only || kind === clears,
    adds: kind === adds || kind === only ? [value] : [],
    removes: kind === removes ? [value] : [],
  };
}

/** Whether older runs need not be asked. */
export function isFinal(kind: ChangeKind, whole: Several | undefined): boolean {
  return kind === only || kind === clears || (kind === several && whole?.drops === true);
}

/** What two changes come to, of which `newer` was made after `older`. */
export function compose(newer: Several, older: Several): Several {
  if (newer.drops) return newer;
  return {
    drops: older.drops,
    adds: union(without(older.adds, newer.removes), newer.adds),
    removes: older.drops ? [] : union(without(older.removes, newer.adds), newer.removes),
  };
}

function without(values: readonly number[], others: readonly number[]): readonly number[] {
  if (values.length === 0 || others.length === 0) return values;
  const left: number[] = [];
  let at = 0;
  for (const value of values) {
    while (at < others.length && others[at]! < value) at += 1;
    if (others[at] !== value) left.push(value);
  }
  return left;
}

function union(a: readonly number[], b: readonly number[]): readonly number[] {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  // Pages join in the order of their numbers: a long set is copied as it is.
  if (a.at(-1)! < b[0]!) return a.concat(b);
  const both: number[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    const left = a[i] ?? Infinity;
    const right = b[j] ?? Infinity;
    both.push(Math.min(left, right));
    if (left <= right) i += 1;
    if (right <= left) j += 1;
  }
  return both;
}
