import { describe, expect, it } from "vitest";
import { type BitsAt, flipBits, flippables } from "./bit-flips.ts";

export function bitFlipSuite(bitsOf: (what: keyof typeof flippables) => BitsAt): void {
  describe("a flipped bit is CORRUPT or harmless, never other bytes and never absence", () => {
    const flip = async (what: keyof typeof flippables) => flipBits(await flippables[what](), bitsOf(what));

    it("in a growing segment whose index was not saved", async () => {
      const { flips, corrupt } = await flip("growing");

      expect(corrupt).toBeGreaterThan(flips / 4);
    });

    it("in a growing segment whose index was saved", async () => {
      const { flips, corrupt } = await flip("growing, with its index");

      expect(corrupt).toBeGreaterThan(flips / 4);
    });

    it("in a sealed segment, with its index and without", async () => {
      const { fs, file } = await flippables.sealed();
      expect(Buffer.from(fs.readFile(file).subarray(-8)).toString()).toBe("PAYLEND\n");

      await flip("sealed, with its index");
      const { flips, corrupt } = await flip("sealed");

      expect(corrupt).toBeGreaterThan(flips / 8);
    });

    it("in a segment with blocks that rest on a base, with its index and without", async () => {
      const withIndex = await flip("with blocks that rest on a base, with its index");
      const without = await flip("with blocks that rest on a base");

      for (const { flips, corrupt } of [withIndex, without]) expect(corrupt).toBeGreaterThan(flips / 8);
    });

    it("in store.json", async () => {
      await flip("store.json");
    });

    it("in the saved index: it is read anew from the segments", async () => {
      const { corrupt } = await flip("checkpoint");

      expect(corrupt).toBe(0);
    });
  });
}
