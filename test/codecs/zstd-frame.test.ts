import { createZstdCompress, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decodeZstdFrame } from "../../core/adapters/fzstd/zstd-frame.ts";
import { ZstdCodec } from "../../core/adapters/node/zstd-codec.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";

/** A frame with its size in the header, whatever the length. */
function frameOf(raw: Uint8Array): Uint8Array {
  return zstdCompressSync(raw, { pledgedSrcSize: raw.length });
}

describe("decodeZstdFrame", () => {
  const codec = new ZstdCodec();

  test.each([1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_791, 65_792, 300_000, 4_194_304])(
    "gives back %i bytes that our codec has encoded",
    async (length) => {
      for (const raw of [prose(length, length), noise(length, length), new Uint8Array(length)]) {
        const frame = new Uint8Array(await codec.encode(raw));

        expect(Buffer.compare(decodeZstdFrame(frame, length) ?? new Uint8Array(0), raw)).toBe(0);
      }
    },
  );

  test("decodes to the length that is asked for, or not at all", () => {
    const frame = frameOf(prose(5000, 1));

    for (const length of [0, 4999, 5001, 4_194_304]) expect(decodeZstdFrame(frame, length)).toBeUndefined();
  });

  test("refuses what is no frame, has no size, or is cut, doubled or followed by anything", async () => {
    const frame = frameOf(prose(5000, 1));
    const sizeless = createZstdCompress();
    sizeless.write(prose(5000, 1));
    sizeless.end();
    const pieces: Uint8Array[] = [];
    for await (const piece of sizeless) pieces.push(piece as Uint8Array);

    const others = [
      new Uint8Array(0),
      new Uint8Array(9),
      noise(100, 1),
      frame.subarray(0, 8),
      frame.subarray(0, -1),
      frame.subarray(1),
      Buffer.concat([frame, frame]),
      Buffer.concat([frame, new Uint8Array(1)]),
      // It needs a dictionary.
      withByte(frame, 4, (byte) => byte | 1),
      Buffer.concat(pieces),
    ];
    for (const other of others) expect(decodeZstdFrame(other, 5000)).toBeUndefined();
  });

  test("gives what is asked for and no more, whichever bit is flipped", () => {
    const raw = prose(2000, 3);
    const frame = frameOf(raw);

    for (let bit = 0; bit < 8 * frame.length; bit++) {
      const damaged = withByte(frame, bit >> 3, (byte) => byte ^ (1 << (bit & 7)));

      const decoded = decodeZstdFrame(damaged, raw.length);

      if (decoded) expect(decoded).toHaveLength(raw.length);
    }
  });
});

function withByte(bytes: Uint8Array, at: number, change: (byte: number) => number): Uint8Array {
  const changed = bytes.slice();
  changed[at] = change(changed[at] ?? 0) & 0xff;
  return changed;
}
