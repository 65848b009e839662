import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { DiskHashIndex } from "../../core/adapters/disk/disk-hash-index.ts";
import { Layout } from "../../core/adapters/disk/layout.ts";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { changesMax, indexBounds, type IndexBounds } from "../../core/lsm/index-bounds.ts";
import { type Page, placesOf } from "../../core/page/page.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

const tenant = "t";
const bounds: IndexBounds = { ...indexBounds, lanes: 8, laneChangesMax: 100, level0KeysMax: 200, plainKeysMax: 0 };

/** Suspected: one lane that is full writes them all; changes in memory grow beyond their bound. */
describe("a lane of an index on disk that has as many changes as it may", () => {
  test("is written to a run by itself, with those that are half as full: the others stay as they are", async () => {
    const index = newIndex();
    const idsOf = Array.from({ length: bounds.lanes }, (): string[] => []);
    for (let i = 0; idsOf.some((ids) => ids.length < 100); i++)
      idsOf[index.map.laneOf(...index.keyOf(tenant, "g", `${i}`))]!.push(`${i}`);
    const counts = [100, 60, 45, 30, 10, 1, 0, 0];
    await commit(
      index,
      1,
      counts.flatMap((count, lane) => idsOf[lane]!.slice(0, count)),
    );

    await index.checkpoint();

    const { lanes } = index.map;
    const group = lanes.map(({ overlay, runs }) => overlay.size + runs.reduce((sum, run) => sum + (run?.keys ?? 0), 0));
    // The group itself is a key of one lane as well.
    expect(group.map((keys, lane) => keys - counts[lane]!).toSorted((a, b) => a - b)).toEqual([0, 0, 0, 0, 0, 0, 0, 1]);
    expect(lanes.map(({ runs }) => runs.some((run) => run !== undefined))).toEqual(counts.map((count) => count >= 50));
    expect(lanes.map(({ overlay }) => overlay.size > 0)).toEqual(group.map((keys) => keys > 0 && keys < 50));
    await index.close();
  });

  test("is not waited for: all changes in memory stay below twice a lane's for each lane, and a commit's", async () => {
    const index = newIndex();
    let most = 0;
    for (let sequence = 1; sequence <= 400; sequence++) {
      await commit(
        index,
        sequence,
        Array.from({ length: 20 }, (_, i) => `${sequence} ${i}`),
      );
      most = Math.max(most, index.map.changes);
    }

    expect(most).toBeGreaterThan(bounds.laneChangesMax);
    expect(most).toBeLessThanOrEqual(changesMax(bounds, index.map.lanes.length) + 21);
    await index.close();
  });
});

/** Suspected: a commit whose page is durable waits until a slice of a merge is done. */
describe("a save of an index on disk", () => {
  test("gives each turn of the event loop to commits that wait for the disk, and takes fewer otherwise", async () => {
    const turns = async (isWaiting: boolean) => {
      const index = newIndex({ ...bounds, lanes: 1, laneChangesMax: 40_000, level0KeysMax: 200_000 });
      const ids = Array.from({ length: 40_000 }, (_, i) => `${i}`);
      for (let sequence = 1; sequence <= 4; sequence++) await commit(index, sequence, ids.splice(0, 10_000));
      const page = pageOf(5, ["waits"]);
      if (isWaiting) index.prepare(tenant, "g", page, placesOf(page));
      let isSaved = false;
      void index.checkpoint().then(() => (isSaved = true));
      let taken = 0;
      for (; !isSaved; taken++) await setImmediate();
      await index.close();
      return taken;
    };

    const [given, otherwise] = [await turns(true), await turns(false)];
    expect(given).toBeGreaterThan(1.5 * otherwise);
  });
});

function commit(index: DiskHashIndex, sequence: number, ids: readonly string[]): Promise<unknown> {
  const place = { segment: "s", offset: sequence, headBytes: 1 };
  return index.commit({ tenant, group: "g", sequence, place }, pageOf(sequence, ids));
}

function pageOf(sequence: number, ids: readonly string[]): Page {
  const entries = ids.map((id) => ({ id, bytes: 0, etag: "00".repeat(12) }));
  return { commitId: Uint8Array.of(sequence), clearsGroup: false, deleted: [], blocks: [], entries };
}

function newIndex(of: IndexBounds = bounds): DiskHashIndex {
  const fs = new PowerLossFileSystem({ random: seededRandom(1), syncTakes: "immediate" });
  const { clock, random } = simulatedMachine(fs, 1);
  const unexpected = (error: unknown): never => {
    throw error;
  };
  fs.makeDirectory("/store");
  return new DiskHashIndex({
    fs,
    layout: new Layout("/store"),
    digest: nodeDigest,
    clock,
    random,
    secret: new Uint8Array(16).fill(5),
    bounds: of,
    readOnly: false,
    reader: new FrameReader(new MemorySegmentStore({ clock, random, digest: nodeDigest }), nodeDigest),
    durable: () => undefined,
    flush: async () => {},
    stop: unexpected,
    onDamage: () => unexpected(new Error("the index is damaged")),
    onGrowth: () => {},
  });
}
