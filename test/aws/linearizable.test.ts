import { describe, expect, test } from "vitest";
import { explainNonlinear, type RegisterCall } from "../support/linearizable.ts";

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
