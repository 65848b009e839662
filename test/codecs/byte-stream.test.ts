import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../../core/byte-stream.ts";
import { holds } from "../support/property.ts";

const edges = [
  0,
  1,
  127,
  128,
  16_383,
  16_384,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 49 - 1,
  2 ** 49,
  2 ** 53 - 1,
];

describe("a varint", () => {
  test.each(edges)("of %d is read as it was written, in the fewest bytes", (value) => {
    const bytes = written((writer) => writer.varint(value));
    const reader = new ByteReader(bytes);

    expect(reader.varint()).toBe(value);
    expect(reader.failed).toBe(false);
    expect(reader.remaining).toBe(0);
    expect(bytes.length).toBe(Math.ceil(value.toString(2).length / 7));
  });

  test("of any value is read as it was written", async () => {
    await holds(
      import.meta.filename,
      fc.property(fc.array(fc.maxSafeNat()), (values) => {
        const reader = new ByteReader(written((writer) => values.forEach((value) => writer.varint(value))));
        expect(values.map(() => reader.varint())).toEqual(values);
        expect([reader.failed, reader.remaining]).toEqual([false, 0]);
      }),
      { runs: 300 },
    );
  });

  test.each([
    ["is missing", []],
    ["is cut", [0x80]],
    ["is spelled longer than it needs", [0x80, 0x00]],
    ["is zero in many bytes", [0x80, 0x80, 0x80, 0x00]],
    ["exceeds 2^53 − 1", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10]],
    ["never ends", Array.from({ length: 20 }, () => 0xff)],
  ])("that %s fails the reader for good", (_name, bytes) => {
    const reader = new ByteReader(Uint8Array.from(bytes));

    expect(reader.varint()).toBe(0);
    expect(reader.failed).toBe(true);
    expect(reader.remaining).toBe(0);
    expect([reader.uint8(), reader.varint(), reader.bytes(1).length, reader.text(5)]).toEqual([0, 0, 0, ""]);
  });

  test("of no safe integer is not written", () => {
    for (const value of [-1, 0.5, Number.NaN, 2 ** 53, Infinity]) {
      expect(() => written((writer) => writer.varint(value))).toThrow("invariant");
    }
  });
});

describe("a reader of foreign bytes", () => {
  test("gives text as it was written, and fails on what is no UTF-8 or too long", async () => {
    await holds(
      import.meta.filename,
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const bytes = written((writer) => writer.text(text));
        expect(new ByteReader(bytes).text(1000)).toBe(text);
        const short = new ByteReader(bytes);
        if (bytes.length > 1) expect([short.text(bytes.length - 2), short.failed]).toEqual(["", true]);
      }),
      { runs: 300 },
    );
    const broken = new ByteReader(Uint8Array.of(2, 0xc3, 0x28));
    expect([broken.text(10), broken.failed]).toEqual(["", true]);
  });

  test("counts no more things than the bytes can hold", () => {
    expect(new ByteReader(Uint8Array.of(3, 0, 0, 0)).count(10)).toBe(3);
    for (const [bytes, max, itemBytes] of [
      [[3, 0, 0], 10, 1],
      [[3, 0, 0, 0], 2, 1],
      [[3, 0, 0, 0], 10, 2],
    ] as const) {
      const reader = new ByteReader(Uint8Array.from(bytes));
      expect([reader.count(max, itemBytes), reader.failed]).toEqual([0, true]);
    }
  });
});

function written(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(1);
  write(writer);
  return writer.finish().slice();
}
