import { describe, expect, it } from "vitest";
import { storeFolder } from "./crash-workload.ts";
import { flipBits, lengthAfterTen, segmentFile, writeTen } from "./bit-flips.ts";
import { PowerLossFileSystem } from "./power-loss-file-system.ts";
import { seededRandom } from "./seeded-random.ts";

/** @param bitsAt  the bits to flip, one after the other, in the byte at an offset */
export function bitFlipSuite(bitsAt: (at: number) => readonly number[]): void {
  describe("a flipped bit is CORRUPT or harmless, never other bytes and never absence", () => {
    it("in a growing segment whose index was not saved", async () => {
      const fs = new PowerLossFileSystem({ random: seededRandom(1) });
      const { truth } = await writeTen(fs);
      const killed = fs.kill();

      const { flips, corrupt } = await flipBits(killed, segmentFile(killed), truth, bitsAt);

      expect(corrupt).toBeGreaterThan(flips / 4);
    });

    it("in a growing segment whose index was saved", async () => {
      const fs = new PowerLossFileSystem({ random: seededRandom(1) });
      const { store, truth } = await writeTen(fs);
      await store.close();

      const { flips, corrupt } = await flipBits(fs, segmentFile(fs), truth, bitsAt);

      expect(corrupt).toBeGreaterThan(flips / 4);
    });

    it("in a sealed segment, with its index and without", async () => {
      const fs = new PowerLossFileSystem({ random: seededRandom(1) });
      const { store, truth } = await writeTen(fs, await lengthAfterTen());
      await store.close();
      const file = segmentFile(fs);
      expect(Buffer.from(fs.readFile(file).subarray(-8)).toString()).toBe("PAYLEND\n");

      await flipBits(fs, file, truth, bitsAt);
      fs.unlink(`${storeFolder}/index/checkpoint`);
      const { flips, corrupt } = await flipBits(fs, file, truth, bitsAt);

      expect(corrupt).toBeGreaterThan(flips / 8);
    });

    it("in store.json", async () => {
      const fs = new PowerLossFileSystem({ random: seededRandom(1) });
      const { store, truth } = await writeTen(fs);
      await store.close();

      await flipBits(fs, `${storeFolder}/store.json`, truth, bitsAt);
    });

    it("in the saved index: it is read anew from the segments", async () => {
      const fs = new PowerLossFileSystem({ random: seededRandom(1) });
      const { store, truth } = await writeTen(fs);
      await store.close();

      const { corrupt } = await flipBits(fs, `${storeFolder}/index/checkpoint`, truth, bitsAt);

      expect(corrupt).toBe(0);
    });
  });
}
