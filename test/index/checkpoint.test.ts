import { describe, expect, test } from "vitest";
import { openDisk, type DiskStore } from "../../core/entries/disk.ts";
import { collect, sameBytes } from "../conformance/expectations.ts";
import { prose } from "../conformance/sample-bytes.ts";
import { simulatedMachine } from "../support/machine.ts";
import { perTier } from "../support/per-tier.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

const tenant = "acme";
const checkpoint = "/store/index/checkpoint";

/** The saved index is never a source of truth: whatever happens to it, the store serves what its segments hold. */
describe("the checkpoint of the index", () => {
  test("spares the next start the segments", async () => {
    const fs = await closedStore();

    const store = await open(fs);

    expect(store.recovery).toMatchObject({ checkpoint: "loaded", segmentsScanned: 0, framesReplayed: 0, damage: [] });
    await expectEverything(store);
  });

  test("with any byte flipped is damaged, set aside, and everything is served", async () => {
    const closed = await closedStore();
    const bytes = closed.readFile(checkpoint);

    for (let at = 0; at < bytes.length; at += perTier(7, 1)) {
      const fs = closed.clone();
      fs.writeFile(checkpoint, bytes.with(at, (bytes[at] ?? 0) ^ (1 << (at % 8))));

      const store = await open(fs);
      expect(store.recovery.checkpoint, `byte ${at}`).toBe("damaged");
      if (at % 16 === 0) await expectEverything(store);
      await store.close();

      const again = await open(fs);
      expect(again.recovery.checkpoint, `byte ${at}`).toBe("loaded");
      expect(await again.size({ tenant })).toBe(5);
      await again.close();
    }
  });

  test.each([
    ["is missing", undefined],
    ["is empty", new Uint8Array(0)],
    ["is cut in its header", new Uint8Array(20)],
    ["is noise", new Uint8Array(5000).map((_, i) => (i * 7919) >> 3)],
  ])("that %s costs nothing but a rebuild", async (_name, bytes) => {
    const fs = await closedStore();
    if (bytes) fs.writeFile(checkpoint, bytes);
    else fs.unlink(checkpoint);

    const store = await open(fs);

    expect(store.recovery.checkpoint).toBe(bytes ? "damaged" : "none");
    await expectEverything(store);
  });

  test("cut anywhere is damaged", async () => {
    const closed = await closedStore();
    const bytes = closed.readFile(checkpoint);

    for (let length = 0; length < bytes.length; length += 7) {
      const fs = closed.clone();
      fs.writeFile(checkpoint, bytes.subarray(0, length));
      const store = await open(fs);
      expect(store.recovery.checkpoint, `${length} bytes`).toBe("damaged");
      expect(await store.size({ tenant })).toBe(5);
      await store.close();
    }
  });

  test("of another store is damaged: its hashes are other hashes", async () => {
    const fs = await closedStore();
    const other = await closedStore(77);
    fs.writeFile(checkpoint, other.readFile(checkpoint));

    const store = await open(fs);

    expect(store.recovery.checkpoint).toBe("damaged");
    await expectEverything(store);
  });

  test("that is older than the segments is brought up to date from them", async () => {
    const fs = await closedStore();
    const old = fs.readFile(checkpoint);
    const store = await open(fs);
    for (let i = 0; i < 20; i++) await store.append({ tenant, group: "new", id: `${i}` }, prose(500, i));
    await store.delete({ tenant, group: "new", id: "3" });
    await store.close();
    fs.writeFile(checkpoint, old);

    const again = await open(fs);

    expect(again.recovery.checkpoint).toBe("loaded");
    expect(again.recovery.framesReplayed).toBe(21);
    expect(await again.size({ tenant })).toBe(24);
    expect(await again.has({ tenant, group: "new", id: "3" })).toBe(false);
    await expectEverything(again, 24);
  });

  test("is set aside by a rebuild, which answers as before", async () => {
    const fs = await closedStore();

    const store = await openDisk(
      { directory: "/store", segmentBytesMax: 2048, rebuild: true },
      simulatedMachine(fs, 9),
    );

    expect(store.recovery.checkpoint).toBe("none");
    expect(fs.files()).toContain(`${checkpoint}.damaged`);
    await expectEverything(store);
  });
});

/** Six payloads over several segments, of which one was deleted and one overwritten. */
async function closedStore(seed = 1): Promise<PowerLossFileSystem> {
  const fs = new PowerLossFileSystem({ random: seededRandom(seed) });
  const store = await openDisk({ directory: "/store", segmentBytesMax: 2048 }, simulatedMachine(fs, seed));
  for (let i = 0; i < 6; i++)
    await store.append({ tenant, group: `g${i % 2}`, id: `${i}` }, prose(1000, i), { codec: "none" });
  await store.append({ tenant, group: "g0", id: "2" }, prose(900, 20));
  await store.delete({ tenant, group: "g1", id: "5" });
  await store.close();
  return fs;
}

function open(fs: PowerLossFileSystem): Promise<DiskStore> {
  return openDisk({ directory: "/store", segmentBytesMax: 2048 }, simulatedMachine(fs, 5));
}

async function expectEverything(store: DiskStore, payloads = 5): Promise<void> {
  for (let i = 0; i < 5; i++) {
    const expected = i === 2 ? prose(900, 20) : prose(1000, i);
    sameBytes(await store.get({ tenant, group: `g${i % 2}`, id: `${i}` }), expected, `${i}`);
  }
  expect(await store.get({ tenant, group: "g1", id: "5" })).toBeUndefined();
  const listed = await collect(store.list({ tenant, group: "g0" }));
  expect(listed.map(({ id }) => id)).toEqual(["0", "2", "4"]);
  expect(await store.size({ tenant })).toBe(payloads);
  expect((await store.verify()).faults).toEqual([]);
}
