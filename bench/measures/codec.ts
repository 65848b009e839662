import assert from "node:assert/strict";
import { openDisk } from "../../core/entries/disk.ts";
import { latency, type Latency } from "../spread.ts";
import { picks, Work, type WorkBatch } from "../work.ts";
import { bytesOnDisk } from "./disk.ts";

/** `shared`: a batch shares blocks of 32 KiB. `lone`: as many callers append one payload each, folded into one commit. */
export const codecChoices = ["shared zstd", "shared lz4", "lone zstd", "lone lz4", "lone none"] as const;
export type CodecChoice = (typeof codecChoices)[number];

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
  const [sharing, codec] = choice.split(" ") as ["shared" | "lone", "zstd" | "lz4" | "none"];
  const store = await openDisk({ directory });
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
