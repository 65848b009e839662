import { describe, expect, test } from "vitest";
import { BlockEncoder } from "../../core/blocks.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import type { Codec } from "../../core/ports/codec.ts";
import { SpareBytes, SpareMemory } from "../../core/spare-memory.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { prose } from "../conformance/sample-bytes.ts";

/** Suspected: memory is given to two, so that one block holds another's bytes; more is kept than is used; what was read stays there. */
describe("spare memory", () => {
  test("is given to one at a time, and kept up to its bound", () => {
    const spares = new SpareMemory(100, 2);
    const taken = [spares.take(), spares.take(), spares.take()];

    expect(new Set(taken).size).toBe(3);
    for (const piece of taken) spares.give(piece);
    const again = [spares.take(), spares.take(), spares.take()];
    expect(again.filter((piece) => taken.includes(piece))).toHaveLength(2);
    expect(new Set(again).size).toBe(3);
  });

  test("is overwritten when it is forgotten, and used no more", () => {
    const spares = new SpareMemory(100, 2);
    const piece = spares.take().fill(1);
    spares.give(piece);

    spares.forget();

    expect(piece.every((byte) => byte === 0)).toBe(true);
    expect(spares.take()).not.toBe(piece);
  });

  test("holds copies until all of them are given back, long ones in memory of their own", () => {
    const spares = new SpareMemory(100, 4);
    const copies = new SpareBytes(spares);
    const contents = [20, 25, 0, 24, 23, 22, 26].map((length, i) => new Uint8Array(length).fill(1 + i));

    const held = contents.map((bytes) => copies.copy(bytes));

    for (const [i, bytes] of held.entries()) sameBytes(bytes, contents[i]!);
    expect(held.map((bytes) => copies.holds(bytes))).toEqual([true, true, true, true, true, true, false]);
    expect(new Set(held.map(({ buffer }) => buffer)).size).toBe(3);
    copies.giveBack();
    const used = new Set(held.map(({ buffer }) => buffer));
    expect([used.has(spares.take().buffer), used.has(spares.take().buffer)]).toEqual([true, true]);
    expect(copies.holds(held[0]!)).toBe(false);
  });

  test("holds a block until it is encoded, however many others are gathered meanwhile", async () => {
    const waiting: (() => void)[] = [];
    const slow: Codec = {
      ...nodeCodecs[2],
      encode: async (raw) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.push(resolve);
        await promise;
        return nodeCodecs[2].encode(raw);
      },
    };
    const encoder = new BlockEncoder(
      { ...nodeCodecs, 2: slow },
      () => "zstd",
      10_000,
      undefined,
      new SpareMemory(10_000, 8),
    );
    const groups = Array.from({ length: 6 }, (_, i) => [prose(3000, i), prose(2000, 10 + i)]);
    const encoding = groups.map(async (parts) => encoder.encode(parts.map((bytes) => ({ bytes }))));
    for (const encode of waiting.toReversed()) encode();

    for (const [i, [block]] of (await Promise.all(encoding)).entries()) {
      const raw = await nodeCodecs[2].decode(block!.body, block!.rawBytes);
      sameBytes(raw, Buffer.concat(groups[i]!));
    }
  });
});
