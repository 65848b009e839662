import { writeFileSync } from "node:fs";
import { agentTraces } from "./agent-traces.ts";

/** The sample's NDJSON: three traces of seed 1, one line for each payload, 150–300 KB in all. */
export function sampleNdjson(): string {
  return [...agentTraces({ seed: 1, traces: 3 })].map((line) => `${JSON.stringify(line)}\n`).join("");
}

export const sampleFile: URL = new URL("../docs/sample.ndjson", import.meta.url);

if (import.meta.main) writeFileSync(sampleFile, sampleNdjson());
