import { describe, expect, test } from "vitest";
import { MemoryErasureLedger } from "../../core/adapters/memory/memory-erasure-ledger.ts";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { localCompaction } from "../../core/entries/local-compaction.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import type { ErasureRecord } from "../../core/erasure/erasure.ts";
import { ArrayOffsetIndex } from "../../core/index/array-offset-index.ts";
import { KeyHasher } from "../../core/index/key-hasher.ts";
import { PayloadStore } from "../../core/payload-store.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { openDisk, type DiskOptions, type DiskStore } from "../../core/entries/disk.ts";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { collect } from "../conformance/expectations.ts";
import { prose, text } from "../conformance/sample-bytes.ts";
import { faultyFileSystem } from "../support/faulty-file-system.ts";
import { simulatedMachine } from "../support/machine.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { perTier } from "../support/per-tier.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { alike, restingBlocksOf, smallBases } from "../support/resting-blocks.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { smallIndex } from "../support/small-index.ts";
import { tracesOf } from "../support/traces.ts";

const tenant = "acme";
const hourMs = 3_600_000;
const folder = "/store";
const secret = "4111-SECRET-1111";

let processes = 0;

function machineOf(fs: FileSystem, clock: ManualClock) {
  return { ...simulatedMachine(fs, (processes += 1)), clock, indexBounds: smallIndex };
}

function newDisk() {
  return { disk: new PowerLossFileSystem({ random: seededRandom(1) }), clock: new ManualClock() };
}

const small = { directory: folder, segmentBytesMax: 16_384 } as const;

const withSecret = (i: number) => text(`${i} ${secret} ${new TextDecoder().decode(prose(400, i))}`);

/** Payloads with a secret among others that share their blocks, versions that were overwritten, and copies that were merged. */
async function filled(store: DiskStore, clock: ManualClock): Promise<Map<string, Uint8Array>> {
  const kept = new Map<string, Uint8Array>();
  for (let round = 0; round < 3; round++) {
    for (let g = 0; g < 6; g++) {
      const items = Array.from({ length: 8 }, (_, i) => ({
        id: `${round}-${i}`,
        bytes: prose(900, round * 100 + g * 10 + i),
      }));
      const victims = [
        { id: "a", bytes: withSecret(round), attributes: { subject: "u-1" }, codec: "zstd" as const },
        { id: "b", bytes: withSecret(round + 10), attributes: { subject: "u-1" }, codec: "none" as const },
        { id: "c", bytes: withSecret(round + 20), attributes: { subject: "u-1", kind: "note" }, codec: "lz4" as const },
      ];
      await store.appendMany({ tenant, group: `g${g}` }, [...items, ...(g < 2 ? victims : [])]);
      for (const { id, bytes } of items) kept.set(`g${g} ${id}`, bytes);
    }
    clock.ms += hourMs;
  }
  // What is merged already lies in old segments, which are in their grace, and in new ones.
  await store.compact({ graceMs: 10 * hourMs, rules: { ...smallBases, smallCountMin: 1 } });
  return kept;
}

async function expectKept(store: DiskStore, kept: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const found = new Map<string, Uint8Array>();
  for await (const { group } of store.groups({ tenant })) {
    for await (const { id, body } of store.contents({ tenant, group })) found.set(`${group} ${id}`, body);
  }
  expect([...found.keys()].toSorted()).toEqual([...kept.keys()].toSorted());
  for (const [name, bytes] of kept) expect(found.get(name), name).toEqual(bytes);
}

const open = (options: Partial<DiskOptions>, fs: FileSystem, clock: ManualClock) =>
  openDisk({ ...small, ...options }, machineOf(fs, clock));

const selectors = [
  [
    "by id",
    [
      { group: "g0", ids: ["a", "b", "c"] },
      { group: "g1", ids: ["a", "b", "c"] },
    ],
  ],
  ["by attribute", [{ where: { subject: "u-1" } }]],
  [
    "by group and attribute",
    [
      { group: "g0", where: { subject: "u-1" } },
      { group: "g1", where: { subject: "u-1" } },
    ],
  ],
] as const;

describe("an erasure", () => {
  for (const index of ["memory", "disk-hash"] as const) {
    test.each(selectors)(`%s leaves no trace, and all others as they were (index: ${index})`, async (_, wishes) => {
      const { disk, clock } = newDisk();
      const store = await open({ index }, disk, clock);
      const kept = await filled(store, clock);
      expect(await tracesOf(disk, folder, secret)).not.toEqual([]);

      for (const wish of wishes) await store.erase({ tenant, ...wish });

      for (const group of ["g0", "g1"]) {
        for (const id of ["a", "b", "c"]) expect(await store.has({ tenant, group, id })).toBe(false);
      }
      await store.compact({ graceMs: 0, rules: smallBases });
      expect(await tracesOf(disk, folder, secret)).toEqual([]);
      for (const { state, goneMs, segments, successors } of await store.erasures({ tenant })) {
        expect({ state, goneMs }).toEqual({ state: "gone", goneMs: clock.ms });
        expect(segments.length).toBeGreaterThan(0);
        for (const { sha256 } of segments) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
        for (const { sha256 } of successors) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      }
      await expectKept(store, kept);
      expect((await store.verify()).faults).toEqual([]);
      await store.close();
      const rebuilt = await open({ index, rebuild: true }, disk, clock);
      await expectKept(rebuilt, kept);
      expect(await tracesOf(disk, folder, secret)).toEqual([]);
      await rebuilt.close();
    });
  }

  // The bytes of a base lie in the segment of the payloads that it was written with, and nowhere else.
  test.each([
    ["that others rest on", [0, 1]],
    ["that rests on others", [20, 21]],
    ["of both kinds", [0, 7, 20]],
  ])("of a payload %s leaves no trace, and what rested on it as it was", async (_what, victims) => {
    const { disk, clock } = newDisk();
    const store = await open({}, disk, clock);
    const kept = new Map<string, Uint8Array>();
    const of = (i: number) => `of nobody but ${i}: 4111`;
    for (let i = 0; i < 24; i++) {
      const bytes = text(`${new TextDecoder().decode(alike(i))} ${of(i)}`);
      await store.append({ tenant, group: `g${i}`, id: "a" }, bytes);
      if (!victims.includes(i)) kept.set(`g${i} a`, bytes);
    }
    const again = { graceMs: 0, mustGo: () => true, rules: smallBases };
    for (let run = 0; run < 2; run++) await store.compact(again);
    expect((await restingBlocksOf(disk, folder)).length).toBeGreaterThan(8);
    for (const i of victims) expect(await tracesOf(disk, folder, of(i))).not.toEqual([]);

    for (const i of victims) await store.erase({ tenant, group: `g${i}` });
    await store.compact({ graceMs: 0, rules: smallBases });

    for (const i of victims) expect(await tracesOf(disk, folder, of(i))).toEqual([]);
    for (const { state } of await store.erasures({ tenant })) expect(state).toBe("gone");
    expect((await restingBlocksOf(disk, folder)).length).toBeGreaterThan(4);
    await expectKept(store, kept);
    expect((await store.verify()).faults).toEqual([]);
    await store.close();
  });

  test("of everything leaves nothing of the tenant, and others as they were", async () => {
    const { disk, clock } = newDisk();
    const store = await open({}, disk, clock);
    await filled(store, clock);
    await store.append({ tenant: "other", group: "g", id: "a" }, text("stays"));

    const { payloads } = await store.erase({ tenant, everything: true });
    await store.compact({ graceMs: 0, rules: smallBases });

    expect(payloads).toBe(150);
    expect(await collect(store.groups({ tenant }))).toEqual([]);
    expect(await tracesOf(disk, folder, secret)).toEqual([]);
    expect(await store.erasures({ tenant })).toMatchObject([{ state: "gone", payloads: 150, groups: 6 }]);
    expect(await store.has({ tenant: "other", group: "g", id: "a" })).toBe(true);
    await store.close();
  });

  test("of a time takes what was committed in it", async () => {
    const { disk, clock } = newDisk();
    const store = await open({}, disk, clock);
    const startMs = clock.ms;
    for (const id of ["1", "2", "3"]) {
      await store.append({ tenant, group: "g", id }, text(`${id} ${secret}`));
      clock.ms += hourMs;
    }
    await store.compact({ graceMs: 0, rules: { ...smallBases, smallCountMin: 1 } });

    await store.erase({ tenant, fromMs: startMs + hourMs, toMs: startMs + 2 * hourMs });
    await store.compact({ graceMs: 0, rules: smallBases });

    const left = (await collect(store.list({ tenant, group: "g" }))).map(({ id }) => id);
    expect(left).toEqual(["1", "3"]);
    expect(await tracesOf(disk, folder, `2 ${secret}`)).toEqual([]);
    await store.close();
  });

  test("takes what was deleted and what has expired before, and tells ids that are unknown", async () => {
    const { disk, clock } = newDisk();
    const store = await open({}, disk, clock);
    const key = { tenant, group: "g", id: "deleted" };
    await store.append(key, text(`deleted ${secret}`));
    await store.append({ ...key, id: "over" }, text(`over ${secret}`), { expiresAt: clock.ms + 1 });
    await store.append({ ...key, id: "stays" }, text("stays"));
    await store.delete(key);
    clock.ms += hourMs;

    const asked = await store.erase({ tenant, group: "g", ids: ["deleted", "over", "never"] });
    await store.compact({ graceMs: 0, rules: smallBases });

    expect(asked).toMatchObject({ state: "hidden", unknown: ["deleted", "never"], payloads: 1, groups: 1 });
    expect(await store.erasure({ tenant, erasure: asked.id })).toMatchObject({ state: "gone" });
    expect(await tracesOf(disk, folder, secret)).toEqual([]);
    expect(await store.has({ ...key, id: "stays" })).toBe(true);
    await store.close();
  });

  test("waits for the grace of those who still read, and tells so", async () => {
    const { disk, clock } = newDisk();
    const store = await open({}, disk, clock);
    await filled(store, clock);

    const { id } = await store.erase({ tenant, where: { subject: "u-1" } });
    await store.compact({ graceMs: hourMs, rules: smallBases });
    const waiting = await store.erasure({ tenant, erasure: id });
    clock.ms += 20 * hourMs;
    await store.compact({ graceMs: hourMs, rules: smallBases });

    expect(waiting?.state).toBe("waiting");
    expect(waiting?.goneMs).toBeUndefined();
    expect(await store.erasure({ tenant, erasure: id })).toMatchObject({ state: "gone", goneMs: clock.ms });
    expect(await store.erasure({ tenant: "other", erasure: id })).toBeUndefined();
    await store.close();
  });

  test("is refused where it does not say what is meant, and hides nothing", async () => {
    const { disk, clock } = newDisk();
    const store = await open({}, disk, clock);
    await store.append({ tenant, group: "g", id: "a" }, text("x"));

    const wrong = [
      {},
      { ids: ["a"] },
      { group: "g", ids: [] },
      { everything: true, group: "g" },
      { where: {} },
      { fromMs: -1 },
    ];
    for (const wish of wrong) {
      await expect(store.erase({ tenant, ...(wish as object) })).rejects.toMatchObject({ code: "INVALID" });
    }

    expect(await store.has({ tenant, group: "g", id: "a" })).toBe(true);
    expect(await store.erasures({ tenant })).toEqual([]);
    await store.close();
  });

  test("whose process ends while it hides is ended by compaction, without being asked for again", async () => {
    const { disk: prepared, clock } = newDisk();
    const first = await open({}, prepared, clock);
    const kept = await filled(first, clock);
    await first.close();
    let interrupted = 0;
    for (let failAt = 1; ; failAt += 1) {
      const disk = prepared.kill();
      const fs = faultyFileSystem(disk, { failAt, how: "before", changesOnly: true });
      const faulty = await open({}, fs, clock).catch(() => undefined);
      await faulty?.erase({ tenant, where: { subject: "u-1" } }).catch(() => undefined);
      if (fs.failed === undefined) break;
      await faulty?.close().catch(() => {});
      const store = await open({}, disk, clock);
      const [begun] = await store.erasures({ tenant });
      if (begun?.state === "hiding") {
        interrupted += 1;
        await store.compact({ graceMs: 0 });

        expect(await store.erasures({ tenant }), `${fs.failed}`).toMatchObject([{ id: begun.id, state: "gone" }]);
        expect(await tracesOf(disk, folder, secret), `${fs.failed}`).toEqual([]);
        await expectKept(store, kept);
      }
      await store.close();
    }
    expect(interrupted).toBeGreaterThan(2);
  });

  test.each(["before", "after"] as const)("ends gone, wherever its process ends (%s a step)", async (how) => {
    const every = Number(process.env["ERASURE_STEPS"] ?? perTier(41, 1));
    const { disk: prepared, clock } = newDisk();
    const first = await open({}, prepared, clock);
    const kept = await filled(first, clock);
    await first.close();
    for (let failAt = how === "before" || every === 1 ? 1 : every >> 1; ; failAt += every) {
      const disk = prepared.kill();
      const fs = faultyFileSystem(disk, { failAt, how, changesOnly: true });
      const faulty = await open({}, fs, clock).catch(() => undefined);
      const asked = await faulty?.erase({ tenant, where: { subject: "u-1" } }).catch(() => undefined);
      if (asked) await faulty?.compact({ graceMs: 0, rules: smallBases }).catch(() => undefined);
      await faulty?.close().catch(() => {});

      const store = await open({}, disk, clock);
      // Who got no answer asks again.
      if (!asked) await store.erase({ tenant, where: { subject: "u-1" } });
      await store.compact({ graceMs: 0, rules: smallBases });
      await store.compact({ graceMs: 0, rules: smallBases });

      const states = (await store.erasures({ tenant })).map(({ state }) => state);
      expect(new Set(states), `${fs.failed}`).toEqual(new Set(["gone"]));
      expect(await tracesOf(disk, folder, secret), `${fs.failed}`).toEqual([]);
      await expectKept(store, kept);
      await store.close();
      if (fs.failed === undefined) break;
    }
  });
});

describe("an erasure that compaction meets while it begins", () => {
  test("hides all the same, and is ended by the next run", async () => {
    let meanwhile = async () => {};
    class SlowLedger extends MemoryErasureLedger {
      override async put(record: ErasureRecord): Promise<boolean> {
        const isKept = await super.put(record);
        // It is there, and whoever put it does not know yet.
        if (record.version === 1) await meanwhile();
        return isKept;
      }
    }
    const [clock, random] = [new ManualClock(), new SystemRandom()];
    const shared = { clock, random, digest: nodeDigest };
    const segments = new MemorySegmentStore(shared);
    const frames = new FrameReader(segments, nodeDigest);
    const index = new ArrayOffsetIndex(frames, new KeyHasher(random.bytes(16)), (bytes) => nodeDigest.crc32(bytes));
    const ports = { ...shared, segments, index, codecs: nodeCodecs };
    const store = new PayloadStore({ ...ports, erasures: new SlowLedger(), compaction: localCompaction(ports) });
    await store.append({ tenant, group: "g", id: "a" }, withSecret(1));
    let met: readonly { readonly state: string }[] = [];
    meanwhile = async () => {
      met = await store.erasures({ tenant });
      await store.compact({ graceMs: 0 });
    };

    const asked = await store.erase({ tenant, group: "g" });

    expect(met).toMatchObject([{ state: "hiding" }]);
    expect(asked).toMatchObject({ state: "hidden", payloads: 1 });
    await store.compact({ graceMs: 0 });
    expect(await store.erasure({ tenant, erasure: asked.id })).toMatchObject({ state: "gone" });
  });
});
