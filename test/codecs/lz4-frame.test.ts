import { describe, expect, test } from "vitest";
import { decodeLz4Frame, encodeLz4Frame } from "../../core/adapters/lz4js/lz4-frame.ts";

/** Two literals, a match of `length` bytes from `distance` before, and one literal, as one block of LZ4. */
function frameWith(distance: number, length: number): Uint8Array {
  const matchCode = Math.min(15, length - 4);
  const more = matchCode === 15 ? [length - 4 - 15] : [];
  const block = Uint8Array.of(0x20 | matchCode, 65, 66, distance & 255, distance >> 8, ...more, 0x10, 67);
  return encodeLz4Frame(new Uint8Array(0), block);
}

// Short ones are copied byte by byte, long ones at once.
describe.each([6, 200])("an LZ4 match of %i bytes", (length) => {
  test("repeats what lies before it", () => {
    const raw = decodeLz4Frame(frameWith(2, length), length + 3);

    expect(Buffer.from(raw!).toString()).toBe(`AB${"AB".repeat(length / 2)}C`);
  });

  // With memory that is used again, what an earlier payload left there would be answered.
  test.each([3, 260, 65_535])("that begins %i bytes before it, in front of the frame, is refused", (distance) => {
    const into = new Uint8Array(1000).fill(88);

    expect(decodeLz4Frame(frameWith(distance, length), length + 3, into)).toBeUndefined();
    expect(decodeLz4Frame(frameWith(0, length), length + 3, into)).toBeUndefined();
  });
});
