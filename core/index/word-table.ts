import { invariant } from "../invariant.ts";
import type { Hash128 } from "./key-hasher.ts";

/** Slots above this share of the table cost long probes; Knuth's linear probing needs about 2.5 of them at 0.75. */
const loadMax = 0.75;
const smallestSlots = 16;

/**
 * An open-addressing hash table of 32-bit words in one typed array: per slot the first words of a hash, then values.
 * The first value is never 0 in a used slot. Linear probing; a removal shifts the following slots back, so there are no
 * tombstones and churn costs nothing later.
 *
 * A slot's position is valid until the next insert or remove.
 */
export class WordTable {
  readonly keyWords: number;
  readonly valueWords: number;
  readonly #slotWords: number;
  #words: Int32Array;
  #mask: number;
  #used = 0;

  /** @param keys  for how many there shall be room without growing */
  constructor(keyWords: number, valueWords: number, keys = 0) {
    let slots = smallestSlots;
    while (keys > slots * loadMax) slots *= 2;
    this.keyWords = keyWords;
    this.valueWords = valueWords;
    this.#slotWords = keyWords + valueWords;
    this.#words = new Int32Array(slots * this.#slotWords);
    this.#mask = slots - 1;
  }

  get size(): number {
    return this.#used;
  }

  /** Empties the table, and leaves it with room for so many keys. Cost: that of clearing its memory. */
  clear(keys = 0): void {
    let slots = smallestSlots;
    while (keys > slots * loadMax) slots *= 2;
    const words = slots * this.#slotWords;
    // One that was much larger would be cleared, and gone through, for nothing.
    if (words > this.#words.length || words * 4 < this.#words.length) {
      this.#words = new Int32Array(words);
      this.#mask = slots - 1;
    } else this.#words.fill(0);
    this.#used = 0;
  }

  /** The table as it is stored, to be copied before the next change. */
  get words(): Int32Array {
    return this.#words;
  }

  /** @returns false when the words cannot be a table of this shape; it is then left as it was. */
  restore(words: Int32Array, used: number): boolean {
    const slots = words.length / this.#slotWords;
    if (!Number.isInteger(slots) || slots < smallestSlots || (slots & (slots - 1)) !== 0) return false;
    let counted = 0;
    for (let at = this.keyWords; at < words.length; at += this.#slotWords) if (words[at] !== 0) counted += 1;
    if (counted !== used || used > slots * loadMax) return false;
    this.#words = words;
    this.#mask = slots - 1;
    this.#used = used;
    return true;
  }

  /**
   * Adds slots that lie side by side to a table that has room for them.
   * @returns false when a hash is there twice; it is then not to be used
   */
  fill(slots: Int32Array): boolean {
    const words = this.#words;
    const width = this.#slotWords;
    for (let from = 0; from < slots.length; from += width) {
      let at = (slots[from]! & this.#mask) * width;
      for (; words[at + this.keyWords] !== 0; at = at + width === words.length ? 0 : at + width) {
        let same = 0;
        while (same < this.keyWords && words[at + same] === slots[from + same]) same += 1;
        if (same === this.keyWords) return false;
      }
      for (let i = 0; i < width; i++) words[at + i] = slots[from + i]!;
    }
    this.#used += slots.length / width;
    return true;
  }

  /** Whether the first value of every used slot is in 1 … `max`. */
  firstValuesWithin(max: number): boolean {
    for (let at = this.keyWords; at < this.#words.length; at += this.#slotWords) {
      const value = this.#words[at]!;
      if (value < 0 || value > max) return false;
    }
    return true;
  }

  /** Position of the hash's slot, or −1. */
  find(hash: Hash128): number {
    const words = this.#words;
    for (let slot = hash[0]! & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = slot * this.#slotWords;
      if (words[at + this.keyWords] === 0) return -1;
      if (this.#holds(at, hash)) return at;
    }
  }

  /** Position of the hash's slot, made with all values 0 if it was not there: the caller sets the first one at once. */
  insert(hash: Hash128): number {
    const found = this.find(hash);
    return found >= 0 ? found : this.add(hash);
  }

  /** Position of a new slot, as {@link insert} makes it, for a hash that has none. */
  add(hash: Hash128): number {
    if (this.#used + 1 > (this.#mask + 1) * loadMax) this.#grow();
    let slot = hash[0]! & this.#mask;
    while (this.#words[slot * this.#slotWords + this.keyWords] !== 0) slot = (slot + 1) & this.#mask;
    const at = slot * this.#slotWords;
    for (let i = 0; i < this.keyWords; i++) this.#words[at + i] = hash[i]!;
    this.#used += 1;
    return at;
  }

  /** Positions of the used slots. Valid until the next insert or remove. */
  *slots(): Generator<number> {
    for (let at = 0; at < this.#words.length; at += this.#slotWords) {
      if (this.#words[at + this.keyWords] !== 0) yield at;
    }
  }

  value(at: number, i: number): number {
    return this.#words[at + this.keyWords + i]!;
  }

  setValue(at: number, i: number, value: number): void {
    invariant(i > 0 || value !== 0, "a used slot's first value is not 0");
    this.#words[at + this.keyWords + i] = value;
  }

  remove(at: number): void {
    const words = this.#words;
    let hole = at / this.#slotWords;
    for (let slot = (hole + 1) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const from = slot * this.#slotWords;
      if (words[from + this.keyWords] === 0) break;
      const home = words[from]! & this.#mask;
      // A slot may move back into the hole unless its home lies behind the hole, cyclically.
      if (((slot - home) & this.#mask) < ((slot - hole) & this.#mask)) continue;
      words.copyWithin(hole * this.#slotWords, from, from + this.#slotWords);
      hole = slot;
    }
    words.fill(0, hole * this.#slotWords, (hole + 1) * this.#slotWords);
    this.#used -= 1;
  }

  #holds(at: number, hash: Hash128): boolean {
    for (let i = 0; i < this.keyWords; i++) if (this.#words[at + i] !== hash[i]) return false;
    return true;
  }

  #grow(): void {
    const old = this.#words;
    const mask = (this.#mask + 1) * 2 - 1;
    const grown = new Int32Array(old.length * 2);
    for (let from = 0; from < old.length; from += this.#slotWords) {
      if (old[from + this.keyWords] === 0) continue;
      let slot = old[from]! & mask;
      while (grown[slot * this.#slotWords + this.keyWords] !== 0) slot = (slot + 1) & mask;
      for (let i = 0, to = slot * this.#slotWords; i < this.#slotWords; i++) grown[to + i] = old[from + i]!;
    }
    this.#words = grown;
    this.#mask = mask;
  }
}
