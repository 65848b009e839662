import { describe, expect, test } from "vitest";
import { hashKey, sipHash128 } from "../../core/index/siphash.ts";

/** Vectors of the authors' reference implementation, github.com/veorq/SipHash, vectors.h: key 00…0f, message 00 01 02 … */
const vectors: readonly (readonly [bytes: number, digest: string])[] = [
  [0, "a3817f04ba25a8e66df67214c7550293"],
  [1, "da87c1d86b99af44347659119b22fc45"],
  [7, "a1f1ebbed8dbc153c0b84aa61ff08239"],
  [8, "3b62a9ba6258f5610f83e264f31497b4"],
  [15, "5493e99933b0a8117e08ec0f97cfc3d9"],
  [40, "df6a301e95c95dad97ae0cc8c6913bd8"],
];

describe("SipHash-2-4 with 128 bits", () => {
  test.each(vectors)("of %i bytes is the authors' own", (bytes, digest) => {
    expect(hashOf(counting(16), counting(bytes))).toBe(digest);
  });

  test.each(vectors)("of %i bytes has a lower half of its own", (bytes, digest) => {
    const words = new Int32Array(4);
    sipHash128(hashKey(counting(16)), counting(bytes), bytes, words, 2);

    expect(Buffer.from(words.buffer).toString("hex")).toBe(`${digest.slice(0, 16)}${"0".repeat(16)}`);
  });

  test("looks at no byte behind the message, and at all of the key", () => {
    const message = counting(13);
    const behind = new Uint8Array(64).fill(0xaa);
    behind.set(message);

    expect(hashOf(counting(16), behind, 13)).toBe(hashOf(counting(16), message));
    for (let i = 0; i < 16; i++) {
      const key = counting(16);
      key[i]! ^= 0x80;
      expect(hashOf(key, message)).not.toBe(hashOf(counting(16), message));
    }
  });

  test("differs for every length up to 200, also of zeros", () => {
    const hashes = Array.from({ length: 200 }, (_, bytes) => hashOf(counting(16), new Uint8Array(bytes)));

    expect(new Set(hashes).size).toBe(200);
  });
});

function counting(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i);
}

function hashOf(key: Uint8Array, message: Uint8Array, length = message.length): string {
  const words = new Int32Array(4);
  sipHash128(hashKey(key), message, length, words);
  const digest = Buffer.alloc(16);
  for (const [i, word] of words.entries()) digest.writeInt32LE(word, i * 4);
  return digest.toString("hex");
}
