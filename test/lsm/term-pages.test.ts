import { describe, expect, test } from "vitest";
import { KeyHasher } from "../../core/index/key-hasher.ts";
import { LaneMap } from "../../core/lsm/lane-map.ts";
import { TermPages } from "../../core/lsm/term-pages.ts";
import { mergeLane } from "../support/runs-in-memory.ts";

const hasher = new KeyHasher(new Uint8Array(16).fill(5));
const termOf = (value: string): Int32Array => {
  const hash = new Int32Array(4);
  hasher.term("t", ["user", value], hash);
  return hash;
};
const [hot, rare, none] = [termOf("hot"), termOf("rare"), termOf("none")];
const pages = 40_000;

/** Suspected: pages that are lost where a set is cut or merged, and a rare attribute that costs as much as the store is long. */
describe("the pages of attributes", () => {
  const { terms, map } = filled();

  test("are all there, ascending, over the cuts of their sets and over merges", () => {
    expect([...terms.pagesFrom(hot, 0)].flat()).toEqual(Array.from({ length: pages }, (_, i) => i));
    expect([...terms.pagesFrom(rare, 0)].flat()).toEqual([0, 4095, 4096, 39_999]);
    expect([...terms.pagesFrom(none, 0)].flat()).toEqual([]);
  });

  test.each([0, 1, 4095, 4096, 4097, 8191, 39_999, 40_000])("begin where they are asked to: at %i", (from) => {
    const behind = [...terms.pagesFrom(hot, from)].flat();

    expect([behind[0], behind.length]).toEqual([from < pages ? from : undefined, pages - from]);
    expect([...terms.pagesFrom(rare, from)].flat()).toEqual([0, 4095, 4096, 39_999].filter((page) => page >= from));
  });

  test("are counted well enough to tell the attribute that has the fewest", () => {
    expect(terms.about(none)).toBe(0);
    expect(terms.about(rare)).toBe(4);
    expect(terms.about(hot)).toBeGreaterThan(pages * 0.9);
    expect(terms.about(hot)).toBeLessThan(pages * 1.2);
  });

  test("cost a look-up for each set that has some, and one for those there are", () => {
    const lookups = (work: () => void) => {
      const before = map.counters.lookups;
      work();
      return map.counters.lookups - before;
    };

    expect(lookups(() => [...terms.pagesFrom(none, 0)])).toBe(1);
    expect(lookups(() => [...terms.pagesFrom(rare, 0)])).toBe(4);
    expect(lookups(() => [...terms.pagesFrom(hot, 0)])).toBe(1 + Math.ceil(pages / 4096));
    expect(lookups(() => [...terms.pagesFrom(hot, pages - 1)])).toBe(2);
  });
});

function filled(): { readonly terms: TermPages; readonly map: LaneMap } {
  const map = new LaneMap(3);
  const terms = new TermPages(map);
  for (let page = 0; page < pages; page++) {
    terms.add(hot, page);
    if ([0, 4095, 4096, 39_999].includes(page)) terms.add(rare, page);
    if (page % 7001 === 7000) for (const [i, lane] of map.lanes.entries()) mergeLane(lane, (page + i) % 3);
  }
  return { terms, map };
}
