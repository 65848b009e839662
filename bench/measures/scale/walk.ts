import { mkdirSync } from "node:fs";
import path from "node:path";
import { writeAll } from "../../../core/adapters/disk/files.ts";
import { NodeFileSystem } from "../../../core/adapters/disk/node-file-system.ts";
import { nodeDigest } from "../../../core/adapters/node/digest.ts";
import { PageLog, pageRecordBytes } from "../../../core/lsm/page-log.ts";
import { secret } from "./made-up-frames.ts";

export interface WalkResult {
  /** Commits in a log, which all walks of a store go through: a lone payload is one. */
  readonly walked: number;
  readonly walkedPerSecond: number;
  /** Heap and other memory that a walk over all of them takes at most, in MB. */
  readonly walkHeapMb: number;
}

/** Walks a log of as many commits as there are keys, as a listing of groups does. */
export async function walk(directory: string, keys: number): Promise<WalkResult> {
  mkdirSync(directory, { recursive: true });
  const crc32 = (bytes: Uint8Array, seed?: number) => nodeDigest.crc32(bytes, seed);
  const log = new PageLog(secret, crc32);
  const file = new NodeFileSystem().open(path.join(directory, "pages"), "create");
  for (let number = 0; number < keys; number++) {
    const page = { segment: 0, offset: number, headBytes: 1, sequence: 1, previous: 0, live: 1, cleared: 0 };
    log.add({ ...page, groupCheck: number });
    if (number % 65_536 !== 65_535 && number !== keys - 1) continue;
    writeAll(file, log.unwritten(number + 1), log.written * pageRecordBytes);
    log.wrote(file, number + 1);
  }
  globalThis.gc?.();
  const held = () => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const before = held();
  let most = before;
  let walked = 0;
  const start = performance.now();
  for (const { offset } of log.pages(0, log.count)) {
    if (offset !== walked) throw new Error(`commit ${walked} is ${offset}`);
    walked += 1;
    if (walked % 100_000 === 0) most = Math.max(most, held());
  }
  const seconds = (performance.now() - start) / 1000;
  file.close();
  return { walked, walkedPerSecond: walked / seconds, walkHeapMb: (most - before) / 1e6 };
}
