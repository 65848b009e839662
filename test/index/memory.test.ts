import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { openDisk } from "../../core/entries/disk.ts";
import { estimateIndexMemory } from "../../core/estimate.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function heapBytes(): number {
  // Buffers are freed beside the program once they were found dead: the second waits for what the first one found.
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test.each([
  { groups: 60, commitsPerGroup: 1, payloadsPerCommit: 1_500 },
  { groups: 40, commitsPerGroup: 4, payloadsPerCommit: 750 },
  { groups: 16_000, commitsPerGroup: 1, payloadsPerCommit: 1 },
])(
  "an index in memory of $groups × $commitsPerGroup × $payloadsPerCommit payloads takes what is estimated, within 15 %",
  async (shape) => {
    const directory = await mkdtemp(path.join(tmpdir(), "paylode-memory-"));
    const bytes = new Uint8Array(1);
    const { groups, commitsPerGroup, payloadsPerCommit } = shape;
    const writer = await openDisk({ directory, index: "memory", durability: "fast" });
    for (let g = 0; g < groups; g += 1_000) {
      const commits = [];
      for (let group = g; group < Math.min(groups, g + 1_000); group++) {
        for (let c = 0; c < commitsPerGroup; c++) {
          const items = Array.from({ length: payloadsPerCommit }, (_, i) => ({ id: `${c}-${i}`, bytes }));
          commits.push(writer.appendMany({ tenant: "t", group: `${group}` }, items));
        }
      }
      await Promise.all(commits);
    }
    await writer.close();

    // What a store takes beside its index, and what is compiled by then, is there before.
    const empty = await mkdtemp(path.join(tmpdir(), "paylode-memory-"));
    const other = await openDisk({ directory: empty, index: "memory" });
    const before = heapBytes();
    const store = await openDisk({ directory, index: "memory" });
    const measured = heapBytes() - before;
    await store.close();
    await other.close();
    await Promise.all([directory, empty].map((folder) => rm(folder, { recursive: true })));

    const estimated = estimateIndexMemory({ ...shape, storedBytes: 1, idBytes: 5, groupBytes: 5 });
    expect(estimated).toBeGreaterThan(1_000_000);
    expect(Math.abs(measured - estimated) / measured).toBeLessThanOrEqual(0.15);
  },
);
