import { describe, expect, test } from "vitest";
import { openDisk, type DiskStore } from "../../core/entries/disk.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { markBytes } from "../../core/segment/frame.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { noise, prose, text } from "../conformance/sample-bytes.ts";
import { simulatedMachine } from "../support/machine.ts";
import { perTier } from "../support/per-tier.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

const tenant = "acme";
const directory = "/store";

interface Written {
  readonly group: string;
  readonly id: string;
  readonly bytes: Uint8Array;
  /** Length of the segment once the record, without its mark, is in it. */
  readonly end: number;
}

/**
 * A growing segment that was cut anywhere: by a crash, by a full disk, by a copy that broke off. Whole records before the
 * cut are served, none is served in part, and the writer goes on.
 */
describe("a growing segment that is cut at any byte", () => {
  test("serves every whole record before the cut, and goes on", async () => {
    const { fs, file, written } = await storeThatWasKilled();
    const bytes = fs.readFile(file);

    const ends = new Set(written.flatMap(({ end }) => [end - 1, end, end + markBytes]));
    for (let cut = 0; cut <= bytes.length; cut++) {
      if (cut % perTier(7, 1) !== 0 && !ends.has(cut)) continue;
      const machine = fs.clone();
      machine.writeFile(file, bytes.subarray(0, cut));

      const store = await open(machine, cut);
      await expectExactly(
        store,
        written.filter(({ end }) => end <= cut),
        written,
        `cut at ${cut}`,
      );
      await store.append({ tenant, group: "g", id: "after" }, text(`after ${cut}`));
      await store.append({ tenant, group: "g", id: "0" }, text("overwritten"));
      await store.close();

      const again = await open(machine, cut + 1);
      const whole = written.filter(({ end, id, group }) => end <= cut && !(group === "g" && id === "0"));
      await expectExactly(again, whole, written.slice(1), `cut at ${cut}, opened again`);
      sameBytes(await again.get({ tenant, group: "g", id: "after" }), text(`after ${cut}`));
      sameBytes(await again.get({ tenant, group: "g", id: "0" }), text("overwritten"));
      expect(await again.size({ tenant })).toBe(whole.length + 2);
      expect((await again.verify()).faults).toEqual([]);
      await again.close();
    }
  });

  test("serves the whole records and says CORRUPT of the lost ones, where a saved index knows them", async () => {
    const { fs, file, written } = await storeThatWasKilled(async (store) => {
      await store.flush();
    });
    const bytes = fs.readFile(file);

    const edges = written.flatMap(({ end }) => [end - 1, end, end + 1, end + markBytes - 1, end + markBytes]);
    const each = perTier(27, 9);
    const others = Array.from({ length: Math.ceil(bytes.length / each) }, (_, i) => i * each);
    for (const cut of new Set([128, ...edges, ...others])) {
      const machine = fs.clone();
      machine.writeFile(file, bytes.subarray(0, cut));

      const store = await open(machine, cut);
      await expectExactOrCorrupt(store, written, cut);
      // Of the same lengths as those that were lost, so that frames come to lie where the lost ones lay.
      for (const { group, id, bytes: same } of written.filter(({ end }) => end > cut)) {
        await store.append({ tenant, group, id: "abcdef"[Number(id)] ?? "" }, same).catch(ignoreCorrupt);
      }
      await expectExactOrCorrupt(store, written, cut);
      await store.close();

      const again = await open(machine, cut + 1);
      await expectExactOrCorrupt(again, written, cut);
      await again.close();
    }
  });
  test("loses nothing when a power cut takes its last mark, which no sync covers, though the saved index covers it", async () => {
    const { fs, file, written } = await storeThatWasKilled((store) => store.close());
    const bytes = fs.readFile(file);
    fs.writeFile(file, bytes.fill(0, bytes.length - markBytes));

    const store = await open(fs, 2);
    await expectExactly(store, written, written, "opened");
    await store.append({ tenant, group: "g", id: "after" }, text("after"));
    await store.append({ tenant, group: "h", id: "after" }, text("after"));
    const rebuilt = await openDisk({ directory, rebuild: true }, simulatedMachine(fs.kill(), 3));

    expect(rebuilt.recovery.damage).toEqual([]);
    await expectExactly(rebuilt, written, written, "rebuilt");
    expect(await rebuilt.size({ tenant })).toBe(written.length + 2);
    expect((await rebuilt.verify()).faults).toEqual([]);
  });
  test("is kept through a second power cut, also one that brings back the checkpoint from before the first", async () => {
    const key = { tenant, group: "g", id: "a" };
    for (let seed = 0; seed < perTier(60, 200); seed++) {
      let fs = new PowerLossFileSystem({ random: seededRandom(seed) });
      const first = await open(fs, seed);
      await first.append(key, text("kept"));
      await first.close();
      await open(fs, seed + 1);
      fs = fs.powerLoss();
      await openDisk({ directory, rebuild: true }, simulatedMachine(fs, seed + 2));
      fs = fs.powerLoss();

      const store = await open(fs, seed + 3);
      sameBytes(await store.get(key), text("kept"), `seed ${seed}`);
      expect((await store.verify()).faults, `seed ${seed}`).toEqual([]);
      const rebuilt = await openDisk({ directory, rebuild: true }, simulatedMachine(fs.kill(), seed + 4));
      sameBytes(await rebuilt.get(key), text("kept"), `seed ${seed}, rebuilt`);
    }
  });
});

/** Six records of one tenant in two groups, each with a commit of its own, and no time to close. */
async function storeThatWasKilled(
  atLast: (store: DiskStore) => Promise<void> = async () => {},
): Promise<{ fs: PowerLossFileSystem; file: string; written: Written[] }> {
  const fs = new PowerLossFileSystem({ random: seededRandom(1) });
  const store = await open(fs, 1);
  const written: Written[] = [];
  const payloads = [prose(40, 1), noise(90, 2), text(""), prose(1100, 3), noise(30, 4), prose(60, 5)];
  for (const [i, bytes] of payloads.entries()) {
    const key = { group: i % 3 === 1 ? "h" : "g", id: `${i}` };
    const { offset, stored } = await store.append({ tenant, ...key }, bytes);
    written.push({ ...key, bytes, end: offset + stored });
  }
  await atLast(store);
  const file = fs.files().find((name) => name.endsWith(".seg")) ?? "";
  return { fs: fs.kill(), file, written };
}

function open(fs: PowerLossFileSystem, seed: number): Promise<DiskStore> {
  return openDisk({ directory }, simulatedMachine(fs, seed));
}

async function expectExactly(
  store: DiskStore,
  whole: readonly Written[],
  all: readonly Written[],
  what: string,
): Promise<void> {
  for (const record of all) {
    const found = await store.get({ tenant, group: record.group, id: record.id });
    if (whole.includes(record)) sameBytes(found, record.bytes, `${what}: ${record.id}`);
    else expect(found, `${what}: ${record.id}`).toBeUndefined();
  }
}

/** Absence would be a lie: the index knows that the payload was acknowledged. */
async function expectExactOrCorrupt(store: DiskStore, written: readonly Written[], cut: number): Promise<void> {
  for (const { group, id, bytes, end } of written) {
    let found: Uint8Array | undefined;
    try {
      found = await store.get({ tenant, group, id });
    } catch (error) {
      if (!isPayloadStoreError(error, "CORRUPT")) throw error;
      expect(end, `cut at ${cut}: ${id} is whole, yet ${error.message}`).toBeGreaterThan(cut);
      continue;
    }
    sameBytes(found, bytes, `cut at ${cut}: ${id}`);
  }
}

function ignoreCorrupt(error: unknown): void {
  if (!isPayloadStoreError(error, "CORRUPT")) throw error;
}
