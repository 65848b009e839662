import assert from "node:assert/strict";
import { closeSync, fdatasync, fdatasyncSync, mkdirSync, openSync, writeSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { openDisk } from "../../core/entries/disk.ts";
import { Work } from "../work.ts";

export interface SingleTask {
  readonly measure: "single";
  readonly directory: string;
  readonly payloads: number;
}

export interface SingleResult {
  /** One caller that waits for each append. */
  readonly serialPerSecond: number;
  /** 64 callers with a group each, every one waiting for its own append. */
  readonly callersPerSecond: number;
  /** The same payloads written to a file, each with its fdatasync: what the disk allows one caller. */
  readonly floorPerSecond: number;
  /** The same with the sync in the thread pool, so that others have their turn meanwhile. */
  readonly pooledFloorPerSecond: number;
}

const callers = 64;
const secondsMax = 2;
const tenant = "bench";

export async function measureSingle({ directory, payloads }: SingleTask): Promise<SingleResult> {
  mkdirSync(directory, { recursive: true });
  const work = new Work(payloads);
  const floorPerSecond = await floor(path.join(directory, "floor"), work, fdatasyncSync);
  const pooledFloorPerSecond = await floor(path.join(directory, "floor"), work, promisify(fdatasync));
  const store = await openDisk({ directory: path.join(directory, "store") });

  let next = 0;
  const append = async (group: string): Promise<void> => {
    const i = next;
    next += 1;
    await store.append({ tenant, group, id: work.key(i).id }, work.bytes(i % work.payloads));
  };
  const runs = async (count: number): Promise<number> => {
    const first = next;
    const start = performance.now();
    const end = start + secondsMax * 1000;
    await Promise.all(
      Array.from({ length: count }, async (_, caller) => {
        while (performance.now() < end) await append(`run-${count}-${caller}`);
      }),
    );
    return (next - first) / ((performance.now() - start) / 1000);
  };
  const serialPerSecond = await runs(1);
  const callersPerSecond = await runs(callers);
  assert.equal(await store.size({ tenant }), next);
  const found = await store.get({ tenant, group: "run-1-0", id: work.key(0).id });
  assert.deepEqual(Buffer.from(found ?? []), Buffer.from(work.bytes(0)));
  await store.close();
  return { serialPerSecond, callersPerSecond, floorPerSecond, pooledFloorPerSecond };
}

async function floor(name: string, work: Work, sync: (fd: number) => void | Promise<void>): Promise<number> {
  const file = openSync(name, "w");
  const start = performance.now();
  let done = 0;
  while (performance.now() < start + 1000) {
    writeSync(file, work.bytes(done % work.payloads));
    const syncing = sync(file);
    if (syncing) await syncing;
    done += 1;
  }
  closeSync(file);
  return done / ((performance.now() - start) / 1000);
}
