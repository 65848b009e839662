import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { concat, setUint64, view } from "../../core/bytes.ts";
import { SegmentBinding } from "../../core/segment/binding.ts";
import { blockHeaderBytes, decodeBlock, encodeBlockHeader, type EncodedBlock } from "../../core/segment/block.ts";
import { decodeFooter, decodeTrailer, encodeFooter, trailerBytes, type FrameEntry } from "../../core/segment/footer.ts";
import {
  decodeFrameHeader,
  decodeFramePage,
  decodeMark,
  encodeFrame,
  encodeMark,
  frameHeaderAndGroupBytes,
  markBytes,
} from "../../core/segment/frame.ts";
import { decodeSegmentHeader, encodeSegmentHeader, segmentHeaderBytes } from "../../core/segment/header.ts";
import { holds } from "../support/property.ts";

const segment = "01jqwertyz0123456789abcdef";
const binding = new SegmentBinding(nodeDigest, segment);
const elsewhere = new SegmentBinding(nodeDigest, "01jqwertyz0123456789abcdeg");
const marker = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const offset = fc.nat(2 ** 40);
const group = fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 });
const kind = fc.constantFrom("payloads" as const, "tombstone" as const);
const sequence = fc.integer({ min: 1, max: 0x7fff_ffff });

describe("the header of a segment", () => {
  const header = { tenant: "acme", segment, marker, createdMs: 1_750_000_000_123 };
  const bytes = encodeSegmentHeader(header, binding);

  test("is decoded as it was encoded", () => {
    expect(bytes.length).toBe(segmentHeaderBytes);
    expect(decodeSegmentHeader(bytes, "acme", binding)).toEqual({ ok: true, value: header });
  });

  test("with any bit flipped is damaged", () => {
    for (const flipped of withEveryBitFlipped(bytes)) {
      expect(decodeSegmentHeader(flipped, "acme", binding).ok).toBe(false);
    }
  });

  test("of another segment or another tenant is damaged", () => {
    expect(decodeSegmentHeader(bytes, "acme", elsewhere).ok).toBe(false);
    expect(decodeSegmentHeader(bytes, "other", binding).ok).toBe(false);
  });

  test("that is cut, empty or noise is damaged", () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeSegmentHeader(bytes.subarray(0, length), "acme", binding).ok).toBe(false);
    }
    expect(decodeSegmentHeader(new Uint8Array(500), "acme", binding).ok).toBe(false);
  });

  test.each([
    ["a higher version", 8, 1],
    ["a version far ahead", 9, 200],
    ["a flag", 10, 1],
  ])("that is whole and says %s is refused with both versions named", (_name, at, value) => {
    const newer = bytes.with(at, value);
    view(newer).setUint32(12, binding.crc(0, newer.subarray(0, 12), newer.subarray(16, segmentHeaderBytes)), true);

    let refusal: unknown;
    try {
      decodeSegmentHeader(newer, "acme", binding);
    } catch (error) {
      refusal = error;
    }

    if (!isPayloadStoreError(refusal, "UNSUPPORTED_VERSION")) throw new Error(`got ${String(refusal)}`);
    const version = view(newer).getUint16(8, true);
    expect(refusal.details).toEqual({ segment, found: version, expected: 0 });
    expect(refusal.message).toContain(`version ${version}`);
    expect(refusal.message).toContain("reads version 0");
  });
});

describe("a frame", () => {
  const draft = fc.record({
    kind,
    group,
    sequence,
    timeMs: fc.nat(2 ** 42),
    page: fc.uint8Array({ maxLength: 200 }),
    blocks: fc.array(
      fc.uint8Array({ maxLength: 300 }).map((body): EncodedBlock => ({ codec: 0, rawBytes: body.length, body })),
      { maxLength: 4 },
    ),
  });
  const context = { binding, marker, number: 7, groupCrcBefore: 0xdead_beef };

  test("is decoded as it was encoded, at its place", async () => {
    await holds(
      import.meta.filename,
      fc.property(draft, offset, (before, at) => {
        const encoded = encodeFrame(before, at, context);
        const bytes = concat([new Uint8Array(0), ...encoded.parts]);
        expect(bytes.length).toBe(encoded.bytes);

        const header = decodeFrameHeader(bytes, at, binding);
        if (!header.ok) throw new Error(header.damage);
        const { headBytes, pageBytes, pageCrc, bodyBytes, ...said } = header.value;
        const { page, blocks, ...named } = before;
        expect(said).toEqual({ ...named, number: 7, groupCrcBefore: 0xdead_beef });
        expect([headBytes, pageBytes, headBytes + bodyBytes]).toEqual([encoded.headBytes, page.length, bytes.length]);
        expect(pageCrc).toBe(binding.crc(at + headBytes - pageBytes, page));
        expect(decodeFramePage(bytes, header.value, at, binding)).toEqual({ ok: true, value: page });
        for (let start = headBytes, i = 0; i < blocks.length; i++) {
          const block = decodeBlock(bytes, start, at, binding);
          expect(block).toEqual({ ok: true, value: blocks[i] });
          start += blockHeaderBytes + (blocks[i]?.body.length ?? 0);
        }
      }),
      { runs: 200 },
    );
  });

  test("that was moved, or lies in another segment, is damaged", async () => {
    await holds(
      import.meta.filename,
      fc.property(draft, offset, offset, (before, at, other) => {
        fc.pre(at !== other);
        const bytes = concat([new Uint8Array(0), ...encodeFrame(before, at, context).parts]);

        expect(decodeFrameHeader(bytes, other, binding).ok).toBe(false);
        expect(decodeFrameHeader(bytes, at, elsewhere).ok).toBe(false);
      }),
      { runs: 100 },
    );
  });

  test("with any bit flipped in header, group or page is damaged", () => {
    const page = Uint8Array.from({ length: 40 }, (_, i) => i);
    const { parts } = encodeFrame(
      { kind: "payloads", group: "gé", sequence: 5, timeMs: 9, page, blocks: [] },
      99,
      context,
    );
    const bytes = concat([new Uint8Array(0), ...parts]);

    for (const flipped of withEveryBitFlipped(bytes)) {
      const header = decodeFrameHeader(flipped, 99, binding);
      expect(header.ok && decodeFramePage(flipped, header.value, 99, binding).ok).toBe(false);
    }
  });

  test("made of random bytes is refused without a throw", async () => {
    await holds(
      import.meta.filename,
      fc.property(fc.uint8Array({ minLength: 56, maxLength: 700 }), offset, (bytes, at) => {
        expect(frameHeaderAndGroupBytes(bytes)).toBeLessThanOrEqual(65_591);
        expect(decodeFrameHeader(bytes, at, binding).ok).toBe(false);
        expect(decodeMark(bytes, at, binding)).toBeUndefined();
        expect(decodeBlock(bytes, 0, at, binding).ok).toBe(false);
      }),
      { runs: 500 },
    );
  });
});

describe("a mark", () => {
  test("is decoded as it was encoded, at its place only", async () => {
    const mark = fc
      .tuple(fc.nat(2 ** 31), fc.nat(2 ** 31), offset, fc.nat())
      .map(([frames, groupCrcBefore, at, back]) => {
        return { at, mark: { frames, groupCrcBefore, durableBytes: Math.max(0, at - back) } };
      });
    await holds(
      import.meta.filename,
      fc.property(mark, ({ at, mark: before }) => {
        const bytes = encodeMark(before, marker, at, binding);

        expect(bytes.length).toBe(markBytes);
        expect(decodeMark(bytes, at, binding)).toEqual(before);
        expect(decodeMark(bytes, at + 1, binding)).toBeUndefined();
        expect(decodeMark(bytes, at, elsewhere)).toBeUndefined();
        expect(decodeMark(bytes.subarray(0, markBytes - 1), at, binding)).toBeUndefined();
      }),
      { runs: 200 },
    );
  });

  test("with any bit flipped is none", () => {
    const bytes = encodeMark({ frames: 3, groupCrcBefore: 9, durableBytes: 50 }, marker, 77, binding);

    for (const flipped of withEveryBitFlipped(bytes)) expect(decodeMark(flipped, 77, binding)).toBeUndefined();
  });
});

describe("a block", () => {
  const encode = (block: EncodedBlock, at: number): Uint8Array => {
    const header = new Uint8Array(blockHeaderBytes);
    encodeBlockHeader(block, header, at, binding);
    return concat([header, block.body]);
  };

  test("is decoded as it was encoded, behind any other bytes", async () => {
    const block = fc.record({
      codec: fc.constantFrom(1 as const, 2 as const),
      rawBytes: fc.nat(4_194_304),
      body: fc.uint8Array({ maxLength: 300 }),
    });
    await holds(
      import.meta.filename,
      fc.property(block, offset, fc.uint8Array({ maxLength: 50 }), (before, at, others) => {
        const bytes = concat([others, encode(before, at + others.length), others]);

        expect(decodeBlock(bytes, others.length, at, binding)).toEqual({ ok: true, value: before });
      }),
      { runs: 200 },
    );
  });

  test("with any bit flipped, or cut, is damaged", () => {
    const bytes = encode({ codec: 1, rawBytes: 500, body: new Uint8Array(60).fill(9) }, 1234);

    for (const flipped of withEveryBitFlipped(bytes)) expect(decodeBlock(flipped, 0, 1234, binding).ok).toBe(false);
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeBlock(bytes.subarray(0, length), 0, 1234, binding).ok).toBe(false);
    }
  });

  test.each([
    ["an unknown codec", { codec: 3, rawBytes: 3, body: new Uint8Array(3) }],
    ["more raw bytes than a block has", { codec: 2, rawBytes: 4_194_305, body: new Uint8Array(3) }],
    ["stored bytes of another length", { codec: 0, rawBytes: 4, body: new Uint8Array(3) }],
  ])("with a right checksum and %s is damaged, never raw bytes", (_name, block) => {
    expect(decodeBlock(encode(block as EncodedBlock, 0), 0, 0, binding).ok).toBe(false);
  });
});

describe("a footer", () => {
  const gap = fc.nat(5000);
  const frame = fc.record({
    gap,
    group,
    kind,
    sequence,
    headBytes: fc.integer({ min: 56, max: 900 }),
    bodyBytes: fc.nat(2 ** 33),
  });
  const footer = fc
    .record({ frames: fc.array(frame, { maxLength: 20 }), voids: fc.array(fc.tuple(gap, gap), { maxLength: 3 }) })
    .map(({ frames, voids }) => {
      let end = segmentHeaderBytes;
      const placed = frames.map(({ gap: before, ...entry }): FrameEntry => {
        const start = end + before;
        end = start + entry.headBytes + entry.bodyBytes;
        return { ...entry, offset: start };
      });
      let voidEnd = 0;
      const ranges = voids.map(([before, length]) => {
        const start = voidEnd + before;
        voidEnd = start + length;
        return { start, end: voidEnd };
      });
      return { footer: { frames: placed, voids: ranges }, at: Math.max(end, voidEnd) };
    });

  const split = (bytes: Uint8Array, at: number) => {
    const trailer = decodeTrailer(bytes.subarray(bytes.length - trailerBytes), at + bytes.length, binding);
    if (!trailer.ok) throw new Error(trailer.damage);
    expect(trailer.value.offset).toBe(at);
    return { body: bytes.subarray(0, trailer.value.bytes), crc: trailer.value.crc };
  };

  test("is decoded as it was encoded, found through its trailer", async () => {
    await holds(
      import.meta.filename,
      fc.property(footer, ({ footer: before, at }) => {
        const { body, crc } = split(encodeFooter(before, marker, at, binding), at);

        expect(decodeFooter(body, crc, at, marker, binding)).toEqual({ ok: true, value: before });
      }),
      { runs: 200 },
    );
  });

  test("with any bit flipped, also in its trailer, is damaged", () => {
    const frames = [{ group: "g", kind: "payloads" as const, sequence: 1, offset: 128, headBytes: 90, bodyBytes: 10 }];
    const bytes = encodeFooter({ frames, voids: [{ start: 10, end: 20 }] }, marker, 500, binding);

    for (const flipped of withEveryBitFlipped(bytes)) {
      const trailer = decodeTrailer(flipped.subarray(flipped.length - trailerBytes), 500 + flipped.length, binding);
      const body = flipped.subarray(0, flipped.length - trailerBytes);
      // The bytes between crc and trailer crc are reserved, and covered like the rest.
      expect(trailer.ok && decodeFooter(body, trailer.value.crc, 500, marker, binding).ok).toBe(false);
    }
  });

  test("whose trailer does not meet the segment's length is damaged", () => {
    const bytes = encodeFooter({ frames: [], voids: [] }, marker, 500, binding);
    const trailer = bytes.slice(bytes.length - trailerBytes);
    for (const size of [0, 500 + bytes.length - 1, 500 + bytes.length + 1, 2 ** 50]) {
      expect(decodeTrailer(trailer, size, binding).ok).toBe(false);
    }
    setUint64(view(trailer), 0, 501);
    view(trailer).setUint32(20, binding.crc(500 + bytes.length - trailerBytes, trailer.subarray(0, 20)), true);
    expect(decodeTrailer(trailer, 500 + bytes.length, binding).ok).toBe(false);
  });

  test("made of random bytes, with a right checksum, is refused without a throw", async () => {
    await holds(
      import.meta.filename,
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        const body = concat([marker, Uint8Array.of(4), random]);
        const decoded = decodeFooter(body, binding.crc(5000, body), 5000, marker, binding);
        if (!decoded.ok) return;
        for (const { offset: start, headBytes, bodyBytes } of decoded.value.frames)
          expect(start + headBytes + bodyBytes).toBeLessThanOrEqual(5000);
        for (const { end } of decoded.value.voids) expect(end).toBeLessThanOrEqual(5000);
      }),
      { runs: 2000 },
    );
  });
});

function* withEveryBitFlipped(bytes: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    yield flipped;
  }
}
