import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { agentTraces, type TraceLine } from "./agent-traces.ts";

/** Payloads of one commit. */
export const batchPayloads = 256;

export interface WorkKey {
  readonly group: string;
  readonly id: string;
}

export interface WorkItem extends WorkKey {
  readonly bytes: Uint8Array;
}

/** What one commit stores: neighbours of the corpus, under one group. */
export interface WorkBatch {
  readonly group: string;
  readonly items: readonly WorkItem[];
}

/** Recorded messages of an airline's agents, 5,308 payloads. It lies beside the repository where there is one. */
const corpusFile = fileURLToPath(new URL("../../shared/corpus/airline-messages.ndjson.gz", import.meta.url));

interface Template {
  readonly bytes: Uint8Array;
  /** Where trace and span ids stand: runs of 16 or more hex digits. */
  readonly names: readonly { readonly at: number; readonly length: number; readonly seed: number }[];
}

/**
 * The payloads that every peer stores: any of them by its number, the same on every machine that has the corpus.
 *
 * The corpus is gone through as often as needed. From the second time on its trace and span ids are replaced, the same one
 * by the same one within a round, so that payloads differ and their ids compress as little as real ones.
 */
export class Work {
  readonly source: string;
  readonly payloads: number;
  readonly #templates: readonly Template[];

  constructor(
    payloads: number,
    corpus: { readonly source: string; readonly texts: readonly string[] } = corpusOrTraces(),
  ) {
    this.payloads = payloads;
    this.source = corpus.source;
    this.#templates = corpus.texts.map(template);
  }

  get batches(): number {
    return Math.ceil(this.payloads / batchPayloads);
  }

  key(i: number): WorkKey {
    return { group: `run-${String(Math.floor(i / batchPayloads)).padStart(7, "0")}`, id: name(i) };
  }

  item(i: number): WorkItem {
    return { ...this.key(i), bytes: this.bytes(i) };
  }

  /** A name like the others, in a group that is there, that was never stored. */
  absentKey(i: number): WorkKey {
    return { group: this.key(i).group, id: name(i + 0x4000_0000) };
  }

  bytes(i: number): Uint8Array {
    const { bytes, names } = this.#templates[i % this.#templates.length]!;
    const round = Math.floor(i / this.#templates.length);
    const copy = bytes.slice();
    if (round === 0) return copy;
    for (const { at, length, seed } of names) {
      let state = mix(seed ^ Math.imul(round, 0x9e37_79b1));
      for (let j = 0; j < length; j++) {
        if (j % 8 === 0) state = mix(state + 0x6d2b_79f5);
        copy[at + j] = hexDigits.charCodeAt((state >>> (4 * (j % 8))) & 15);
      }
    }
    return copy;
  }

  batch(b: number): WorkBatch {
    const first = b * batchPayloads;
    const count = Math.min(batchPayloads, this.payloads - first);
    return { group: this.key(first).group, items: Array.from({ length: count }, (_, i) => this.item(first + i)) };
  }

  /** Lengths of the first `payloads` payloads together. */
  rawBytes(payloads: number = this.payloads): number {
    const lengths = this.#templates.map(({ bytes }) => bytes.length);
    const round = lengths.reduce((sum, length) => sum + length, 0);
    const rest = lengths.slice(0, payloads % lengths.length).reduce((sum, length) => sum + length, 0);
    return Math.floor(payloads / lengths.length) * round + rest;
  }

  medianBytes(): number {
    const lengths = this.#templates.map(({ bytes }) => bytes.length).toSorted((a, b) => a - b);
    return lengths[Math.floor(lengths.length / 2)] ?? 0;
  }
}

/** Whole numbers below `below`, the same ones each time. */
export function* picks(seed: number, count: number, below: number): Generator<number> {
  for (let i = 0, state = seed; i < count; i++) {
    state = (state + 0x6d2b_79f5) | 0;
    yield mix(state) % below;
  }
}

const hexDigits = "0123456789abcdef";

/** Sixteen hex digits, as span ids are; no two numbers below 2^32 share them. */
function name(i: number): string {
  return (
    mix(i).toString(16).padStart(8, "0") +
    mix(i ^ 0x5bd1_e995)
      .toString(16)
      .padStart(8, "0")
  );
}

/** MurmurHash3's finisher: one to one on 32 bits. */
function mix(word: number): number {
  let mixed = word;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function template(text: string): Template {
  const bytes = new Uint8Array(Buffer.from(text));
  const names = [
    ...Buffer.from(text)
      .toString("latin1")
      .matchAll(/[0-9a-f]{16,}/g),
  ].map(({ index, 0: digits }) => ({
    at: index,
    length: digits.length,
    seed: Buffer.from(digits).reduce((sum, digit) => mix(Math.imul(sum, 31) + digit), 0),
  }));
  return { bytes, names };
}

function corpusOrTraces(): { source: string; texts: string[] } {
  if (!existsSync(corpusFile)) {
    const lines = [...agentTraces({ seed: 1, traces: 256 })].filter((line) => line.base64 === undefined);
    return { source: "made-up agent traces (bench/agent-traces.ts)", texts: lines.map(textOf) };
  }
  const lines = gunzipSync(readFileSync(corpusFile)).toString().trimEnd().split("\n");
  const texts = lines.map((line) => (JSON.parse(line) as { payload: string }).payload);
  return { source: "recorded airline agent messages", texts };
}

function textOf(line: TraceLine): string {
  return line.text ?? JSON.stringify(line.json);
}
