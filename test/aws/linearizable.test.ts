import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { explainNonlinear, type Mark, type RegisterCall } from "../support/linearizable.ts";
import { holds } from "../support/property.ts";

/** A register of one text, "" at first. */
const write = (value: string, startedMs: number, endedMs: number): RegisterCall<string> => ({
  what: `write ${value}`,
  startedMs,
  endedMs,
  step: () => value,
});
const read = (value: string, startedMs: number, endedMs: number): RegisterCall<string> => ({
  what: `read ${value}`,
  startedMs,
  endedMs,
  step: (state) => (state === value ? state : undefined),
});
const create = (value: string, created: boolean, startedMs: number, endedMs: number): RegisterCall<string> => ({
  what: `create ${value}: ${created}`,
  startedMs,
  endedMs,
  step: (state) => ((state === "") === created ? (created ? value : state) : undefined),
});

const fine: readonly (readonly [string, readonly RegisterCall<string>[]])[] = [
  ["nothing", []],
  ["one after the other", [write("a", 0, 1), read("a", 2, 3), write("b", 4, 5), read("b", 6, 7)]],
  ["a read of either, while it is written", [write("a", 0, 1), write("b", 2, 9), read("a", 3, 4), read("b", 5, 6)]],
  [
    "writes at once, in the order that reads show",
    [write("a", 0, 9), write("b", 0, 9), read("b", 10, 11), read("b", 12, 13)],
  ],
  [
    "a write of unknown outcome that is seen at last",
    [write("a", 0, Infinity), read("", 1, 2), read("a", 3, 4), read("a", 5, 6)],
  ],
  ["a write of unknown outcome that is never seen", [write("a", 0, Infinity), read("", 1, 2), read("", 3, 4)]],
  [
    "one creator of many",
    [create("a", false, 0, 9), create("b", true, 0, 9), create("c", false, 0, 9), read("b", 10, 11)],
  ],
];

const broken: readonly (readonly [string, readonly RegisterCall<string>[]])[] = [
  ["a read of what was overwritten before it began", [write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)]],
  ["a read that goes back", [write("a", 0, 1), write("b", 2, 9), read("b", 3, 4), read("a", 5, 6)]],
  ["a read of what nobody wrote", [write("a", 0, 1), read("c", 2, 3)]],
  ["a write that is lost", [write("a", 0, 1), read("", 2, 3)]],
  ["two creators", [create("a", true, 0, 9), create("b", true, 0, 9)]],
  ["no creator", [create("a", false, 0, 9), create("b", false, 0, 9)]],
  ["a write of unknown outcome that comes and goes", [write("a", 0, Infinity), read("a", 1, 2), read("", 3, 4)]],
];

describe("a register's calls", () => {
  test.each(fine)("can be put in order: %s", (_what, calls) => {
    expect(explainNonlinear("", calls)).toBeUndefined();
  });

  test.each(broken)("cannot be put in order: %s", (_what, calls) => {
    expect(explainNonlinear("", calls)).toContain(calls[0]!.what);
  });
});

/** What {@link explainNonlinear} must find without any of its short cuts: each order of each choice of unknown calls. */
function hasOrder(state: string, left: readonly RegisterCall<string>[]): boolean {
  if (left.every(({ endedMs }) => endedMs === Infinity)) return true;
  const soonestEndMs = Math.min(...left.map(({ endedMs }) => endedMs));
  return left.some((call) => {
    const after = call.startedMs > soonestEndMs ? undefined : call.step(state);
    const others = left.filter((each) => each !== call);
    return after !== undefined && hasOrder(after, others);
  });
}

type Drawn = {
  readonly kind: "write" | "create" | "delete" | "read";
  readonly startedMs: number;
  readonly tookMs: number;
  readonly known: boolean;
  readonly seen: number;
};

/** Calls that write values of their own, and reads that say which of them they saw. */
function callsOf(drawn: readonly Drawn[]): RegisterCall<string>[] {
  const marks = drawn.map((_, i): Mark<string> => ({ isIn: (state) => state === `${i}` }));
  return drawn.map((each, i) => callOf(each, i, marks));
}

function callOf(drawn: Drawn, i: number, marks: readonly Mark<string>[]): RegisterCall<string> {
  const { kind, startedMs, tookMs, known, seen } = drawn;
  const at = { what: `${kind} ${i}`, startedMs, endedMs: known || kind === "read" ? startedMs + tookMs : Infinity };
  switch (kind) {
    case "write":
      return { ...at, step: () => `${i}`, marks: [marks[i]!] };
    case "create":
      return { ...at, step: (state) => (state === "" ? `${i}` : undefined), marks: [marks[i]!] };
    case "delete":
      return { ...at, step: (state) => (state === "" ? undefined : "") };
    case "read": {
      const mark = marks[seen];
      const value = mark ? `${seen}` : "";
      const sees = mark ? { sees: [mark] } : {};
      return { ...at, step: (state) => (state === value ? state : undefined), reads: true, ...sees };
    }
  }
}

describe("the search", () => {
  test("finds an order where there is one, and only there", async () => {
    const drawn = fc.record({
      kind: fc.constantFrom("write" as const, "create" as const, "delete" as const, "read" as const, "read" as const),
      startedMs: fc.nat(12),
      tookMs: fc.nat(8),
      known: fc.boolean(),
      seen: fc.nat(7),
    });
    let orders = 0;
    const property = fc.property(fc.array(drawn, { minLength: 2, maxLength: 7 }), (each) => {
      const calls = callsOf(each);
      const expected = hasOrder("", calls);
      if (expected) orders += 1;

      expect(explainNonlinear("", calls) === undefined).toBe(expected);
    });

    await holds(import.meta.filename, property, { runs: 3000 });

    expect(orders).toBeGreaterThan(100);
  });
});
