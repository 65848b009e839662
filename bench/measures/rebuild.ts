import assert from "node:assert/strict";
import { openDisk } from "../../core/entries/disk.ts";

export interface RebuildTask {
  readonly measure: "rebuild";
  readonly directory: string;
  readonly payloads: number;
}

export interface RebuildResult {
  readonly payloadsPerSecond: number;
  readonly pagesPerSecond: number;
}

/** Makes the index of a written store anew from its segments. */
export async function measureRebuild({ directory, payloads }: RebuildTask): Promise<RebuildResult> {
  const store = await openDisk({ directory });
  const start = performance.now();
  const { pages, damage } = await store.rebuildIndex();
  const seconds = (performance.now() - start) / 1000;
  assert.deepEqual(damage, []);
  assert.equal(await store.size({ tenant: "bench" }), payloads);
  await store.close();
  return { payloadsPerSecond: payloads / seconds, pagesPerSecond: pages / seconds };
}
