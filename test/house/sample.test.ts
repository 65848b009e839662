import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { agentTraces, type TraceLine } from "../../bench/agent-traces.ts";
import { sampleFile, sampleNdjson } from "../../bench/write-sample.ts";

const sample = readFileSync(sampleFile, "utf8");
const sampleLines = sample
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as TraceLine);

describe("docs/sample.ndjson", () => {
  test("is what the generator writes, byte for byte", () => {
    // A plain comparison: a diff of 200 KB of JSON would bury the message.
    const equal = sample === sampleNdjson();

    expect(equal, "docs/sample.ndjson is out of date: run `npm run sample`").toBe(true);
  });

  test("is 150–300 KB and ends in a newline", () => {
    const bytes = Buffer.byteLength(sample);

    expect(bytes).toBeGreaterThanOrEqual(150_000);
    expect(bytes).toBeLessThanOrEqual(300_000);
    expect(sample.endsWith("}\n")).toBe(true);
  });

  test("shows text, JSON and bytes, an empty payload, and scripts beyond ASCII", () => {
    expect(sampleLines.some((line) => line.text !== undefined && line.text !== "")).toBe(true);
    expect(sampleLines.some((line) => line.json !== undefined)).toBe(true);
    expect(sampleLines.some((line) => line.contentType === "image/png")).toBe(true);
    expect(sampleLines.some((line) => line.text === "")).toBe(true);
    expect(sample).toMatch(/\p{Script=Han}/u);
    expect(sample).toMatch(/\p{Extended_Pictographic}/u);
  });

  test("is importable: one content a line, keys within their bounds, none twice", () => {
    expectImportable(sampleLines);
  });
});

describe("agentTraces", () => {
  const lines = [...agentTraces({ seed: 2, traces: 80 })];

  test("stays importable over many traces", () => {
    expectImportable(lines);
  });

  test("puts 6–40 payloads into each of the groups asked for", () => {
    const groups = [...Map.groupBy(lines, (line) => line.group).values()];

    expect(groups).toHaveLength(80);
    expect(Math.min(...groups.map((group) => group.length))).toBeGreaterThanOrEqual(6);
    expect(Math.max(...groups.map((group) => group.length))).toBeLessThanOrEqual(40);
  });

  test("has the sizes of recorded traces: short messages, model calls of 10–18 KB", () => {
    const calls = lines.filter((line) => line.attributes?.["kind"] === "llm-call").map(payloadBytes);
    const messages = lines.filter((line) => line.attributes?.["kind"] !== "llm-call").map(payloadBytes);

    expect(mean(calls)).toBeGreaterThan(10_000);
    expect(mean(calls)).toBeLessThan(18_000);
    expect(mean(messages)).toBeGreaterThan(600);
    expect(mean(messages)).toBeLessThan(1_200);
  });

  test("repeats itself for the same seed and differs for another", () => {
    expect([...agentTraces({ seed: 2, traces: 80 })]).toEqual(lines);
    expect([...agentTraces({ seed: 3, traces: 80 })]).not.toEqual(lines);
  });

  test("begins with the same lines when fewer traces are asked for", () => {
    const fewer = [...agentTraces({ seed: 2, traces: 5 })];

    expect(lines.slice(0, fewer.length)).toEqual(fewer);
  });
});

function expectImportable(lines: readonly TraceLine[]): void {
  const keys = new Set<string>();
  for (const line of lines) {
    const contents = ["text", "json", "base64"].filter((name) => Object.hasOwn(line, name));
    expect(contents, `${line.group} ${line.id}`).toHaveLength(1);

    for (const name of [line.group, line.id]) {
      expect(Buffer.byteLength(name)).toBeGreaterThanOrEqual(1);
      expect(Buffer.byteLength(name)).toBeLessThanOrEqual(512);
    }
    keys.add(JSON.stringify([line.group, line.id]));
  }
  expect(keys.size).toBe(lines.length);
}

/** Bytes of the payload itself, as the store would hold it uncompressed. */
function payloadBytes(line: TraceLine): number {
  if (line.base64 !== undefined) return Buffer.from(line.base64, "base64").length;
  return Buffer.byteLength(line.text ?? JSON.stringify(line.json));
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
