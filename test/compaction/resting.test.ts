import { describe, expect, test } from "vitest";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { type DiskOptions, type DiskStore, openDisk } from "../../core/entries/disk.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { SegmentBinding } from "../../core/segment/binding.ts";
import { decodeMark, encodeMark, markBytes } from "../../core/segment/frame.ts";
import { collect } from "../conformance/expectations.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { CountingFileSystem } from "../support/counting-file-system.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { alike, blocksOf, restingBlocksOf, smallBases } from "../support/resting-blocks.ts";
import { seededRandom } from "../support/seeded-random.ts";

const tenant = "acme";
const directory = "/store";
const options = { graceMs: 0, mustGo: () => true, rules: smallBases } as const;

let processes = 0;

function open(fs: FileSystem, given: Partial<DiskOptions> = {}): Promise<DiskStore> {
  return openDisk({ directory, ...given }, simulatedMachine(fs, (processes += 1)));
}

function newDisk(): PowerLossFileSystem {
  return new PowerLossFileSystem({ random: seededRandom(1) });
}

interface Filled {
  readonly fs: PowerLossFileSystem;
  readonly store: DiskStore;
  readonly kept: ReadonlyMap<string, Uint8Array>;
}

/** Groups of three payloads that are alike, and lone ones; compacted, so that most of them rest on a few. */
async function filled(given: Partial<DiskOptions> = {}, groups = 30, bytesOf = alike): Promise<Filled> {
  const fs = newDisk();
  const store = await open(fs, given);
  const kept = new Map<string, Uint8Array>();
  for (let i = 0; i < groups; i++) {
    const ids = i % 4 === 0 ? ["alone"] : ["a", "b", "c"];
    const items = ids.map((id, j) => ({ id, bytes: bytesOf(10 * i + j) }));
    await store.appendMany({ tenant, group: `g${i}` }, items);
    for (const { id, bytes } of items) kept.set(`g${i} ${id}`, bytes);
  }
  await store.compact(options);
  return { fs, store, kept };
}

async function expectKept(store: DiskStore, kept: ReadonlyMap<string, Uint8Array>): Promise<void> {
  for (const [name, bytes] of kept) {
    const [group = "", id = ""] = name.split(" ");
    expect(await store.get({ tenant, group, id }), name).toEqual(bytes);
  }
  expect((await store.verify()).faults).toEqual([]);
}

const segmentFile = (segment: string) => `${directory}/segments/${tenant}/${segment}.seg`;

describe("blocks that rest on a base", () => {
  test("are most of what compaction writes of groups that are alike, and are read in every way", async () => {
    const { fs, store, kept } = await filled();
    const blocks = await blocksOf(fs, directory);
    const resting = blocks.filter(({ block }) => block.resting);

    expect(resting.length).toBeGreaterThan(blocks.length / 2);
    expect(new Set(resting.map(({ block }) => block.resting?.base.start)).size).toBeGreaterThan(1);
    await expectKept(store, kept);
    for (const { block, offset } of resting) {
      expect(block.codec).toBe(2);
      expect(block.resting!.base.end).toBeLessThan(offset);
    }
    for (let i = 0; i < 30; i++) {
      for (const { id, location } of await collect(store.list({ tenant, group: `g${i}` }))) {
        const bytes = kept.get(`g${i} ${id}`)!;
        expect(["none", "lz4", "zstd"]).toContain(
          location.codec === 2 ? "zstd" : location.codec === 1 ? "lz4" : "none",
        );
        expect(await store.getAt({ tenant }, location)).toEqual(bytes);
        expect(await store.getAt({ tenant }, location, { range: { start: 5, end: 50 } })).toEqual(
          bytes.subarray(5, 50),
        );
      }
      const contents = await collect(store.contents({ tenant, group: `g${i}` }));
      for (const { id, body } of contents) expect(body).toEqual(kept.get(`g${i} ${id}`));
    }
    const beside = await open(fs, { readOnly: true });
    await store.append({ tenant, group: "later", id: "a" }, alike(1));
    await store.compact(options);
    await expectKept(beside, kept);
    await beside.close();
    await store.close();
    for (const again of [{ cacheBytes: 0 }, { readOnly: true }, { rebuild: true }, { index: "memory" as const }]) {
      const reopened = await open(fs, again);
      await expectKept(reopened, kept);
      await reopened.close();
    }
  });

  test("rest on blocks that rest on none, of frames before their own in their own segment", async () => {
    const { fs } = await filled();
    const blocks = await blocksOf(fs, directory);
    const restingAt = new Set(
      blocks.filter(({ block }) => block.resting).map(({ segment, offset }) => `${segment} ${offset}`),
    );

    for (const { segment, block } of blocks) {
      const base = block.resting?.base;
      if (!base) continue;
      const within = blocks.filter(
        (other) => other.segment === segment && other.offset >= base.start && other.offset < base.end,
      );
      expect(within.some(({ offset }) => !restingAt.has(`${segment} ${offset}`))).toBe(true);
    }
  });

  test("are compacted again and again, into other segments, and never copied as they are", async () => {
    const { fs, store, kept } = await filled({ segmentBytesMax: 8000 });
    const segmentsBefore = new Set((await restingBlocksOf(fs, directory)).map(({ segment }) => segment));
    for (let run = 0; run < 4; run++) {
      await store.delete({ tenant, group: `g${4 * run}`, id: "alone" });
      const { skipped, complete } = await store.compact(options);

      expect([skipped, complete]).toEqual([[], true]);
      await expectKept(
        store,
        new Map([...kept].filter(([name]) => ![...Array(run + 1).keys()].some((r) => name === `g${4 * r} alone`))),
      );
    }
    const resting = await restingBlocksOf(fs, directory);
    expect(resting.length).toBeGreaterThan(10);
    for (const { segment } of resting) expect(segmentsBefore.has(segment)).toBe(false);
  });

  // Frames that were encoded for a segment that is sealed before they are written are encoded anew: none is left behind.
  test("are encoded anew where their segment was sealed meanwhile", async () => {
    const { fs, store, kept } = await filled({ segmentBytesMax: 5000 }, 60);

    for (let run = 0; run < 3; run++) expect((await store.compact(options)).skipped).toEqual([]);
    expect((await restingBlocksOf(fs, directory)).length).toBeGreaterThan(20);
    await expectKept(store, kept);
  });

  test("are not made where the rules say so, nor of what a base makes no smaller", async () => {
    const off = await filled({}, 8);
    await off.store.compact({ ...options, rules: { baseBytes: 0 } });
    expect(await restingBlocksOf(off.fs, directory)).toEqual([]);
    await expectKept(off.store, off.kept);

    const unlike = await filled({}, 8, (i) => noise(1500, i).map((byte) => byte & 63));
    expect(await restingBlocksOf(unlike.fs, directory)).toEqual([]);
  });

  test("do not rest on what zstd would take for a trained dictionary", async () => {
    const trained = (i: number) => Uint8Array.of(0x37, 0xa4, 0x30, 0xec, ...alike(i));
    const { fs, store, kept } = await filled({}, 30, trained);

    expect(await restingBlocksOf(fs, directory)).toEqual([]);
    await expectKept(store, kept);
  });
});

describe("what rests on a base", () => {
  const shared = Buffer.from(noise(16_384, 5).map((byte) => 48 + (byte & 63)));
  const piece = (i: number) => Uint8Array.from(shared.subarray((i * 97) % 14_000, ((i * 97) % 14_000) + 1500));

  test("is a group of 1,000 payloads that is read with 3 reads of segments", async () => {
    const disk = newDisk();
    const fs = new CountingFileSystem(disk);
    const store = await open(fs, { cacheBytes: 0, segmentBytesMax: 200_000 });
    const before = Array.from({ length: 12 }, (_, i) => ({ id: `${i}`, bytes: piece(i * 12) }));
    await store.appendMany({ tenant, group: "before" }, before);
    // It ends the segment, so that what lies in it is compacted first.
    await store.append({ tenant, group: "filler", id: "a" }, noise(200_000, 1));
    await store.delete({ tenant, group: "filler", id: "a" });
    for (let i = 0; i < 100; i++) {
      const ten = Array.from({ length: 10 }, (_, j) => ({ id: `${i}-${j}`, bytes: piece(10 * i + j) }));
      await store.appendMany({ tenant, group: "run" }, ten);
    }
    await store.compact({ ...options, rules: { baseBytes: 10_000 } });
    const resting = await restingBlocksOf(disk, directory);
    const raw = resting.reduce((sum, { block }) => sum + block.rawBytes, 0);
    fs.segmentReads = 0;

    const read = await collect(store.contents({ tenant, group: "run" }));

    expect(raw).toBe(1000 * 1500);
    expect(resting.length).toBeGreaterThan(3);
    for (const [i, { body }] of read.entries()) expect(body).toEqual(piece(i));
    expect([read.length, fs.segmentReads]).toEqual([1000, 3]);
  });
});

describe("damage of a base", () => {
  test("is CORRUPT for what rests on it, with both places, and nothing for others; repair sets it aside", async () => {
    const { fs, store, kept } = await filled();
    await store.close();
    const resting = await restingBlocksOf(fs, directory);
    const { base } = resting[0]!.block.resting!;
    const { segment } = resting[0]!;
    const bytes = fs.readFile(segmentFile(segment));
    // The last byte of the base is one of its blocks'.
    bytes[base.end - 1]! ^= 1;
    fs.writeFile(segmentFile(segment), bytes);
    const damaged = await open(fs);
    const lost: string[] = [];
    for (const [name, expected] of kept) {
      const [group = "", id = ""] = name.split(" ");
      try {
        expect(await damaged.get({ tenant, group, id })).toEqual(expected);
      } catch (error) {
        if (!isPayloadStoreError(error, "CORRUPT")) throw error;
        lost.push(name);
        const both = new RegExp(
          `(rests on its bytes ${base.start}–${base.end}: )?segment acme/${segment}: block at byte \\d+: crc`,
        );
        expect(error.message).toMatch(both);
      }
    }
    expect(lost.length).toBeGreaterThan(3);
    expect(lost.length).toBeLessThan(kept.size);
    const { faults } = await damaged.verify();
    expect(faults.length).toBeGreaterThan(1);
    expect(faults.every((fault) => fault.segment === segment)).toBe(true);

    await damaged.repair({ acceptLoss: true });

    expect((await damaged.verify()).faults).toEqual([]);
    for (const [name, expected] of kept) {
      const [group = "", id = ""] = name.split(" ");
      expect(await damaged.get({ tenant, group, id })).toEqual(lost.includes(name) ? undefined : expected);
    }
    await damaged.close();
  });

  test("of one page of it leaves what rests on it as it was, also once a repair calls that page void", async () => {
    const { fs, store, kept } = await filled();
    await store.close();
    const [first] = await restingBlocksOf(fs, directory);
    const { base } = first!.block.resting!;
    const bytes = fs.readFile(segmentFile(first!.segment));
    // Behind the frame's header and group: its page's version.
    const group = bytes[base.start + 10]!;
    bytes[base.start + 56 + group]! ^= 1;
    fs.writeFile(segmentFile(first!.segment), bytes);
    const damaged = await open(fs);
    await damaged.repair({ acceptLoss: true });

    const held = (await collect(damaged.groups({ tenant }))).map((found) => found.group);
    expect(held.length).toBe(29);
    for (const [name, expected] of kept) {
      const [owner = "", id = ""] = name.split(" ");
      if (held.includes(owner)) expect(await damaged.get({ tenant, group: owner, id }), name).toEqual(expected);
    }
    await damaged.close();
  });
});

describe("a tail whose frames rest on a base", () => {
  /**
   * The growing segment cut in front of each mark that follows a frame which rests on a base, with no index.
   * @param upTo  what is durable of it: as compaction left it, or what lies before that commit, as if another's append had been synced there
   */
  async function* tails(
    upTo: "a sync of compaction" | "the commit before",
  ): AsyncGenerator<{ fs: PowerLossFileSystem; segment: string; cut: number; base: number }> {
    const { fs, store } = await filled();
    await store.flush();
    const killed = fs.kill();
    for (const file of killed.files()) if (file.includes("/index/")) killed.unlink(file);
    const resting = await restingBlocksOf(killed, directory);
    const segment = resting[0]!.segment;
    const whole = killed.readFile(segmentFile(segment));
    const binding = new SegmentBinding(nodeDigest, segment);
    let before = 0;
    for (let at = 128; at + markBytes <= whole.length; at++) {
      if (!decodeMark(whole.subarray(at, at + markBytes), at, binding)) continue;
      const ofTail = resting.filter(({ offset }) => offset > before && offset < at);
      const bytes = whole.slice(0, at);
      const mark = decodeMark(whole.subarray(before, before + markBytes), before, binding);
      if (mark && upTo === "the commit before")
        bytes.set(
          encodeMark({ ...mark, durableBytes: before }, whole.subarray(before, before + 8), before, binding),
          before,
        );
      before = at;
      if (ofTail.length === 0) continue;
      const machine = killed.clone();
      machine.writeFile(segmentFile(segment), bytes);
      yield { fs: machine, segment, cut: at, base: ofTail[0]!.block.resting!.base.end - 1 };
    }
  }

  test.each(["a sync of compaction", "the commit before"] as const)(
    "is appended again without it, and the segment sealed over it, from %s on",
    async (upTo) => {
      const kept = new Map((await filled()).kept);
      let tried = 0;
      for await (const { fs, segment, cut } of tails(upTo)) {
        tried += 1;
        const store = await open(fs);
        expect(store.recovery.damage).toEqual([]);
        expect(store.recovery.tailFramesKept).toBeGreaterThan(0);
        for await (const { group } of store.groups({ tenant })) {
          for (const { id, body } of await collect(store.contents({ tenant, group })))
            expect(body).toEqual(kept.get(`${group} ${id}`));
        }
        expect((await store.verify()).faults).toEqual([]);
        const again = (await blocksOf(fs, directory)).filter((found) => found.segment !== segment);
        expect(again.length).toBeGreaterThan(0);
        expect(again.every(({ block }) => !block.resting)).toBe(true);
        expect((await restingBlocksOf(fs, directory)).every(({ offset }) => offset < cut)).toBe(true);
        const groups = (await collect(store.groups({ tenant }))).length;
        await store.close();
        for (const index of ["memory", "disk-hash"] as const) {
          const rebuilt = await open(fs, { rebuild: true, index });
          expect(rebuilt.recovery.damage).toEqual([]);
          expect((await collect(rebuilt.groups({ tenant }))).length).toBe(groups);
          await rebuilt.close();
        }
      }
      expect(tried).toBeGreaterThan(2);
    },
  );

  test("is called damaged where the base is, at each opening, and the rest is served", async () => {
    for await (const { fs, segment, base } of tails("the commit before")) {
      const bytes = fs.readFile(segmentFile(segment));
      bytes[base]! ^= 1;
      fs.writeFile(segmentFile(segment), bytes);
      for (let run = 0; run < 2; run++) {
        const store = await open(fs, { rebuild: true });
        const ofTail = store.recovery.damage.filter(({ reason }) => reason.includes("rests on its bytes"));
        expect(ofTail.length).toBeGreaterThan(0);
        for (const { group } of ofTail) {
          const listing = collect(store.contents({ tenant, group: group! }));
          await expect(listing).rejects.toMatchObject({ code: "CORRUPT" });
        }
        await store.append({ tenant, group: `after-${run}`, id: "a" }, alike(run));
        expect(await store.get({ tenant, group: `after-${run}`, id: "a" })).toEqual(alike(run));
        await store.close();
      }
    }
  });
});
