import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { closeSync, fdatasyncSync, mkdirSync, openSync, writevSync } from "node:fs";
import path from "node:path";
import { ZstdCodec } from "../../core/adapters/node/zstd-codec.ts";
import { limits } from "../../core/limits.ts";
import { Work, type WorkItem } from "../work.ts";

export interface FloorTask {
  readonly measure: "floor";
  readonly directory: string;
  readonly payloads: number;
}

/** What one thread allows a store of Paylode's formats that does nothing else, in payloads a second. */
export interface FloorResult {
  /** Batches written to a file as they are, each with its fdatasync. */
  readonly syncPerSecond: number;
  /** Batches packed into zstd blocks, written, each with its fdatasync. */
  readonly zstdPerSecond: number;
  /** As before, and every payload's SHA-256. */
  readonly hashedPerSecond: number;
}

type Pack = (items: readonly WorkItem[]) => Uint8Array[];

const codec = new ZstdCodec();

export function measureFloor({ directory, payloads }: FloorTask): FloorResult {
  mkdirSync(directory, { recursive: true });
  const work = new Work(payloads);
  const hashed: Pack = (items) => {
    for (const { bytes } of items) hash("sha256", bytes, "hex");
    return packed(items);
  };
  const floor = (pack: Pack) => write(path.join(directory, "floor"), work, pack);
  floor(hashed);
  return {
    syncPerSecond: floor((items) => items.map(({ bytes }) => bytes)),
    zstdPerSecond: floor(packed),
    hashedPerSecond: floor(hashed),
  };
}

function write(name: string, work: Work, pack: Pack): number {
  const file = openSync(name, "w");
  let ms = 0;
  for (let b = 0; b < work.batches; b++) {
    const { items } = work.batch(b);
    const start = performance.now();
    writevSync(file, pack(items));
    fdatasyncSync(file);
    ms += performance.now() - start;
  }
  closeSync(file);
  return work.payloads / (ms / 1000);
}

const block = new Uint8Array(limits.sharedBlockBytes);

/** Payloads of the corpus are all shorter than a block. */
function packed(items: readonly WorkItem[]): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let used = 0;
  const end = () => {
    const frame = codec.encode(block.subarray(0, used));
    assert.ok(frame instanceof Uint8Array, "a shared block is compressed in place");
    frames.push(frame);
  };
  for (const { bytes } of items) {
    if (used + bytes.length > block.length) {
      end();
      used = 0;
    }
    block.set(bytes, used);
    used += bytes.length;
  }
  end();
  return frames;
}
