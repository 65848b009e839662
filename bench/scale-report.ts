import type { ScaleResult } from "./measures/scale/main.ts";

interface Row {
  readonly what: string;
  readonly value: (result: Partial<ScaleResult>) => string | undefined;
  readonly goal?: string;
}

/** What `bench:scale` measured, as Markdown: a column for each number of ids. */
export function scaleTable(results: readonly Partial<ScaleResult>[]): string {
  const [least] = results;
  const rows: Row[] = [
    time("look-up of a key that is there, p50", "hitP50Us", "µs"),
    time("a bare `pread` of 16 bytes, p50", "preadP50Us", "µs"),
    {
      what: "… the one over the other",
      value: ({ hitP50Us, preadP50Us }) => ratio(hitP50Us, preadP50Us),
      goal: "1.3 (2.5)",
    },
    {
      what: "… over that of the least",
      value: ({ hitP50Us }) => ratio(hitP50Us, least?.hitP50Us),
      goal: "1.5",
    },
    time("… p99", "hitP99Us", "µs", "20 µs"),
    time("look-up of a key that is not, p50", "missP50Us", "µs", "0.5 µs"),
    {
      what: "… told without a read",
      value: ({ missesSkipped }) => shown(missesSkipped, (share) => `${(100 * share).toFixed(1)} %`),
      goal: "99 %",
    },
    time("an id as a store asks for it, p50", "recordP50Us", "µs"),
    time("a thousand ids of a group, one by one, each", "aloneUs", "µs"),
    time("… all at once, each", "togetherUs", "µs"),
    { what: "… the one over the other", value: ({ aloneUs, togetherUs }) => ratio(aloneUs, togetherUs), goal: "2" },
    number("overlays and runs that one look-up asked, at most", "structuresMax", "4"),
    number("runs, bytes of disk a key", "runBytesPerKey", "12"),
    number("all files, bytes of disk an id", "diskBytesPerKey", "12"),
    number("runs, bits of memory a key", "residentBitsPerKey", "3 + 9"),
    time("open", "openMs", "ms", "20 ms, at 10 M 100 ms"),
    time("… the first look-up after it", "firstUs", "µs"),
    time("… the first thousand", "firstThousandMs", "ms"),
    time("memory of a process that has asked for all of it", "rssMb", "MB", "250 MB at 10 M"),
    time("memory of the one that built it, at most", "buildRssMb", "MB", "250 MB at 10 M"),
    { what: "inserted/s", value: ({ insertsPerSecond }) => shown(insertsPerSecond, thousands) },
    time("one commit of 256 ids, p99.99", "insertP9999Ms", "ms"),
    time("… where nothing interrupted it", "insertOwnP9999Ms", "ms", "5 ms"),
    time("longest turn of the event loop", "stallMaxMs", "ms"),
    time("… that nothing interrupted", "stallOwnMs", "ms", "10 ms"),
    time("… most processor time in one", "stallCpuMs", "ms", "10 ms"),
    time("… 99th percentile of all", "stallP99Ms", "ms"),
    time("… longest of a loop that does nothing", "preemptedMs", "ms"),
    time("look-ups during merges, p99", "mergingP99Us", "µs"),
    time("… between them", "idleP99Us", "µs"),
    {
      what: "… the one over the other",
      value: ({ mergingP99Us, idleP99Us }) => ratio(mergingP99Us, idleP99Us),
      goal: "2",
    },
    number("bytes of runs written for one kept", "writeAmplification", "10"),
    { what: "ids deleted and brought again", value: ({ churned }) => shown(churned, thousands) },
    time("… the first commit after the opening", "churnFirstMs", "ms"),
    time("… longest turn that nothing interrupted", "churnStallOwnMs", "ms", "10 ms"),
    time("… most processor time in one", "churnStallCpuMs", "ms", "10 ms"),
    number("… bytes of runs written for one that changed", "churnWriteAmplification", "10"),
    number("… bytes of files afterwards, of those before", "churnGrowth"),
    number("… overlays and runs that one look-up asked", "churnStructuresMax", "4"),
    {
      what: "lanes, before and after they were doubled",
      value: ({ lanesBefore, lanesAfter }) => (lanesBefore === undefined ? undefined : `${lanesBefore}, ${lanesAfter}`),
    },
    {
      what: "… keys that moved",
      value: ({ movedShare }) => shown(movedShare, (share) => `${(100 * share).toFixed(2)} %`),
      goal: "50 %",
    },
    time("… took, beside look-ups", "divideSeconds", "s"),
    time("… longest turn that nothing interrupted", "divideStallOwnMs", "ms", "10 ms"),
    time("… most processor time in one", "divideStallCpuMs", "ms", "10 ms"),
    { what: "commits walked", value: ({ walked }) => shown(walked, thousands) },
    time("… memory that it took", "walkHeapMb", "MB", "50 MB"),
    {
      what: "look-ups with a wrong answer, in all of this",
      value: ({ wrong, churnWrong, divideWrong }) => String((wrong ?? 0) + (churnWrong ?? 0) + (divideWrong ?? 0)),
      goal: "0",
    },
    number("in typed arrays (`index: memory`), bytes a key", "memoryBytesPerKey", "50"),
    time("… look-up of a key in the table", "memoryHitNs", "ns", "300 ns"),
    time("… an id as a store asks for it, p50", "memoryRecordP50Us", "µs"),
  ];
  const lines = rows.map(({ what, value, goal = "" }) => {
    const values = results.map((result) => value(result) ?? "");
    return `| ${[what, ...values.map((text) => text || "–"), goal].join(" | ")} |`;
  });
  const columns = results.map(({ keys = 0 }) => `${keys / 1e6} M`);
  return [
    `| ids | ${columns.join(" | ")} | goal |`,
    `| --- | ${columns.map(() => "---:").join(" | ")} | --- |`,
    ...lines,
  ].join("\n");
}

type Figure = {
  [Name in keyof ScaleResult]-?: NonNullable<ScaleResult[Name]> extends number ? Name : never;
}[keyof ScaleResult];

function time(what: string, name: Figure, unit: string, goal?: string): Row {
  return {
    what,
    value: (result) => shown(result[name], (value) => `${spelled(value)} ${unit}`),
    ...(goal === undefined ? {} : { goal }),
  };
}

function number(what: string, name: Figure, goal?: string): Row {
  return {
    what,
    value: (result) => shown(result[name], spelled),
    ...(goal === undefined ? {} : { goal }),
  };
}

function ratio(a: number | undefined, b: number | undefined): string | undefined {
  return a === undefined || b === undefined ? undefined : (a / b).toFixed(2);
}

function thousands(value: number): string {
  return value >= 1e6 ? `${spelled(value / 1e6)} M` : `${Math.round(value / 1000)} k`;
}

function spelled(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** What is not a number was not measured: an index of few ids has no runs. */
function shown(value: number | undefined, how: (value: number) => string): string | undefined {
  return typeof value === "number" && Number.isFinite(value) ? how(value) : undefined;
}
