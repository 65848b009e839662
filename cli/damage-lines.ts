import { count, printable } from "./output.ts";

/** Something that is said about a place in a segment. */
export interface Remark {
  readonly tenant: string;
  readonly segment: string;
  readonly line: string;
}

/** Remarks for people, under the name of the segment that they are about: in the order in which segments come first. */
export function bySegment(remarks: readonly Remark[]): string[] {
  const segments = Map.groupBy(remarks, ({ tenant, segment }) => `${tenant}/${segment}`);
  return [...segments].flatMap(([name, its]) => [`segment ${name}`, ...its.map(({ line }) => `  ${line}`)]);
}

/** A reason without the place that stands before it already. */
export function reasonAt(
  reason: string,
  { tenant, segment, start }: { readonly tenant: string; readonly segment: string; readonly start: number },
): string {
  const place = new RegExp(`^segment ${RegExp.escape(`${tenant}/${segment}`)}(?:, bytes \\d+–\\d+)?:? `);
  return printable(reason.replace(place, "").replace(`frame at byte ${start}: `, ""));
}

/** As many names stand on a line. */
const namesMax = 8;

/** The first names of many; programs read all of them with --json. */
export function someOf(names: readonly string[]): string {
  const shown = names.slice(0, namesMax).map(printable).join(", ");
  return names.length <= namesMax ? shown : `${shown} and ${count(names.length - namesMax, "other")} (--json)`;
}
