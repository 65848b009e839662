import { describe, expect, test } from "vitest";
import {
  deadShare,
  planCompaction,
  type PlannedSegment,
  type PlanOptions,
  type PlanReason,
  planRules,
  type SegmentUsage,
  tierOf,
} from "../../core/compaction/plan.ts";
import type { Tier } from "../../core/page/page.ts";
import { Draws } from "../conformance/sample-bytes.ts";

const nowMs = 1_800_000_000_000;
const dayMs = 86_400_000;
const mebibyte = 1_048_576;
const [toDayMs, toMonthMs] = planRules.tierAgesMs;

/** A segment of 64 MiB, an hour old, all of which is alive, unless it is said otherwise. */
function usage(segment: string, members: Partial<SegmentUsage> = {}): SegmentUsage {
  const bytes = 64 * mebibyte;
  const whole = { tenant: "acme", segment, bytes, stored: 1000, live: [1000, 0, 0], expired: 0 } as const;
  return { ...whole, createdMs: nowMs - 3_600_000, ...members };
}

function planned(usages: readonly SegmentUsage[], options: Partial<PlanOptions> = {}): readonly PlannedSegment[] {
  return planCompaction(usages, { nowMs, ...options }).segments;
}

const named = (segments: readonly PlannedSegment[]) => segments.map(({ usage: { segment } }) => segment);

test("what a segment takes along is written again for it: it counts against the budget, and is told", () => {
  const usages = [usage("a", { live: [0, 0, 0], draggedBytes: 2000 }), usage("b", { live: [500, 0, 0] })];

  expect(planCompaction(usages, { nowMs })).toMatchObject({ rewrittenBytes: 2500, amplification: 2500 / 1500 });
  const { segments, postponed } = planCompaction(usages, { nowMs, bytesMax: 1000 });
  expect([named(segments), postponed]).toEqual([["b"], 1]);
});

describe("a segment is compacted", () => {
  const small = { bytes: planRules.smallBytes - 1 };
  const others = (count: number, members: Partial<SegmentUsage> = small) =>
    Array.from({ length: count }, (_, i) => usage(`other-${i}`, members));

  test.each<{
    readonly when: string;
    readonly is: Partial<SegmentUsage>;
    readonly beside?: readonly SegmentUsage[];
    readonly options?: Partial<PlanOptions>;
    readonly reason: PlanReason | undefined;
    readonly tier?: Tier;
  }>([
    { when: "never while all of it is alive", is: {}, reason: undefined },
    { when: "never while it holds nothing at all", is: { stored: 0, live: [0, 0, 0] }, reason: undefined },
    { when: "never while 29 % of it is dead", is: { live: [710, 0, 0] }, reason: undefined },
    { when: "as garbage once 30 % of it is dead", is: { live: [700, 0, 0] }, reason: "garbage" },
    { when: "as garbage where what is alive has expired", is: { expired: 300 }, reason: "garbage" },
    { when: "as dead once nothing in it is alive", is: { live: [0, 0, 0] }, reason: "dead" },
    {
      when: "never while nothing in it is alive, and what it takes along makes it not worth it",
      is: { live: [0, 0, 0], draggedBytes: 2400, bytes: 1000 },
      beside: others(20),
      reason: undefined,
    },
    {
      when: "as garbage where nothing in it is alive, and what it takes along is little",
      is: { live: [0, 0, 0], draggedBytes: 2300 },
      reason: "garbage",
    },
    { when: "as dead once all of it has expired", is: { expired: 1000 }, reason: "dead" },
    {
      when: "by other rules",
      is: { live: [900, 0, 0] },
      options: { rules: { deadShareMin: 0.05 } },
      reason: "garbage",
    },
    { when: "as erasure whatever it holds", is: {}, options: { mustGo: () => true }, reason: "erasure" },
    {
      when: "as erasure, also where it is dead",
      is: { live: [0, 0, 0] },
      options: { mustGo: () => true },
      reason: "erasure",
    },
    { when: "never as one of 7 small ones", is: small, beside: others(6), reason: undefined },
    { when: "as one of 8 small ones", is: small, beside: others(7), reason: "small" },
    {
      when: "never as one of 8 that are not short",
      is: { bytes: planRules.smallBytes },
      beside: others(7),
      reason: undefined,
    },
    {
      when: "never for small ones of another tenant",
      is: small,
      beside: others(7, { ...small, tenant: "other" }),
      reason: undefined,
    },
    { when: "never before it is a day old", is: { createdMs: nowMs - toDayMs + 1 }, reason: undefined },
    { when: "as aged once it is a day old", is: { createdMs: nowMs - toDayMs }, reason: "aged", tier: 1 },
    {
      when: "never again before it is a month old",
      is: { createdMs: nowMs - toMonthMs + 1, live: [0, 1000, 0] },
      reason: undefined,
    },
    {
      when: "as aged once more when it is a month old",
      is: { createdMs: nowMs - toMonthMs, live: [0, 1000, 0] },
      reason: "aged",
      tier: 2,
    },
    {
      when: "never after that",
      is: { createdMs: nowMs - 10 * toMonthMs, live: [0, 0, 1000] },
      reason: undefined,
    },
    {
      when: "never for an age that half of it has already",
      is: { createdMs: nowMs - toMonthMs, live: [0, 500, 500] },
      reason: undefined,
    },
    {
      when: "at the tier of its age, whatever the reason",
      is: { createdMs: nowMs - toMonthMs, live: [0, 0, 600] },
      reason: "garbage",
      tier: 2,
    },
  ])("$when", ({ is, beside = [], options, reason, tier = 0 }) => {
    const one = usage("one", is);

    const found = planned([...beside, one], options).find(({ usage: { segment } }) => segment === "one");

    expect(found).toEqual(reason === undefined ? undefined : { usage: one, reason, tier });
  });

  test("at the tier that its age has, to the millisecond", () => {
    const tiers = [0, toDayMs - 1, toDayMs, toMonthMs - 1, toMonthMs].map((age) => tierOf(nowMs - age, nowMs));

    expect(tiers).toEqual([0, 0, 1, 1, 2]);
    expect([toDayMs, toMonthMs]).toEqual([dayMs, 30 * dayMs]);
  });
});

describe("the order of a plan", () => {
  const small = { bytes: 1000 };
  const usages = [
    usage("30-aged", { createdMs: nowMs - dayMs }),
    ...["27", "26", "25", "24", "23", "22", "21", "20"].map((name) => usage(`${name}-small`, small)),
    usage("12-garbage", { live: [600, 0, 0] }),
    usage("11-garbage", { live: [600, 0, 0] }),
    usage("10-more garbage", { live: [200, 0, 0] }),
    usage("06-dead", { live: [0, 0, 0] }),
    usage("05-dead", { live: [0, 0, 0] }),
    usage("41-erasure"),
    usage("40-erasure"),
    usage("42-erasure, dead too", { live: [0, 0, 0] }),
  ];
  const mustGo = ({ segment }: SegmentUsage) => segment.includes("erasure");
  const smallOnes = ["20", "21", "22", "23", "24", "25", "26", "27"].map((name) => `${name}-small`);
  const [forErasure, dead] = [
    ["40-erasure", "41-erasure", "42-erasure, dead too"],
    ["05-dead", "06-dead"],
  ];
  const garbage = ["10-more garbage", "11-garbage", "12-garbage"];
  const expected = [forErasure, dead, garbage, smallOnes, ["30-aged"]].flat();

  test("is: what has to be gone, oldest first; what is dead; garbage by its share; small ones; aged ones", () => {
    expect(named(planned(usages, { mustGo }))).toEqual(expected);
    expect(named(planned(usages.toReversed(), { mustGo }))).toEqual(expected);
  });

  test("decides what a budget is spent on, and what is dead costs nothing of it", () => {
    const plan = planCompaction(usages, { nowMs, mustGo, bytesMax: 2200 });

    // The two that have to be gone take 2,000 bytes, the segment with most garbage the other 200.
    expect(named(plan.segments)).toEqual(expected.slice(0, 6));
    expect(plan.rewrittenBytes).toBe(2200);
    expect(plan.postponed).toBe(usages.length - 6);
  });
});

describe("the budget of a plan", () => {
  const garbage = Array.from({ length: 10 }, (_, i) => usage(`${i}`, { live: [500, 0, 0] }));

  test.each([
    [undefined, 10, 0],
    [5000, 10, 0],
    [4999, 9, 1],
    [1500, 3, 7],
    [1499, 2, 8],
  ])("of %s bytes is enough for %i segments, and %i are postponed", (bytesMax, segments, postponed) => {
    const plan = planCompaction(garbage, { nowMs, bytesMax });

    expect([plan.segments.length, plan.postponed]).toEqual([segments, postponed]);
    expect(plan.rewrittenBytes).toBe(500 * segments);
    expect(plan.freedBytes).toBe(64 * mebibyte * segments);
  });

  test("is exceeded by one segment at most, so that each run gets on", () => {
    expect(named(planned(garbage, { bytesMax: 1 }))).toEqual(["0"]);
    expect(named(planned(garbage, { bytesMax: 0 }))).toEqual(["0"]);
  });

  test("goes to what fits of it", () => {
    const usages = [
      usage("0", { live: [100, 0, 0] }),
      usage("1", { stored: 10_000, live: [5000, 0, 0] }),
      usage("2", { live: [600, 0, 0] }),
    ];

    expect(named(planned(usages, { bytesMax: 1000 }))).toEqual(["0", "2"]);
  });
});

describe("amplification", () => {
  test("is what is written again for each byte that was dead", () => {
    const { amplification } = planCompaction([usage("a", { live: [600, 0, 0] }), usage("b", { live: [400, 0, 0] })], {
      nowMs,
    });

    expect(amplification).toBe(1);
    expect(planCompaction([], { nowMs }).amplification).toBe(0);
    expect(planCompaction([usage("a", { live: [0, 0, 0] })], { nowMs }).amplification).toBe(0);
  });

  test("of garbage is at most (1 − share) / share, whatever segments hold", () => {
    const draws = new Draws(7);
    for (let round = 0; round < 200; round++) {
      const deadShareMin = (1 + draws.below(90)) / 100;
      const usages = Array.from({ length: 1 + draws.below(20) }, (_, i) => {
        const stored = 1 + draws.below(1_000_000);
        const live = draws.below(stored + 1);
        const day = draws.below(live + 1);
        return usage(`${i}`, { stored, live: [live - day, day, 0], expired: draws.below(live + 1) });
      });

      const plan = planCompaction(usages, { nowMs, rules: { deadShareMin } });

      for (const { usage: of } of plan.segments) expect(deadShare(of)).toBeGreaterThanOrEqual(deadShareMin);
      expect(plan.amplification).toBeLessThanOrEqual((1 - deadShareMin) / deadShareMin + 1e-9);
    }
  });
});
