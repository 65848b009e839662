import { describe, expect, test } from "vitest";
import { layApart } from "../../core/compaction/lay-apart.ts";
import { Draws } from "../conformance/sample-bytes.ts";

const nowMs = 1_800_000_000_000;
const dayMs = 86_400_000;
const apartBytes = 1000;

/** A thing that has expired after so many days. */
function lasting(days: number, aliveBytes = 1000) {
  return { lastsMs: nowMs + days * dayMs, aliveBytes };
}

/** The lives of each part, in days. */
function parts(things: readonly ReturnType<typeof lasting>[]): readonly (readonly number[])[] {
  return layApart(things, nowMs, { apartBytes }).map((part) =>
    part.things.map(({ lastsMs }) => (lastsMs - nowMs) / dayMs).toSorted((a, b) => (a === b ? 0 : a - b)),
  );
}

const never = Infinity;

describe("groups are laid apart", () => {
  test.each<{
    readonly when: string;
    readonly lives: readonly (readonly [days: number, bytes?: number])[];
    readonly into: readonly (readonly number[])[];
  }>([
    { when: "never, where none expires", lives: [[never], [never]], into: [[never, never]] },
    { when: "never, where all expire at about the same time", lives: [[7], [6.5], [6]], into: [[6, 6.5, 7]] },
    {
      when: "by whether they expire",
      lives: [[never], [7], [never], [6]],
      into: [
        [6, 7],
        [never, never],
      ],
    },
    { when: "by how long they last", lives: [[28], [7], [14], [2]], into: [[2], [7], [14], [28]] },
    { when: "where they last more than half as long again", lives: [[2], [3], [3.1]], into: [[2, 3], [3.1]] },
    {
      when: "with what lasts longer, where they are few",
      lives: [[2, 999], [7, 1000], [never]],
      into: [[2, 7], [never]],
    },
    {
      when: "by what most of a part lasts, where a few go before",
      lives: [[1, 10], [7, 600], [8, 600], [never]],
      into: [[1, 7, 8], [never]],
    },
    { when: "never, where they are few", lives: [[7, 999], [never]], into: [[7, never]] },
    {
      when: "never from what is a trifle",
      lives: [
        [7, 10_000],
        [never, 500],
      ],
      into: [[7, never]],
    },
    {
      when: "from what is little",
      lives: [
        [7, 10_000],
        [never, 600],
      ],
      into: [[7], [never]],
    },
    {
      when: "never for the sake of what is dead",
      lives: [
        [7, 10_000],
        [0, 0],
        [never, 0],
      ],
      into: [[0, 7, never]],
    },
  ])("$when", ({ lives, into }) => {
    expect(parts(lives.map(([days, bytes]) => lasting(days, bytes)))).toEqual(into);
  });

  test("each once, those that go first first, and into no part that outlives its end", () => {
    const draws = new Draws(11);
    for (let round = 0; round < 300; round++) {
      const things = Array.from({ length: draws.below(40) }, () => ({
        lastsMs: draws.below(4) === 0 ? Infinity : nowMs + 1 + draws.below(40 * dayMs),
        aliveBytes: draws.below(700),
      }));

      const found = layApart(things, nowMs, { apartBytes });

      expect(new Set(found.flatMap((part) => part.things))).toEqual(new Set(things));
      expect(found.reduce((sum, part) => sum + part.things.length, 0)).toBe(things.length);
      expect(found.at(-1)?.untilMs).toBe(Infinity);
      expect(found.map(({ untilMs }) => untilMs)).toEqual(
        found.map(({ untilMs }) => untilMs).toSorted((a, b) => a - b),
      );
      for (const { untilMs, things: alike } of found.slice(0, -1)) {
        expect(alike.reduce((sum, { aliveBytes }) => sum + aliveBytes, 0)).toBeGreaterThanOrEqual(apartBytes);
        for (const { lastsMs } of alike) expect(lastsMs).toBeLessThanOrEqual(untilMs);
      }
    }
  });
});
