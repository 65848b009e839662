import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { agentTraces, type TraceLine } from "./agent-traces.ts";

/** Payloads to be stored, and where they are from. */
export interface Recorded {
  readonly source: string;
  readonly items: readonly { readonly group: string; readonly id: string; readonly bytes: Uint8Array }[];
}

const encoder = new TextEncoder();

/** A corpus, or made-up traces where it is not there. */
export function recorded(corpus: string): Recorded {
  const file = path.resolve(import.meta.dirname, "../../shared/corpus", `${corpus}.ndjson.gz`);
  if (!existsSync(file)) return { source: "made up", items: bytesOf(agentTraces({ seed: 2, traces: 200 })) };
  const lines = gunzipSync(readFileSync(file)).toString().split("\n").filter(Boolean);
  return { source: corpus, items: bytesOf(lines.map((line) => JSON.parse(line) as TraceLine)) };
}

export function bytesOf(
  lines: Iterable<TraceLine & { readonly payload?: string }>,
): { group: string; id: string; bytes: Uint8Array }[] {
  return Array.from(lines, (line) => ({ group: line.group, id: line.id, bytes: payloadOf(line) }));
}

/** What a line of a trace says that was stored. */
export function payloadOf({ text, payload, json, base64 }: TraceLine & { readonly payload?: string }): Uint8Array {
  return base64 === undefined ? encoder.encode(text ?? payload ?? JSON.stringify(json)) : Buffer.from(base64, "base64");
}
