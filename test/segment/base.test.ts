import { describe, expect, test } from "vitest";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { concat } from "../../core/bytes.ts";
import { limits } from "../../core/limits.ts";
import { decodeBase, isRawContent } from "../../core/segment/base.ts";
import { SegmentBinding } from "../../core/segment/binding.ts";
import {
  blockHeaderBytes,
  decodeBlock,
  encodeBlockHeader,
  storedBlockBytes,
  type EncodedBlock,
} from "../../core/segment/block.ts";
import { encodeFrame, encodeMark, type FrameDraft } from "../../core/segment/frame.ts";
import { decodeRestingBody, restingBody } from "../../core/segment/resting.ts";
import { noise } from "../conformance/sample-bytes.ts";

const segment = "01jx0000000000000000000000";
const binding = new SegmentBinding(nodeDigest, segment);
const marker = noise(8, 1);
const first = 128;

const plain = (length: number, seed: number): EncodedBlock => ({
  codec: 0,
  rawBytes: length,
  body: noise(length, seed),
});

function restingOn(start: number, end: number): EncodedBlock {
  const resting = { base: { start, end }, frame: noise(30, 9) };
  return { codec: 2, rawBytes: 500, body: restingBody(resting.base, resting.frame), resting };
}

function draft(group: string, blocks: readonly EncodedBlock[]): FrameDraft {
  return { kind: "payloads", group, sequence: 1, timeMs: 0, page: noise(40, 2), restsIn: segment, blocks };
}

/** Frames and marks one behind the other, from the segment's first byte behind its header on. */
function laid(...pieces: readonly (FrameDraft | "mark")[]): { bytes: Uint8Array; ends: number[] } {
  const parts: Uint8Array[] = [];
  const ends: number[] = [];
  let offset = first;
  for (const piece of pieces) {
    const made =
      piece === "mark"
        ? [encodeMark({ frames: 1, groupCrcBefore: 0, durableBytes: offset }, marker, offset, binding)]
        : encodeFrame(piece, offset, { binding, marker, number: 0, groupCrcBefore: 0 }).parts;
    parts.push(...made);
    offset += made.reduce((sum, { length }) => sum + length, 0);
    ends.push(offset);
  }
  return { bytes: concat(parts), ends };
}

describe("a base", () => {
  test("is the blocks of frames, past heads and marks, up to the end of a block", () => {
    const [a, b, c] = [plain(300, 1), plain(400, 2), plain(500, 3)];
    const { bytes } = laid(draft("g", [a]), "mark", draft("h", [b, c]));

    expect(decodeBase(bytes, first, binding)).toEqual({ ok: true, value: [a, b, c] });
    const cut = bytes.subarray(0, bytes.length - storedBlockBytes(c));
    expect(decodeBase(cut, first, binding)).toEqual({ ok: true, value: [a, b] });
  });

  test("has nothing of blocks that rest on a base themselves", () => {
    const { bytes, ends } = laid(draft("g", [plain(300, 1)]));
    const resting = restingOn(first, ends[0]!);
    const all = laid(draft("g", [plain(300, 1)]), draft("h", [resting, plain(200, 2)]));

    expect(decodeBase(all.bytes, first, binding)).toEqual({ ok: true, value: [plain(300, 1), plain(200, 2)] });
    expect(decodeBase(all.bytes.subarray(bytes.length), ends[0]!, binding)).toEqual({
      ok: true,
      value: [plain(200, 2)],
    });
  });

  test("is refused where it is cut, flipped anywhere that it depends on, moved, empty or too long", () => {
    const { bytes } = laid(draft("g", [plain(300, 1)]), "mark", draft("h", [plain(40, 2)]));
    for (let length = 1; length < bytes.length; length++) {
      const read = decodeBase(bytes.subarray(0, length), first, binding);
      if (read.ok) expect(read.value).toEqual([plain(300, 1)]);
    }
    const page = (at: number) => (at >= 57 && at < 97) || (at >= 502 && at < 542);
    for (let at = 0; at < bytes.length; at++) {
      const flipped = bytes.slice();
      flipped[at]! ^= 4;
      // Its pages are nothing to it.
      expect(decodeBase(flipped, first, binding).ok, `byte ${at}`).toBe(page(at));
    }
    expect(decodeBase(bytes, first + 1, binding).ok).toBe(false);
    expect(decodeBase(bytes, first, new SegmentBinding(nodeDigest, "01jx0000000000000000000001")).ok).toBe(false);
    expect(decodeBase(laid(draft("g", [plain(7, 1)])).bytes, first, binding).ok).toBe(false);
    expect(decodeBase(laid(draft("g", [plain(limits.baseRawBytesMax, 1)])).bytes, first, binding).ok).toBe(true);
    expect(decodeBase(laid(draft("g", [plain(limits.baseRawBytesMax + 1, 1)])).bytes, first, binding).ok).toBe(false);
  });

  test("may not be what zstd takes for a trained dictionary", () => {
    expect(isRawContent(Uint8Array.of(0x37, 0xa4, 0x30, 0xec, 1, 2, 3, 4))).toBe(false);
    expect(isRawContent(Uint8Array.of(0x36, 0xa4, 0x30, 0xec, 1, 2, 3, 4))).toBe(true);
    expect(isRawContent(new Uint8Array(7))).toBe(false);
  });
});

describe("a block that rests on a base", () => {
  const at = 5000;
  const whole = (block: EncodedBlock): Uint8Array => {
    const header = new Uint8Array(blockHeaderBytes);
    encodeBlockHeader(block, header, at, binding);
    return concat([header, block.body]);
  };

  test("comes back as it was, with where its base lies", () => {
    const block = restingOn(128, 5000);
    const bytes = whole(block);

    expect(bytes.subarray(0, 4)).toEqual(Uint8Array.of(2, 1, 0, 0));
    expect(decodeBlock(bytes, 0, at, binding)).toEqual({ ok: true, value: block });
  });

  test("is refused with any byte flipped, or flags that are unknown", () => {
    const bytes = whole(restingOn(128, 4000));
    for (let i = 0; i < bytes.length; i++) {
      const flipped = bytes.slice();
      flipped[i]! ^= 1;
      expect(decodeBlock(flipped, 0, at, binding).ok).toBe(false);
    }
    for (const [codec, flags] of [
      [0, 1],
      [1, 1],
      [2, 2],
      [2, 3],
      [2, 128],
    ] as const) {
      const other = bytes.slice();
      other[0] = codec;
      other[1] = flags;
      const crc = binding.crc(at, other.subarray(0, 12), other.subarray(blockHeaderBytes));
      new DataView(other.buffer).setUint32(12, crc, true);
      expect(decodeBlock(other, 0, at, binding)).toMatchObject({ ok: false, damage: expect.stringContaining("flags") });
    }
  });

  test.each([
    ["the segment's header", 127, 200],
    ["nothing", 128, 128],
    ["itself", 128, at + 1],
    ["more than a base", 128, 128 + limits.baseStoredBytesMax + 1],
  ])("cannot rest on %s", (_what, start, end) => {
    expect(decodeRestingBody(restingBody({ start, end }, noise(9, 1)), Math.max(at, end - 1)).ok).toBe(false);
  });

  test("cannot rest on what it does not say", () => {
    for (const body of [
      [],
      [0x80],
      [0x80, 0x80, 0x00, 1],
      [128, 1],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    ])
      expect(decodeRestingBody(Uint8Array.from(body), at).ok).toBe(false);
  });

  test("lies in no frame of another segment, nor before its base", () => {
    const context = { binding, marker, number: 0, groupCrcBefore: 0 };
    const block = restingOn(128, 4000);

    expect(() => encodeFrame(draft("g", [block]), 4000, context)).not.toThrow();
    expect(() => encodeFrame(draft("g", [block]), 3999, context)).toThrow("rests on bytes of its own segment");
    const elsewhere = { ...draft("g", [block]), restsIn: "01jx0000000000000000000001" };
    expect(() => encodeFrame(elsewhere, 4000, context)).toThrow("rests on bytes of its own segment");
    expect(() => encodeFrame({ ...draft("g", [block]), restsIn: undefined }, 4000, context)).toThrow("rests on");
  });
});
