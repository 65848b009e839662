import { rm, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { ask } from "../../bench/measures/scale/ask.ts";
import { build } from "../../bench/measures/scale/build.ts";
import { churn } from "../../bench/measures/scale/churn.ts";
import { divide } from "../../bench/measures/scale/divide.ts";
import { walk } from "../../bench/measures/scale/walk.ts";
import { DiskHashIndex } from "../../core/adapters/disk/disk-hash-index.ts";
import { Layout } from "../../core/adapters/disk/layout.ts";
import { NodeFileSystem } from "../../core/adapters/disk/node-file-system.ts";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { systemClock } from "../../core/adapters/node/clock.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { changesMax, indexBounds } from "../../core/lsm/index-bounds.ts";
import type { Page } from "../../core/page/page.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";

const tenant = "t";
const idsPerCommit = 100;

describe("an index on disk of a million ids", () => {
  test("finds each, invents none of a million others, and counts what that costs", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "paylode-"));
    try {
      // So small that three levels come to be.
      const bounds = { ...indexBounds, lanes: 8, laneChangesMax: 2000, level0KeysMax: 4000 };
      const index = newIndex(directory, bounds);
      let changes = 0;
      for (let commit = 0; commit < 10_000; commit++) {
        await index.commit(recordOf(commit), pageOf(commit));
        changes = Math.max(changes, index.map.changes);
      }
      await index.checkpoint();
      const keysIn = (count: number) =>
        index.map.lanes.reduce((sum, { runs }) => sum + runs.reduce((all, run) => all + (run?.keys ?? 0), 0), count);
      const runBytes = index.map.lanes.reduce(
        (sum, { runs }) => sum + runs.reduce((all, run) => all + (run?.layout.bytes ?? 0), 0),
        0,
      );
      const sizes = index.map.lanes.map(({ runs, overlay }) =>
        runs.reduce((all, run) => all + (run?.keys ?? 0), overlay.size),
      );
      const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;

      // Over commits of one key each it would be exact; a commit brings a hundred.
      expect(changes).toBeLessThanOrEqual(changesMax(bounds, 8) + idsPerCommit + 1);
      expect(keysIn(index.map.changes)).toBe(1_010_000);
      for (const size of sizes) expect(Math.abs(size - mean) / mean).toBeLessThan(0.25);
      expect(index.files.runBytesWritten / runBytes).toBeLessThan(10);
      expect(lost(index, 0)).toEqual([]);
      await index.close();

      const reopened = newIndex(directory, bounds);
      expect(reopened.load()).toEqual({ kind: "loaded" });
      expect(lost(reopened, 50)).toEqual([]);
      let invented = 0;
      for (let i = 0; i < 1_000_000; i++) {
        if (reopened.map.find(...reopened.keyOf(tenant, `g${i % 10_000}`, `never ${i}`)).length > 0) invented += 1;
      }
      const { structuresMax, misses, missesSkipped } = reopened.map.counters;
      expect(invented).toBe(0);
      expect(structuresMax).toBeLessThanOrEqual(4);
      expect(missesSkipped / misses).toBeGreaterThan(0.99);
      await reopened.close();
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

/** What `npm run bench:scale` times is counted here: docs/performance.md shows the times. */
describe("an index on disk of a million ids, as the store has it", () => {
  test("keeps what it promises of reads, writes, sizes, churn and the division of its lanes", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "paylode-"));
    try {
      const keys = 1_000_000;

      const built = await build(directory, keys);
      expect(built.writeAmplification).toBeLessThanOrEqual(10);
      expect(built.diskBytesPerKey).toBeLessThanOrEqual(12);
      expect(built.residentBitsPerKey).toBeLessThanOrEqual(12);

      const asked = await ask(directory, keys);
      expect([asked.wrong, asked.structuresMax <= 4, asked.missesSkipped >= 0.99]).toEqual([0, true, true]);
      // Of a thousand ids: a read of a run each, and of the log one a commit, whose record is kept; together, one of a page of a run.
      expect(asked.aloneReads).toBeLessThan(1_100);
      expect(asked.togetherReads).toBeLessThan(0.8 * asked.aloneReads);

      const divided = await divide(directory, keys);
      expect([divided.lanesBefore, divided.lanesAfter, divided.divideWrong]).toEqual([64, 128, 0]);
      expect(Math.abs(divided.movedShare - divided.movedPredicted)).toBeLessThan(0.01);
      expect(divided.lookedUpMeanwhile).toBeGreaterThan(64);

      const churned = await churn(directory, keys, 100_000);
      expect([churned.churnWrong, churned.churnStructuresMax <= 4]).toEqual([0, true]);
      expect(churned.churnWriteAmplification).toBeLessThanOrEqual(10);
      expect(churned.churnGrowth).toBeLessThan(1.2);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test("is walked in the memory of one read, however long its log is", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "paylode-"));
    try {
      const { walked, walkHeapMb } = await walk(directory, 1_000_000);
      expect([walked, walkHeapMb < 50]).toEqual([1_000_000, true]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

/** Every hundredth commit's ids that lead to another page. */
function lost(index: DiskHashIndex, from: number): string[] {
  const wrong: string[] = [];
  for (let commit = from; commit < 10_000; commit += 100) {
    for (let id = 0; id < idsPerCommit; id++) {
      const [record] = index.records(tenant, `g${commit}`, `id ${id}`).records;
      if (record?.place.offset !== commit) wrong.push(`${commit} ${id}`);
    }
  }
  return wrong;
}

function recordOf(commit: number) {
  return { tenant, group: `g${commit}`, sequence: 1, place: { segment: "s", offset: commit, headBytes: 1 } };
}

function pageOf(commit: number): Page {
  const entries = Array.from({ length: idsPerCommit }, (_, id) => ({
    id: `id ${id}`,
    bytes: 0,
    etag: "00".repeat(12),
  }));
  return { commitId: Uint8Array.of(commit), clearsGroup: false, deleted: [], blocks: [], entries };
}

function newIndex(directory: string, bounds: typeof indexBounds): DiskHashIndex {
  const random = new SystemRandom();
  const segments = new MemorySegmentStore({ clock: systemClock, random, digest: nodeDigest });
  const unexpected = (error: unknown): never => {
    throw error;
  };
  return new DiskHashIndex({
    fs: new NodeFileSystem(),
    layout: new Layout(directory),
    digest: nodeDigest,
    clock: systemClock,
    random,
    secret: new Uint8Array(16).fill(5),
    bounds,
    readOnly: false,
    reader: new FrameReader(segments, nodeDigest),
    durable: () => undefined,
    flush: async () => {},
    stop: unexpected,
    onDamage: () => unexpected(new Error("the index is damaged")),
    onGrowth: () => {},
  });
}
