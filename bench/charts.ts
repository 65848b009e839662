import { drawn, look, type Chart } from "./draw.ts";
import type { BenchRecord, PeerRounds } from "./record.ts";
import { median } from "./spread.ts";

/** Pictures of a record: how fast stores write, and what a random get costs for the room that they take. */
export async function charts(record: BenchRecord): Promise<Chart[]> {
  const rows = record.peers
    .filter(({ write }) => write[0]?.payloads === record.work.payloads)
    .map((peer) => ({
      peer: peer.name,
      ours: peer.name === "paylode",
      written: median(peer.write.map((round) => round.payloadsPerSecond)) / 1000,
      disk: median(peer.write.map((round) => round.diskRatio)),
      get: getMicros(peer),
    }));
  if (rows.length === 0) return [];
  return [
    {
      file: "written.svg",
      alt: `Thousands of payloads written a second, ${record.work.batchPayloads} a durable commit: ${list(rows, ({ written }) => written.toFixed(0))}`,
      svg: await drawn(
        bars(
          rows.toSorted((a, b) => b.written - a.written),
          "written",
          "thousand payloads written a second, durable",
        ),
      ),
    },
    {
      file: "room-and-reads.svg",
      alt: `Microseconds of a random get at the share of the raw bytes that the disk holds: ${list(rows, ({ get, disk }) => `${get.toFixed(1)} at ${disk.toFixed(2)}`)}`,
      svg: await drawn(points(rows, { x: "disk", y: "get" }, ["bytes on disk / raw", "random get, p50 µs"])),
    },
  ];
}

function getMicros({ read }: PeerRounds): number {
  return median(read.map(({ get }) => get.p50));
}

function list<Row extends { readonly peer: string }>(rows: readonly Row[], of: (row: Row) => string): string {
  return rows.map((row) => `${row.peer} ${of(row)}`).join(", ");
}

const colour = {
  field: "ours",
  type: "nominal",
  scale: { domain: [true, false], range: ["#c2410c", "#94a3b8"] },
  legend: null,
};

function bars(rows: readonly object[], field: string, title: string): object {
  const x = { field, type: "quantitative", title };
  const y = { field: "peer", type: "nominal", sort: null, title: null };
  return {
    ...look,
    data: { values: rows },
    encoding: { x, y },
    layer: [
      { mark: "bar", encoding: { color: colour } },
      {
        mark: { type: "text", align: "left", dx: 4 },
        encoding: { text: { field, type: "quantitative", format: ".0f" } },
      },
    ],
  };
}

function points(
  rows: readonly object[],
  { x, y }: { readonly x: string; readonly y: string },
  [xTitle, yTitle]: readonly [string, string],
): object {
  return {
    ...look,
    height: 320,
    data: { values: rows },
    encoding: {
      x: { field: x, type: "quantitative", title: xTitle },
      y: { field: y, type: "quantitative", title: yTitle },
    },
    layer: [
      { mark: { type: "point", filled: true, size: 80 }, encoding: { color: colour } },
      { mark: { type: "text", align: "left", dx: 8, dy: -4 }, encoding: { text: { field: "peer" } } },
    ],
  };
}
