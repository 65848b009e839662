import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { describe, expect, test, vi } from "vitest";
import { frameBehindBase, frameBehindBaseBytesMax } from "../../core/adapters/node/zstd-behind-base.ts";
import { compactionCodec, ZstdCodec } from "../../core/adapters/node/zstd-codec.ts";
import { limits } from "../../core/limits.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";

/** Calls of node:zlib that make a context of their own. */
const calls = vi.hoisted(() => ({ decompress: 0 }));

vi.mock(import("node:zlib"), async (original) => {
  const zlib = await original();
  const zstdDecompressSync: typeof zlib.zstdDecompressSync = (...given) => {
    calls.decompress += 1;
    return zlib.zstdDecompressSync(...given);
  };
  return { ...zlib, zstdDecompressSync };
});

const bases = Array.from({ length: 7 }, (_, i) => prose(20_000, 50 + i));
const raw = prose(9000, 60);

describe("a frame behind its base", () => {
  const lengths = [8, 300, 20_000, 131_071, limits.baseRawBytesMax];

  test.each(lengths)("of %i bytes decodes to both, with no dictionary", (length) => {
    const base = prose(length, length);
    for (const content of [base.subarray(-200), prose(70_000, 3), noise(300, 4), new Uint8Array(0)]) {
      for (const options of [{ pledgedSrcSize: content.length }, {}]) {
        const frame = zstdCompressSync(content, { ...options, dictionary: base });
        const output = new Uint8Array(frameBehindBaseBytesMax(frame.length, base.length));

        const bytes = frameBehindBase(frame, content.length, base, output)!;

        expect(bytes).toBeLessThanOrEqual(output.length);
        sameBytes(zstdDecompressSync(output.subarray(0, bytes)), Buffer.concat([base, content]));
      }
    }
  });

  test("is not made of what is no frame, ends in its header, or asks for a dictionary by its number", () => {
    const frame = Uint8Array.from(zstdCompressSync(raw, { dictionary: bases[0]! }));
    const output = new Uint8Array(frameBehindBaseBytesMax(frame.length, 20_000));
    const made = (bytes: Uint8Array) => frameBehindBase(bytes, raw.length, bases[0]!, output);
    expect(made(frame)).toBeDefined();

    for (let cut = 0; cut < 6; cut++) expect(made(frame.subarray(0, cut))).toBeUndefined();
    expect(made(frame.with(0, 0))).toBeUndefined();
    expect(made(frame.with(4, frame[4]! | 1))).toBeUndefined();
  });
});

describe("the zstd codec, of what rests on a base", () => {
  test("makes no context for it: more bases in turn, in memory that is used again, and between damage", async () => {
    const codec = new ZstdCodec();
    const frames = await Promise.all(bases.map(async (base) => codec.onBase.encode(raw, base)));
    const memory = new Uint8Array(20_000);
    const into = new Uint8Array(raw.length + 1);
    // A decoder is tried from the second frame on.
    for (let i = 0; i < 2; i++) codec.onBase.decode(frames[0]!, raw.length, bases[0]!);
    for (let i = 0; i < 200; i++) {
      const which = (i * i) % bases.length;
      memory.set(bases[which]!);
      calls.decompress = 0;
      sameBytes(codec.onBase.decode(frames[which]!, raw.length, memory, i % 2 === 0 ? into : undefined), raw, `${i}`);
      expect(calls.decompress).toBe(0);
      if (i % 9 === 0) codec.onBase.forget();
      if (i % 5 !== 0) continue;
      const bad = frames[which]!.slice(0, -3);
      expect(() => codec.onBase.decode(bad, raw.length, memory)).toThrow("does not decode");
    }
  });

  test("writes what one call of node:zlib writes, on one base and another, in memory that is used again", async () => {
    const once = new ZstdCodec({ contexts: false });
    const again = compactionCodec(3);
    const memory = new Uint8Array(20_000);
    for (let i = 0; i < 60; i++) {
      const base = bases[i % 3 === 0 ? 0 : i % bases.length]!;
      memory.set(base);
      const content = i % 4 === 0 ? base.subarray(i * 100, i * 100 + 3000) : prose(i * 211, i);

      const frame = await again.onBase.encode(content, memory);

      sameBytes(zstdDecompressSync(frame, { dictionary: base }), content, `${i}`);
      sameBytes(once.onBase.decode(frame, content.length, base), content);
      const params = { [constants.ZSTD_c_compressionLevel]: 3 };
      const pledgedSrcSize = content.length;
      sameBytes(frame, zstdCompressSync(content, { params, pledgedSrcSize, dictionary: base }), `${i}`);
      if (i % 11 === 0) again.onBase.forget();
    }
  });

  test("reads a base before it writes over it", async () => {
    const codec = new ZstdCodec();
    const base = bases[0]!;
    const frame = await codec.onBase.encode(raw, base);
    for (let i = 0; i < 3; i++) {
      const memory = base.slice();
      sameBytes(codec.onBase.decode(frame, raw.length, memory, memory), raw);
    }
  });

  test("overwrites what it has kept when it is to forget", async () => {
    const kept: Uint8Array[] = [];
    const allocate = vi.spyOn(Buffer, "allocUnsafeSlow");
    allocate.mockImplementation((bytes) => {
      const made = Buffer.alloc(bytes);
      kept.push(made);
      return made;
    });
    const codec = new ZstdCodec();
    const marked = Buffer.concat([prose(9000, 1), Buffer.from("a secret of the base"), prose(9000, 2)]);
    const frame = await codec.onBase.encode(raw, marked);
    for (let i = 0; i < 3; i++) codec.onBase.decode(frame, raw.length, marked);
    allocate.mockRestore();
    const holding = () => kept.filter((bytes) => Buffer.from(bytes.buffer).includes("a secret of the base")).length;
    expect(holding()).toBe(2);

    codec.onBase.forget();

    expect(holding()).toBe(0);
  });
});
