import type { SeededRandom } from "../../../bench/agent-trace-random.ts";
import type { ErasureSelector } from "../../../core/erasure/erasure.ts";
import { type Call, type CallKind, drawCall, everyGroup, idsOf, subjectName } from "./calls.ts";

/** What is drawn of schedules whose payloads have attributes and expire. */
export interface LapsingKind {
  /** Subjects that payloads are about. */
  readonly subjects: readonly string[];
  /** Share of what is written to a group that expires. */
  readonly expiring: Readonly<Record<string, number>>;
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** How long payloads of a class are kept. */
export const classesMs = { brief: 10 * minute, day: 24 * hour } as const;

/** How long after its call something expires; it may have before. */
const expiresInMs = [-second, 2 * second, 40 * second, 5 * minute, 50 * minute, 75 * minute, 2 * hour, 26 * hour];

/** How long before something expires it is looked for. */
export const soonMs = [second, minute, 10 * minute] as const;

/** Most erasures of a time begin and end with one of so many commits before them. */
const recentTimes = 5;

/** In half of them all that is written expires, so that nothing may be left in the end. */
export function drawLapsing(random: SeededRandom, groups: readonly string[]): LapsingKind {
  const shares = random.pick([
    [1, 1, 1],
    [1, 1, 1],
    [1, 0.5, 0.5],
    [0.5, 0.5, 0.2],
  ]);
  return {
    subjects: random.chance(0.5) ? ["s", "t"] : ["s"],
    expiring: Object.fromEntries(groups.map((group, i) => [group, shares[i]!])),
  };
}

/** What a call is drawn of besides: the time, and when something was committed. */
interface Known {
  readonly nowMs: number;
  readonly times: readonly number[];
}

export function drawLapsingCall(
  random: SeededRandom,
  kind: CallKind & { readonly lapsing: LapsingKind },
  value: string,
  known: Known,
): Call {
  const { subjects, expiring } = kind.lapsing;
  const ofAll = { group: everyGroup, ids: idsOf(kind.ids), value };
  if (random.chance(0.12)) return { ...ofAll, kind: "find", subject: random.pick(subjects) };
  if (kind.erases && random.chance(0.12)) {
    const selector = drawSelector(random, kind, known.times);
    return { ...ofAll, group: String(selector.group ?? everyGroup), kind: "erase what is meant", selector };
  }
  const call = drawCall(random, kind, value);
  if (call.kind !== "write" && call.kind !== "create") return call;
  const expires = random.chance(0.3)
    ? random.pick(Object.keys(classesMs))
    : Math.floor(known.nowMs) + random.pick(expiresInMs);
  return {
    ...call,
    subject: random.pick(subjects),
    ...(random.chance(expiring[call.group] ?? 0) ? { expires } : {}),
  };
}

/** An erasure of a subject, of a time whose edges are those of commits, of both, or of everything. */
function drawSelector(
  random: SeededRandom,
  { groups, lapsing }: CallKind & { readonly lapsing: LapsingKind },
  times: readonly number[],
): ErasureSelector {
  const where = { where: { [subjectName]: random.pick(lapsing.subjects) } };
  // What was committed last is there most likely.
  const some = random.chance(0.7) ? times.slice(-recentTimes) : times;
  const [from, to] = random.some(some, 2).sort((a, b) => a - b);
  const inGroup = random.chance(0.3) ? { group: random.pick(groups) } : {};
  const kind = random.between(0, 99);
  if (kind < 10) return { everything: true };
  if (kind < 35 || from === undefined) return { ...where, ...inGroup };
  const time = random.pick([{ fromMs: from, toMs: to ?? from + 1 }, { fromMs: to ?? from }, { toMs: from }]);
  return kind < 75 ? { ...time, ...inGroup } : { ...time, ...where, ...inGroup };
}
