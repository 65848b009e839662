import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isSegmentName, SegmentNames } from "../../core/segment/name.ts";
import { holds } from "../support/property.ts";
import { seededRandom } from "../support/seeded-random.ts";

const chance = seededRandom(1);
const random = { bytes: (length: number) => Uint8Array.from({ length }, () => Math.floor(chance() * 256)) };

describe("segment names", () => {
  test("grow, whatever the clock does", async () => {
    await holds(
      import.meta.filename,
      fc.property(fc.array(fc.double({ min: 0, max: 2 ** 45, noNaN: true }), { minLength: 2 }), (times) => {
        let at = 0;
        const names = new SegmentNames({ nowMs: () => times[at++ % times.length] ?? 0 }, random);

        const given = times.map(() => names.next());

        expect(given).toEqual([...new Set(given)].toSorted());
        for (const name of given) expect(isSegmentName(name)).toBe(true);
      }),
      { runs: 200 },
    );
  });

  test("are greater than every name seen before, also when the clock has stepped back", () => {
    const ahead = new SegmentNames({ nowMs: () => 2_000_000_000_000 }, random);
    const behind = new SegmentNames({ nowMs: () => 1_000_000_000_000 }, random);
    const seen = [ahead.next(), ahead.next(), ahead.next()];

    for (const name of seen.toReversed()) behind.seen(name);

    expect(behind.next() > (seen[2] ?? "")).toBe(true);
    expect(behind.next() > (seen[2] ?? "")).toBe(true);
  });

  test("given in one millisecond differ", () => {
    const names = new SegmentNames({ nowMs: () => 5 }, random);

    expect(new Set(Array.from({ length: 1000 }, () => names.next())).size).toBe(1000);
  });

  test.each([
    "",
    "..",
    "0".repeat(25),
    "0".repeat(27),
    `${"0".repeat(25)}i`,
    `${"0".repeat(25)}u`,
    "A".repeat(26),
    `${"0".repeat(25)}/`,
  ])("are not spelled %j", (text) => {
    expect(isSegmentName(text)).toBe(false);
  });
});
