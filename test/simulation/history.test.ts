import { describe, expect, test } from "vitest";
import type { Answer, Call } from "../support/simulation/calls.ts";
import { History } from "../support/simulation/history.ts";

/** What was called, and what it was answered, `undefined` for a call whose client gave up. */
type Made = readonly [call: Call, answer: Answer | undefined];

const done: Answer = { kind: "done" };
const refused: Answer = { kind: "refused" };
const both = ["0", "1"];
const call = (kind: Call["kind"], value = "", ids = ["0"]): Call => ({ kind, group: "g", ids, value });
const keyed = (of: Call): Call => ({ ...of, key: "key" });
const sees = (...values: readonly string[]): Made => [
  call("get many", "", both),
  { kind: "seen", seen: Object.fromEntries(values.map((value, i) => [`${i}`, value])), together: true },
];

/** Calls, one after the other, and whether an order explains them. */
const cases: readonly (readonly [what: string, isFine: boolean, made: readonly Made[]])[] = [
  ["a batch that is seen whole", true, [sees("", ""), [call("write", "a", both), done], sees("a", "a")]],
  ["a batch that is seen in part", false, [[call("write", "a", both), undefined], sees("a", "")]],
  ["a write that is lost", false, [[call("write", "a"), done], sees("", "")]],
  ["a write of unknown outcome that comes late", true, [[call("write", "a"), undefined], sees("", ""), sees("a", "")]],
  ["a write of unknown outcome that comes and goes", false, [[call("write", "a"), undefined], sees("a"), sees("")]],
  [
    "two creators",
    false,
    [
      [call("create", "a"), done],
      [call("create", "b"), done],
    ],
  ],
  [
    "a creator after a delete",
    true,
    [
      [call("create", "a"), done],
      [call("delete"), done],
      [call("create", "b"), done],
    ],
  ],
  ["no creator", false, [[call("create", "a"), refused]]],
  ["a delete of nothing that says it was something", false, [[call("delete"), done]]],
  ["a delete that is undone", false, [[call("write", "a"), done], [call("delete"), done], sees("a")]],
  [
    "a group that had one payload fewer",
    false,
    [
      [call("write", "a", both), done],
      [call("delete the group", "", both), { kind: "cleared", payloads: 1 }],
    ],
  ],
  [
    "a request that is made again and answered again",
    true,
    [
      [keyed(call("delete")), undefined],
      [call("write", "a"), done],
      [keyed(call("delete")), done],
      [call("write", "b"), done],
      [keyed(call("delete")), done],
      sees("b"),
    ],
  ],
  [
    "a request that takes effect again",
    false,
    [[keyed(call("write", "a")), done], [call("write", "b"), done], [keyed(call("write", "a")), done], sees("a")],
  ],
];

describe("calls one after the other", () => {
  test.each(cases)("%s: %s", (_what, isFine, made) => {
    const history = new History(2);
    for (const [i, [of, answer]] of made.entries()) {
      history.began(of, 2 * i);
      history.ended(of, 2 * i, 2 * i + 1, answer);
    }

    const broken = history.broken();

    expect(broken.length).toBe(isFine ? 0 : 1);
  });
});
