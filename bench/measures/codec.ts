import assert from "node:assert/strict";
import { type CodecName, type CodecPolicyName, openDisk } from "../../core/entries/disk.ts";
import { latency, type Latency } from "../spread.ts";
import { batchPayloads, picks, Work, type WorkBatch } from "../work.ts";
import { bytesOnDisk } from "./disk.ts";

/**
 * `tiered` and `auto` are policies, which choose for each block. `shared`: a batch shares blocks of 32 KiB. `lone`: as many callers append one payload each, folded into one commit.
 */
const codecChoices = [
  "shared zstd",
  "shared lz4",
  "shared tiered",
  "shared auto",
  "lone zstd",
  "lone lz4",
  "lone none",
  "lone tiered",
  "lone auto",
] as const;
/** Of which nothing that was read is kept. */
export const uncached = "lone lz4, no cache";
export type CodecChoice = (typeof codecChoices)[number] | typeof uncached;

/** Payloads of the smallest store whose gets are timed. */
const fewPayloads = 10 * batchPayloads;

/** Each choice with so many payloads; and lone LZ4 without a cache with few and with all of the run: its gets shall not depend on that. */
export function codecWork(
  all: number,
  payloads: number,
): readonly { readonly choice: CodecChoice; readonly payloads: number }[] {
  const sizes = [...new Set([Math.min(fewPayloads, payloads), all])];
  return [
    ...codecChoices.map((choice) => ({ choice, payloads })),
    ...sizes.map((size) => ({ choice: uncached as CodecChoice, payloads: size })),
  ];
}

export interface CodecTask {
  readonly measure: "codec";
  readonly choice: CodecChoice;
  readonly directory: string;
  readonly payloads: number;
}

export interface CodecResult {
  readonly payloadsPerSecond: number;
  readonly diskRatio: number;
  readonly get: Latency;
}

const tenant = "bench";
const gets = 4_000;

export async function measureCodec({ choice, directory, payloads }: CodecTask): Promise<CodecResult> {
  const work = new Work(payloads);
  const [sharing, chosen] = choice.split(/,? /, 2) as ["shared" | "lone", CodecName | CodecPolicyName];
  const policy = chosen === "tiered" || chosen === "auto" ? chosen : undefined;
  const codec = chosen === "tiered" || chosen === "auto" ? undefined : chosen;
  const store = await openDisk({ directory, codecPolicy: policy, cacheBytes: choice === uncached ? 0 : undefined });
  const write = async ({ group, items }: WorkBatch): Promise<void> => {
    if (sharing === "shared") {
      await store.appendMany(
        { tenant, group },
        items.map((item) => ({ ...item, codec })),
      );
    } else {
      await Promise.all(items.map(({ id, bytes }) => store.append({ tenant, group, id }, bytes, { codec })));
    }
  };
  let ms = 0;
  for (let b = 0; b < work.batches; b++) {
    const batch = work.batch(b);
    const start = performance.now();
    await write(batch);
    ms += performance.now() - start;
  }
  const micros = new Float64Array(gets);
  let done = 0;
  for (const i of picks(1, gets, work.payloads)) {
    const key = { tenant, ...work.key(i) };
    const start = performance.now();
    const bytes = await store.get(key);
    micros[done] = (performance.now() - start) * 1000;
    assert.equal(bytes?.length, work.bytes(i).length);
    done += 1;
  }
  await store.close();
  return {
    payloadsPerSecond: work.payloads / (ms / 1000),
    diskRatio: bytesOnDisk(directory) / work.rawBytes(),
    get: latency(micros),
  };
}
