import { goals } from "./goals.ts";
import { uncached } from "./measures/codec.ts";
import { callers } from "./measures/callers.ts";
import type { BenchRecord, PeerRounds } from "./record.ts";
import { median, spread, type Latency } from "./spread.ts";

/** A record as Markdown: the same on the terminal and in docs/performance.md. Figures are medians of the rounds. */
export function report(record: BenchRecord): string {
  return [
    heading(record),
    goalsTable(record),
    peersTable(record),
    callersTable(record),
    aloneTable(record),
    codecTable(record),
    killedTable(record),
    httpTable(record),
    notes(record),
  ]
    .filter((part) => part !== "")
    .join("\n\n")
    .concat("\n");
}

function heading({ machine, work, rounds, date, version, seconds }: BenchRecord): string {
  const commit = version.commit ? `, commit ${version.commit}${version.changed ? " with changes" : ""}` : "";
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, Node ${machine.node.slice(1)}; ${date.slice(0, 10)}${commit}.`,
    `${grouped(work.payloads)} payloads (${work.source}; median ${work.medianBytes} B, mean ${grouped(work.rawBytes / work.payloads)} B),`,
    `${work.batchPayloads} a commit, each commit durable; ${rounds} interleaved rounds in ${grouped(seconds)} s. Medians, ± half the distance between the rounds.`,
  ].join("\n");
}

function goalsTable(record: BenchRecord): string {
  const found = goals(record);
  if (found.length === 0) return "";
  return table(
    ["goals", "goal", "reached", ""],
    found.map(({ what, goal, reached, held }) => [what, goal, reached, held ? "held" : "**missed**"]),
  );
}

interface Column {
  readonly title: string;
  readonly better: "more" | "less";
  readonly of: (peer: PeerRounds) => readonly number[];
  readonly digits?: number;
}

const perRead = (pick: (read: PeerRounds["read"][number]) => number) => (peer: PeerRounds) => peer.read.map(pick);

const columns: readonly Column[] = [
  { title: "written/s", better: "more", of: ({ write }) => write.map((round) => round.payloadsPerSecond) },
  { title: "commit p99 ms", better: "less", of: ({ write }) => write.map((round) => round.commitMs.p99), digits: 1 },
  { title: "disk / raw", better: "less", of: ({ write }) => write.map((round) => round.diskRatio), digits: 2 },
  { title: "get p50 µs", better: "less", of: perRead(({ get }) => get.p50), digits: 1 },
  { title: "p99", better: "less", of: perRead(({ get }) => get.p99), digits: 1 },
  { title: "p99.9", better: "less", of: perRead(({ get }) => get.p999), digits: 1 },
  { title: "has p50 µs, hit", better: "less", of: perRead(({ hit }) => hit.p50), digits: 1 },
  { title: "miss", better: "less", of: perRead(({ miss }) => miss.p50), digits: 1 },
  { title: "groups read, payloads/s", better: "more", of: perRead((read) => read.groupPayloadsPerSecond) },
  { title: "open ms", better: "less", of: ({ open }) => open.map((round) => round.openMs), digits: 1 },
  { title: "RSS MB", better: "less", of: ({ open }) => open.map((round) => round.rssBytes / 1e6), digits: 1 },
  {
    title: "heap B/payload",
    better: "less",
    of: ({ open }) => open.map((round) => round.heapBytesPerPayload),
    digits: 1,
  },
];

/** Peers and Paylode, and how far it is from the best of the others: above 1 it is better, whichever way a column runs. */
function peersTable({ peers, work }: BenchRecord): string {
  const rows = peers.map((peer) => {
    const fewer = (peer.write[0]?.payloads ?? work.payloads) < work.payloads;
    return [
      fewer ? `${peer.name} (${grouped(peer.write[0]?.payloads ?? 0)} payloads)` : peer.name,
      ...columns.map(({ of, digits }, i) => figure(of(peer), digits, i < 4)),
    ];
  });
  const ours = peers.find(({ name }) => name === "paylode");
  const rivals = peers.filter((peer) => peer !== ours && peer.write[0]?.payloads === work.payloads);
  if (ours && rivals.length > 0) {
    rows.push([
      "**paylode against the best**",
      ...columns.map(({ of, better }) => {
        const best = Math[better === "more" ? "max" : "min"](...rivals.map((peer) => median(of(peer))));
        const ratio = better === "more" ? median(of(ours)) / best : best / median(of(ours));
        return best > 0 && ratio > 0 && Number.isFinite(ratio) ? `**${significant(ratio)}×**` : "–";
      }),
    ]);
  }
  return table(["", ...columns.map(({ title }) => title)], rows);
}

/** What concurrency gains each store over one caller that waits, and what that takes of the processor. */
function callersTable({ peers, work }: BenchRecord): string {
  const rateOf = ({ callers: rounds }: PeerRounds) => median(rounds.map((round) => round.payloadsPerSecond));
  const measured = peers.filter((peer) => peer.callers.length > 0 && peer.write[0]?.payloads === work.payloads);
  if (measured.length === 0) return "";
  const rows = measured.map((peer) => [
    peer.name,
    figure(
      peer.callers.map((round) => round.payloadsPerSecond),
      0,
      true,
    ),
    `${significant(rateOf(peer) / median(peer.write.map((round) => round.payloadsPerSecond)))}×`,
    figure(
      peer.callers.map((round) => round.cpuMs),
      1,
    ),
  ]);
  const ours = measured.find(({ name }) => name === "paylode");
  const rivals = measured.filter((peer) => peer !== ours);
  if (ours && rivals.length > 0) {
    const ratio = rateOf(ours) / Math.max(...rivals.map(rateOf));
    rows.push(["**paylode against the best**", `**${significant(ratio)}×**`, "", ""]);
  }
  return table(
    [`${callers} callers, each with batches of its own`, "written/s", "of one caller's", "processor ms for 1,000"],
    rows,
  );
}

function aloneTable({ peers, single, floor, rebuild }: BenchRecord): string {
  if (single.length === 0) return "";
  const written = peers.find(({ name }) => name === "paylode")?.write.map((round) => round.payloadsPerSecond) ?? [];
  const row = (title: string, values: readonly number[], against?: readonly number[]): string[] => [
    title,
    figure(values, 0, true),
    against && against.length > 0 ? `${significant(median(against) / median(values))}×` : "",
  ];
  const syncs = single.map((round) => round.floorPerSecond);
  const callers = single.map((round) => round.callersPerSecond);
  return table(
    ["paylode alone, and what one thread allows, per second", "", "paylode against it"],
    [
      row(
        "batches of payloads written as they are, a fdatasync each",
        floor.map(({ syncPerSecond }) => syncPerSecond),
        written,
      ),
      row(
        "… packed into zstd blocks",
        floor.map(({ zstdPerSecond }) => zstdPerSecond),
        written,
      ),
      row(
        "… and every payload's SHA-256",
        floor.map(({ hashedPerSecond }) => hashedPerSecond),
        written,
      ),
      row(
        "a payload written as it is, a fdatasync each",
        syncs,
        single.map((round) => round.serialPerSecond),
      ),
      row(
        "… which waits for the sync in the thread pool",
        single.map((round) => round.pooledFloorPerSecond),
        single.map((round) => round.serialPerSecond),
      ),
      row(
        "appends, one caller that waits",
        single.map((round) => round.serialPerSecond),
      ),
      row("appends, 64 callers, a group each", callers),
      row(
        "index rebuilt, payloads",
        rebuild.map((round) => round.payloadsPerSecond),
      ),
      row(
        "index rebuilt, commits",
        rebuild.map((round) => round.pagesPerSecond),
      ),
    ],
  );
}

function codecTable({ codecs }: BenchRecord): string {
  if (codecs.every(({ rounds }) => rounds.length === 0)) return "";
  const few = codecs.find(({ choice }) => choice === uncached)?.rounds.map((round) => round.get.p50) ?? [];
  const many = codecs.findLast(({ choice }) => choice === uncached)?.rounds.map((round) => round.get.p50) ?? [];
  const growth =
    few.length === 0 ? [] : [["… of all, of few", "", "", "", `${significant(median(many) / median(few))}×`, ""]];
  return table(
    ["paylode's codecs and policies", "payloads", "written/s", "disk / raw", "get p50 µs", "p99"],
    [
      ...codecs.map(({ choice, payloads, rounds }) => [
        choice,
        grouped(payloads),
        figure(
          rounds.map((round) => round.payloadsPerSecond),
          0,
          true,
        ),
        figure(
          rounds.map((round) => round.diskRatio),
          2,
        ),
        figure(
          rounds.map((round) => round.get.p50),
          1,
          true,
        ),
        figure(
          rounds.map((round) => round.get.p99),
          1,
        ),
      ]),
      ...growth,
    ],
  );
}

/** What a start has to read again, and to write again where it was not synced. */
function killedTable({ killed }: BenchRecord): string {
  if (killed.every(({ rounds }) => rounds.length === 0)) return "";
  return table(
    ["open after kill -9, a segment of 63 MiB", "ms", "payloads", "commits read again", "… not synced, written again"],
    killed.map(({ choice, rounds }) => [
      choice,
      figure(
        rounds.map((round) => round.openMs),
        0,
        true,
      ),
      figure(rounds.map((round) => round.payloads)),
      figure(rounds.map((round) => round.frames)),
      figure(rounds.map((round) => round.unsyncedFrames)),
    ]),
  );
}

function httpTable({ http }: BenchRecord): string {
  if (http.every(({ rounds }) => rounds.length === 0)) return "";
  const rateOf = (name: string, verb: "put" | "get") =>
    http.find(({ server }) => server === name)?.rounds.map((round) => round[verb].perSecond) ?? [];
  const rows = http.map(({ server, rounds }) => [
    server === "hello" ? "a hono server that says hello" : server,
    ...(["put", "get"] as const).flatMap((verb) => [
      figure(
        rounds.map((round) => round[verb].perSecond),
        0,
        true,
      ),
      latencies(rounds.map((round) => round[verb].latency)),
      figure(
        rounds.map((round) => round[verb].serverMicros),
        0,
      ),
    ]),
  ]);
  rows.push([
    "**paylode against hello**",
    ...(["put", "get"] as const).flatMap((verb) => [
      `**${significant(median(rateOf("paylode", verb)) / median(rateOf("hello", verb)))}×**`,
      "",
      "",
    ]),
  ]);
  return table(
    ["HTTP, 64 connections", "PUT/s", "p50 / p99 ms", "server µs each", "GET/s", "p50 / p99 ms", "server µs each"],
    rows,
  );
}

function notes({ peers, missing }: BenchRecord): string {
  const durable = Map.groupBy(peers, (peer) => peer.durable);
  return [
    "How each commit is made durable:",
    "",
    ...[...durable].map(([how, kinds]) => `- ${kinds.map(({ name }) => name).join(", ")}: ${how}`),
    ...missing.map(({ name }) => `- ${name}: not measured, its package is not there`),
  ].join("\n");
}

function latencies(rounds: readonly Latency[]): string {
  const ms = (pick: (round: Latency) => number) => (median(rounds.map(pick)) / 1000).toFixed(1);
  return `${ms((round) => round.p50)} / ${ms((round) => round.p99)}`;
}

function figure(values: readonly number[], digits = 0, withSpread = false): string {
  if (values.length === 0) return "–";
  const middle = digits === 0 ? grouped(median(values)) : median(values).toFixed(digits);
  return withSpread && values.length > 1 ? `${middle} ±${Math.round(spread(values) * 50)} %` : middle;
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function significant(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(2);
}

/** A Markdown table whose columns are aligned, so that it reads well on a terminal too. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, 3, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(" | ")} |`;
  const rule = `| ${widths.map((width, i) => (i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}
