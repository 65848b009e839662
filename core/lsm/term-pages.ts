import type { Hash128 } from "../index/key-hasher.ts";
import { adds } from "./change.ts";
import { key1In, ofTerm } from "./index-key.ts";
import type { LaneMap } from "./lane-map.ts";
import { mix } from "./perfect-hash.ts";

/**
 * Pages whose numbers differ below these bits share a set. A set is copied when a page joins it and read whole, so it must
 * stay short however many pages an attribute has; and an attribute that few pages have must not be asked for each part.
 */
const partBits = 12;

/** Sets of an attribute that are counted, to tell how many pages it has. */
const countedParts = 4;

/**
 * Attributes → the pages that brought payloads with them, in the multimap of the index: a set for each 4,096 pages that
 * follow each other, and one that names those sets. Nothing is looked up to add a page, and nothing is taken out.
 *
 * Two attributes whose keys are one, with a chance of 2^-48 a pair, have the pages of both.
 */
export class TermPages {
  readonly #map: LaneMap;

  constructor(map: LaneMap) {
    this.#map = map;
  }

  add(term: Hash128, page: number): void {
    const part = page >>> partBits;
    this.#map.apply(term[0]!, partsKey1(term), adds, part);
    this.#map.apply(pagesKey0(term, part), pagesKey1(term, part), adds, page);
  }

  /** The pages of a term from a number on, ascending, a part at a time. Cost: a look-up of the map a part that has some. */
  *pagesFrom(term: Hash128, from: number): Generator<readonly number[]> {
    for (const part of this.#parts(term)) {
      if (part < from >>> partBits) continue;
      const pages = this.#pagesIn(term, part);
      yield part === from >>> partBits ? pages.filter((page) => page >= from) : pages;
    }
  }

  /** About how many pages a term has: 0 only where it has none. */
  about(term: Hash128): number {
    const parts = this.#parts(term);
    const counted = parts.slice(0, countedParts).reduce((sum, part) => sum + this.#pagesIn(term, part).length, 0);
    return Math.ceil((counted * parts.length) / Math.min(countedParts, parts.length || 1));
  }

  #parts(term: Hash128): readonly number[] {
    return this.#map.find(term[0]!, partsKey1(term));
  }

  #pagesIn(term: Hash128, part: number): readonly number[] {
    const found = this.#map.find(pagesKey0(term, part), pagesKey1(term, part));
    // What another attribute's key brought in lies elsewhere.
    return found.filter((page) => page >>> partBits === part);
  }
}

function partsKey1(term: Hash128): number {
  return key1In(term[1]!, ofTerm);
}

/**
 * The other half of the hash, changed by the part's number: as good as a hash of both. That changes one to one, so the parts
 * of a term never share a key.
 */
function pagesKey0(term: Hash128, part: number): number {
  return term[2]! ^ mix(part);
}

function pagesKey1(term: Hash128, part: number): number {
  return key1In(term[3]! ^ mix(~part), ofTerm);
}
