import { describe, expect, test } from "vitest";
import { encodePage } from "../../core/page/page.ts";
import { type Answer, bodyOf, type Call, everyGroup, type Found, valueIn } from "../support/simulation/calls.ts";
import { type Clocks, History } from "../support/simulation/history.ts";
import { Moments } from "../support/simulation/moments.ts";

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

/** What was called and answered at a time by all clocks, and what of it was stored then, until when. */
type MadeAt = readonly [atMs: number, call: Call, answer: Answer | undefined, expiresMs?: number];

const of = (subject: string, made: Call): Call => ({ ...made, subject });
const find = (subject: string): Call => of(subject, { ...call("find", "", both), group: everyGroup });
const finds = (found: Found): Answer => ({ kind: "found", found });
const seesNone: Answer = { kind: "seen", seen: { "0": "" }, together: true };
const seesA: Answer = { kind: "seen", seen: { "0": "a" }, together: true };
const erase = (selector: Call["selector"]): Call => ({
  ...call("erase what is meant", "", both),
  group: everyGroup,
  ...(selector && { selector }),
});
const written: MadeAt = [10, of("s", call("write", "a")), done];
const expiring: MadeAt = [10, of("s", call("write", "a")), done, 20];

/** Clocks may be 2 ms ahead here. */
const lapsingCases: readonly (readonly [what: string, isFine: boolean, made: readonly MadeAt[]])[] = [
  ["a payload that is there before it expires", true, [expiring, [19, call("get"), seesA]]],
  ["a payload that is there when it has expired", false, [expiring, [20, call("get"), seesA]]],
  ["a payload that is not there when it has expired", true, [expiring, [20, call("get"), seesNone]]],
  ["a payload that another clock has seen expire", true, [expiring, [18, call("get"), seesNone]]],
  ["a payload that is gone long before it expires", false, [expiring, [17, call("get"), seesNone]]],
  ["a creator when it has expired", true, [expiring, [20, of("s", call("create", "b")), done]]],
  ["a creator before it expires", false, [expiring, [15, of("s", call("create", "b")), done]]],
  [
    "a group cleared of what has expired",
    true,
    [expiring, [25, call("delete the group", "", both), { kind: "cleared", payloads: 0 }]],
  ],
  ["a find of what is there", true, [written, [11, find("s"), finds({ g: { "0": "a" } })]]],
  ["a find of another subject", true, [written, [11, find("t"), finds({})]]],
  ["a find that misses something", false, [written, [11, find("s"), finds({})]]],
  [
    "a find of what was deleted",
    false,
    [written, [11, call("delete"), done], [12, find("s"), finds({ g: { "0": "a" } })]],
  ],
  ["a find of what has expired", false, [expiring, [20, find("s"), finds({ g: { "0": "a" } })]]],
  ["a find that misses what has expired", true, [expiring, [20, find("s"), finds({})]]],
  [
    "an erased subject",
    true,
    [written, [11, erase({ where: { subject: "s" } }), { kind: "erased" }], [12, call("get"), seesNone]],
  ],
  [
    "an erased subject that is there",
    false,
    [written, [11, erase({ where: { subject: "s" } }), { kind: "erased" }], [12, call("get"), seesA]],
  ],
  [
    "another subject that goes with it",
    false,
    [written, [11, erase({ where: { subject: "t" } }), { kind: "erased" }], [12, call("get"), seesNone]],
  ],
  [
    "a time that begins with a commit",
    true,
    [written, [11, erase({ fromMs: 10 }), { kind: "erased" }], [12, call("get"), seesNone]],
  ],
  [
    "a time that ends with a commit",
    false,
    [written, [11, erase({ toMs: 10 }), { kind: "erased" }], [12, call("get"), seesNone]],
  ],
  [
    "everything, but for a payload",
    false,
    [written, [11, erase({ everything: true }), { kind: "erased" }], [12, call("get"), seesA]],
  ],
];

describe("calls of what expires and has a subject, one after the other", () => {
  test.each(lapsingCases)("%s: %s", (_what, isFine, made) => {
    const moments = new Moments();
    const history = new History(2, { groups: ["g"], moments, aheadMsMax: 2 });
    for (const [i, [atMs, made1, answer, expiresMs]] of made.entries()) {
      const { group, ids, subject, value } = made1;
      moments.writes(value, { group, ids, subject });
      if (value !== "") moments.framed(frameOf(value, atMs, expiresMs), valueIn);
      const clocks: Clocks = { leastMs: atMs, mostMs: atMs };
      history.began(made1, 2 * i);
      history.ended(made1, 2 * i, 2 * i + 1, answer, clocks);
    }

    const broken = history.broken();

    expect(broken.length).toBe(isFine ? 0 : 1);
  });
});

function frameOf(value: string, timeMs: number, expiresMs: number | undefined) {
  const attributes = { body: new TextDecoder().decode(bodyOf(value)) };
  const entry = { id: "0", bytes: 0, etag: "0".repeat(24), attributes, expiresMs };
  const page = encodePage({
    commitId: new Uint8Array(16),
    clearsGroup: false,
    deleted: [],
    blocks: [],
    entries: [entry],
  });
  return { kind: "payloads", group: "g", sequence: 1, timeMs, page, blocks: [] } as const;
}
