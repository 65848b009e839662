import { type RequestCounts, requestDollars } from "../../core/adapters/aws/request-meter.ts";
import { listPrices } from "../../core/placement.ts";
import type { CostCell, CostRow } from "./stores.ts";

/** Lambda on arm64, us-east-1. https://aws.amazon.com/lambda/pricing */
export const lambdaPrices = { request: 0.2e-6, gibSecond: 13.3334e-6 } as const;

/** One invocation a call: most of its time it waits for S3 or DynamoDB. A guess, and the same for all stores. */
const invocation = { gib: 1, seconds: 0.025 } as const;

export interface CostReport {
  readonly batches: readonly number[];
  readonly payloads: number;
  readonly source: string;
}

/** The figures as Markdown: the same on the terminal and in docs/cost.md. */
export function costReport(rows: readonly CostRow[], { batches, payloads, source }: CostReport): string {
  const [ours, theirs] = rows;
  if (!ours || !theirs) return "";
  const lines = [
    `Dollars for requests per million payloads of 2,048 bytes (cut from ${source}; ${payloads.toLocaleString("en-US")} counted), written and read back once, in batches of:`,
    "",
    table(
      ["", ...batches.map(String)],
      [
        ...rows.map(({ store, cells }) => [
          store === ours.store ? `**${store.name}**` : store.name,
          ...cells.map((cell) => dollars(perMillion(cell))),
        ]),
        ["goal", ...batches.map((batch) => goalOf(ours, batch))],
        [`times as much: ${theirs.store.name}`, ...ours.cells.map((cell) => ratio(cell, theirs, perMillion(cell)))],
        ["apart: paylode's compaction", ...ours.cells.map((cell) => dollars(compaction(cell)))],
        [
          "times as much, with compaction",
          ...ours.cells.map((cell) => ratio(cell, theirs, perMillion(cell) + compaction(cell))),
        ],
        ["beside each: Lambda", ...batches.map((batch) => dollars((2e6 / batch) * invocationDollars()))],
      ],
    ),
    "",
    "What Paylode asks for, a batch:",
    "",
    table(
      ["", ...batches.map(String)],
      [
        ["PUT", ...each(ours, ({ written }) => written.requests["PutObject"] ?? 0)],
        ["write units", ...each(ours, ({ written }) => written.writeUnits)],
        ["read units", ...each(ours, ({ read }) => read.readUnits)],
        ["GET", ...each(ours, ({ read }) => read.requests["GetObject"] ?? 0)],
        ["written, $ a million payloads", ...ours.cells.map((cell) => dollars(perMillion(cell, cell.written)))],
        ["read, $ a million payloads", ...ours.cells.map((cell) => dollars(perMillion(cell, cell.read)))],
      ],
    ),
    "",
    "Compaction's share, of the same payloads, run after run until there is nothing to do:",
    "",
    table(
      ["", ...batches.map(String)],
      [
        ["runs", ...ours.cells.map(({ compacted }) => String(compacted?.runs ?? 0))],
        ["PUT, a batch", ...each(ours, ({ compacted }) => compacted?.counts.requests["PutObject"] ?? 0)],
        ["GET, a batch", ...each(ours, ({ compacted }) => compacted?.counts.requests["GetObject"] ?? 0)],
        ["write units, a batch", ...each(ours, ({ compacted }) => compacted?.counts.writeUnits ?? 0)],
        ["read units, a batch", ...each(ours, ({ compacted }) => compacted?.counts.readUnits ?? 0)],
      ],
    ),
    "",
    [
      "A batch here is a group of one commit: nothing of it has to be joined, and rows that keep their payloads leave the",
      "table after a day, where a year in it is dearer than the move. Each run reads the table once.",
    ].join(" "),
  ];
  return `${lines.join("\n")}\n`;
}

function perMillion({ payloads, written, read }: CostCell, ...counts: readonly RequestCounts[]): number {
  const counted = counts.length > 0 ? counts : [written, read];
  return counted.reduce((sum, count) => sum + requestDollars(count, listPrices), 0) * (1e6 / payloads);
}

/** Dollars of the background job for a million payloads. */
function compaction(cell: CostCell): number {
  return cell.compacted ? perMillion(cell, cell.compacted.counts) : 0;
}

/** How many times as much as these dollars another store costs, for the same batches. */
function ratio({ batch }: CostCell, { cells }: CostRow, ourDollars: number): string {
  const other = cells.find((one) => one.batch === batch);
  return other ? `${(perMillion(other) / ourDollars).toFixed(1)}x` : "–";
}

function invocationDollars(): number {
  return lambdaPrices.request + invocation.gib * invocation.seconds * lambdaPrices.gibSecond;
}

/** A goal, and whether it is met: it is of what is written and read back, as the others' figures are. */
function goalOf({ store, cells }: CostRow, batch: number): string {
  const [goal, cell] = [store.goals?.[batch], cells.find((one) => one.batch === batch)];
  if (goal === undefined || !cell) return "–";
  return `${perMillion(cell) <= goal ? "≤" : "missed:"} ${dollars(goal)}`;
}

function each({ cells }: CostRow, count: (cell: CostCell) => number): string[] {
  return cells.map((cell) => {
    const value = (count(cell) * cell.batch) / cell.payloads;
    return Number.isInteger(value) ? String(value) : value.toFixed(2);
  });
}

function dollars(value: number): string {
  return value >= 0.1 ? value.toFixed(2) : value.toFixed(3);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}
