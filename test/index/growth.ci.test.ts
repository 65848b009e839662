import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { openDisk, type DiskStore } from "../../core/entries/disk.ts";

const writers = 8;
const payloads = 100_000;
const perCommit = 250;
const groups = 20;
const tenant = "acme";

/** Small parts, so that every kind of growth comes several times: from plain tables to files, through the levels, to more lanes. */
const indexBounds = { lanes: 16, laneChangesMax: 1000, level0KeysMax: 4000, laneKeysMax: 20_000 };

test(
  `${writers} writers of ${payloads} payloads each, through every growth of the index: none is lost and none is wrong`,
  { timeout: 600_000 },
  async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "paylode-growth-"));
    try {
      const store = await openDisk({ directory, durability: "fast" }, { indexBounds });
      await Promise.all(Array.from({ length: writers }, async (_, writer) => write(store, writer)));
      expect(await store.size({ tenant })).toBe(writers * payloads);
      await store.close();
      const manifest = await readFile(path.join(directory, "index", "manifest"), "latin1");
      expect(Number(/"lanes":(\d+)/.exec(manifest)?.[1])).toBeGreaterThanOrEqual(64);

      const again = await openDisk({ directory }, { indexBounds });
      expect(again.recovery).toMatchObject({ checkpoint: "loaded", framesReplayed: 0, damage: [] });
      const wrong = await Promise.all(Array.from({ length: writers }, async (_, writer) => wrongOf(again, writer)));
      expect(wrong.flat()).toEqual([]);
      await again.close();
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
);

async function write(store: DiskStore, writer: number): Promise<void> {
  for (let from = 0; from < payloads; from += perCommit) {
    const items = numbers(from).map((n) => ({ id: `${writer}.${n}`, bytes: bodyOf(writer, n) }));
    await store.appendMany({ tenant, group: groupOf(from) }, items);
    // What another writer, or this one long ago, put into the group is found while all of it grows.
    const n = (from * 7) % (from + 1);
    const body = await store.get({ tenant, group: groupOf(n - (n % perCommit)), id: `${writer}.${n}` });
    expect(body && Buffer.from(body).toString()).toBe(`payload ${n} of writer ${writer}`);
  }
}

/** Groups are shared by all writers. */
function groupOf(from: number): string {
  return `g${(from / perCommit) % groups}`;
}

async function wrongOf(store: DiskStore, writer: number): Promise<string[]> {
  const wrong: string[] = [];
  for (let from = 0; from < payloads; from += perCommit) {
    const ids = numbers(from).map((n) => `${writer}.${n}`);
    const found = await store.getMany({ tenant, group: groupOf(from) }, [...ids, `${writer}.never ${from}`]);
    for (const [i, n] of numbers(from).entries()) {
      if (Buffer.compare(found[i] ?? new Uint8Array(0), bodyOf(writer, n)) !== 0) wrong.push(ids[i]!);
    }
    if (found[ids.length] !== undefined) wrong.push(`never ${from}`);
  }
  return wrong;
}

function numbers(from: number): number[] {
  return Array.from({ length: perCommit }, (_, i) => from + i);
}

function bodyOf(writer: number, n: number): Uint8Array {
  return Buffer.from(`payload ${n} of writer ${writer}`);
}
