import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startFaultyServers } from "../test/support/aws/handlers.ts";
import { costReport } from "./cost/report.ts";
import { type CostRow, costStores } from "./cost/stores.ts";
import { cutPayloads } from "./cost/payloads.ts";
import { measureCost } from "./cost/measure.ts";

/**
 * npm run bench:cost -- --payloads N --no-record
 *
 * What a million payloads of 2 KB cost on AWS, written and read back once, beside other ways to keep them. Requests are
 * counted where they are sent, against servers on this machine; nothing is timed.
 */
const { values: options } = parseArgs({
  allowNegative: true,
  options: { payloads: { type: "string", default: "2000" }, record: { type: "boolean", default: true } },
});

/** What is between them in docs/cost.md is written here, never by hand. */
const markers = { begin: "<!-- cost: begin -->", end: "<!-- cost: end -->" };
const batches = [1, 10, 100, 1000] as const;

const payloads = Number(options.payloads);
if (!Number.isSafeInteger(payloads) || payloads < 1000 || payloads % 1000 !== 0) {
  throw new Error(`--payloads must be a multiple of 1,000; got ${JSON.stringify(options.payloads)}`);
}

const work = cutPayloads(payloads);
const servers = await startFaultyServers();
const rows: CostRow[] = [];
for (const store of costStores) {
  const cells = [];
  for (const batch of batches) {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${store.name}, batches of ${batch}`);
    cells.push(await measureCost(servers, store, work.payloads, batch));
  }
  rows.push({ store, cells });
}
await servers.close();
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");

const text = costReport(rows, { batches, payloads, source: work.source });
console.log(text);
if (options.record) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const file = path.join(root, "docs/cost.md");
  const [before, rest] = readFileSync(file, "utf8").split(markers.begin);
  const after = rest?.split(markers.end)[1];
  if (before === undefined || after === undefined) throw new Error("docs/cost.md has lost its markers");
  writeFileSync(file, `${before}${markers.begin}\n\n${text}\n${markers.end}${after}`);
  execFileSync(path.join(root, "node_modules/.bin/oxfmt"), [file], { cwd: root });
  console.error("\nwritten: docs/cost.md");
}
