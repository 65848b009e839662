import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  cheaperReference,
  keptRowBytesMax,
  listPrices,
  movePays,
  placeFrames,
  type Placement,
  type Prices,
  type RowSizes,
  writeUnits,
} from "../../core/placement.ts";
import { holds } from "../support/property.ts";

const kib = 1024;

/** A commit of few payloads: its head and its hashes fit one write unit each. */
function few(inline: number): RowSizes {
  return { inline, head: Math.min(inline, 400), pointer: 120 };
}

/** A commit of a hundred payloads. */
const hundred: RowSizes = { inline: 60 * kib, head: 6 * kib, pointer: 900 };

const freeWrites: Prices = { ...listPrices, writeUnit: 0 };
const freePuts: Prices = { ...listPrices, objectPut: 0, objectGet: 0 };
const dearPuts: Prices = { ...listPrices, objectPut: 1 };

/** Sizes and prices → where the frames go. */
const cases: readonly (readonly [string, readonly RowSizes[], Prices, readonly Placement[]])[] = [
  ["nothing", [], listPrices, []],
  ["a payload of 900 B", [few(1000)], listPrices, ["inline"]],
  ["one of 2 KB that takes two units", [few(2 * kib)], listPrices, ["inline"]],
  ["one of 5 KB, the last below the break-even", [few(5 * kib)], listPrices, ["inline"]],
  ["one a byte above the break-even", [few(5 * kib + 1)], listPrices, ["head"]],
  ["one of 9 KB, where the break-even were if rows were never deleted", [few(9 * kib)], listPrices, ["head"]],
  ["a batch of a hundred", [hundred], listPrices, ["pointer"]],
  [
    "a batch whose head takes a unit more than its hashes",
    [{ inline: 60 * kib, head: kib + 1, pointer: kib }],
    listPrices,
    ["pointer"],
  ],
  [
    "a batch whose head takes as many units as its hashes",
    [{ inline: 60 * kib, head: 2 * kib, pointer: kib + 1 }],
    listPrices,
    ["head"],
  ],
  [
    "short ones of a hundred groups",
    Array.from({ length: 100 }, () => few(800)),
    listPrices,
    Array.from({ length: 100 }, () => "inline"),
  ],
  [
    "longer ones of a hundred groups, which share one PUT",
    Array.from({ length: 100 }, () => few(1200)),
    listPrices,
    Array.from({ length: 100 }, () => "head"),
  ],
  ["two longer ones, too few to share a PUT", [few(1200), few(1200)], listPrices, ["inline", "inline"]],
  [
    "a short one beside a long one, which pays for the segment",
    [few(1000), few(60 * kib)],
    listPrices,
    ["inline", "head"],
  ],
  [
    "one of 1.5 KB beside a long one: its GET costs less than its second unit",
    [few(1500), few(60 * kib)],
    listPrices,
    ["head", "head"],
  ],
  ["one of 100 KB where writes are free", [few(100 * kib)], freeWrites, ["inline"]],
  ["the longest row that may keep its frame", [few(keptRowBytesMax)], dearPuts, ["inline"]],
  ["a byte more, whatever the prices", [few(keptRowBytesMax + 1)], dearPuts, ["head"]],
  [
    "a head too long to be kept, whatever the prices",
    [{ inline: 9e6, head: keptRowBytesMax + 1, pointer: keptRowBytesMax }],
    dearPuts,
    ["pointer"],
  ],
  [
    "one that is too long beside one that is not: the PUT is paid for, however dear",
    [few(keptRowBytesMax + 1), few(2 * kib)],
    dearPuts,
    ["head", "head"],
  ],
  ["a payload of two units where S3 asks nothing", [few(2 * kib)], freePuts, ["head"]],
  ["a payload of one unit where S3 asks nothing: it would not be cheaper there", [few(kib)], freePuts, ["inline"]],
];

describe("a batch is placed where it costs least", () => {
  test.each(cases)("%s", (_what, frames, prices, placements) => {
    expect(placeFrames(frames, prices)).toEqual(placements);
  });

  test("a lone payload goes to a segment above 5 KB: a PUT and a GET cost less than a sixth write unit, written and deleted", () => {
    const breakEven = Array.from({ length: 20 * kib }, (_, i) => i + 1).find(
      (bytes) => placeFrames([few(bytes)])[0] !== "inline",
    );

    expect(breakEven).toBe(5 * kib + 1);
  });
});

/** What a batch costs over its life, told anew: each row is written, deleted and read once. */
function costOf(frames: readonly RowSizes[], placements: readonly Placement[], prices: Prices): number {
  let dollars = placements.every((placement) => placement === "inline") ? 0 : prices.objectPut;
  for (const [i, placement] of placements.entries()) {
    const row = frames[i]![placement];
    dollars += 2 * Math.ceil(row / 1024) * prices.writeUnit + Math.ceil(row / 4096) * prices.readUnit;
    if (placement !== "inline") dollars += prices.objectGet;
  }
  return dollars;
}

const price = fc.oneof(fc.constant(0), fc.double({ min: 1e-8, max: 1e-4, noNaN: true }));
const prices = fc.record({ objectPut: price, objectGet: price, writeUnit: price, readUnit: price });
const sizes = fc
  .tuple(
    fc.integer({ min: 100, max: 8000 }),
    fc.integer({ min: 60, max: 200_000 }),
    fc.integer({ min: 0, max: 300_000 }),
  )
  .map(([pointer, head, body]): RowSizes => ({ inline: head + body, head, pointer }));
const batch = fc.array(sizes, { minLength: 1, maxLength: 12 });

const mayKeep = (bytes: number) => bytes <= keptRowBytesMax;
/** Summing in another order moves the last bits. */
const atMost = (left: number, right: number) => left <= right * (1 + 1e-9);

describe("wherever a batch is placed", () => {
  test("it costs no more than all of it in rows, or all of it in a segment", () =>
    holds(
      import.meta.filename,
      fc.property(batch, prices, (frames, given) => {
        const cost = costOf(frames, placeFrames(frames, given), given);
        const segment = costOf(frames, frames.map(cheaperReference), given);
        const rows = frames.every(({ inline }) => mayKeep(inline))
          ? costOf(
              frames,
              frames.map(() => "inline" as const),
              given,
            )
          : Infinity;
        return atMost(cost, Math.min(segment, rows));
      }),
      { runs: 2000 },
    ));

  test("no other choice of what is inline and what is not costs less", () =>
    holds(
      import.meta.filename,
      fc.property(fc.array(sizes, { minLength: 1, maxLength: 6 }), prices, (frames, given) => {
        const cost = costOf(frames, placeFrames(frames, given), given);
        for (let choice = 0; choice < 2 ** frames.length; choice++) {
          const placements = frames.map((frame, i): Placement =>
            choice & (1 << i) ? "inline" : cheaperReference(frame),
          );
          if (frames.some(({ inline }, i) => placements[i] === "inline" && !mayKeep(inline))) continue;
          if (!atMost(cost, costOf(frames, placements, given))) return false;
        }
        return true;
      }),
      { runs: 500 },
    ));

  test("a frame that stays inline stays so when it is shorter, or when S3 is dearer", () =>
    holds(
      import.meta.filename,
      fc.property(sizes, prices, fc.nat(5000), price, (frame, given, fewer, more) => {
        const isInline = (one: RowSizes, asked: Prices) => placeFrames([one], asked)[0] === "inline";
        if (!isInline(frame, given)) return true;
        const inline = Math.max(frame.head, frame.inline - fewer);
        const dearer = { ...given, objectPut: given.objectPut + more, objectGet: given.objectGet + more };
        return isInline({ ...frame, inline }, given) && isInline(frame, dearer);
      }),
      { runs: 2000 },
    ));

  test("no row is longer than may be, and a head is kept where that adds no write unit", () =>
    holds(
      import.meta.filename,
      fc.property(batch, prices, (frames, given) =>
        placeFrames(frames, given).every((placement, i) => {
          const { inline, head, pointer } = frames[i]!;
          if (placement === "inline") return mayKeep(inline);
          const keepsHead = mayKeep(head) && writeUnits(head) <= writeUnits(pointer);
          return placement === (keepsHead ? "head" : "pointer");
        }),
      ),
      { runs: 2000 },
    ));
});

describe("a frame that its row keeps whole", () => {
  test.each([
    [300, 64, false],
    [400, 64, false],
    [900, 64, true],
    [1300, 64, true],
    [1300, 1, false],
    [3 * kib, 1, true],
    [128 * kib, 1, true],
  ])("of %i bytes, in a segment shared by %i, is moved: %s", (bytes, sharing, expected) => {
    expect(movePays(bytes, sharing)).toBe(expected);
  });

  test("stays where writes are dear", () => {
    expect(movePays(1300, 64, { ...listPrices, writeUnit: 1e-5 })).toBe(false);
  });
});
