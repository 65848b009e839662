import { zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { encodedBytesMax, zstdDecoder, zstdEncoder, type ZstdContext } from "../../core/adapters/node/zstd-context.ts";
import { ZstdCodec } from "../../core/adapters/node/zstd-codec.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";

const samples = [prose(100, 1), noise(5000, 2), prose(65_536, 3), new Uint8Array(30_000), new Uint8Array(0)];

/** A Node whose internals changed would pass every other test, and be half as fast. */
describe("a zstd context", () => {
  test("is there on this Node", () => {
    expect(zstdEncoder(1)).toBeDefined();
    expect(zstdDecoder()).toBeDefined();
  });

  test("writes the frames that node:zlib writes, one behind the other", async () => {
    const once = new ZstdCodec({ contexts: false });
    const again = new ZstdCodec();
    for (const raw of [...samples, ...samples]) sameBytes(await again.encode(raw), await once.encode(raw));
  });

  test("answers nothing for an output that is too short, and goes on", () => {
    const encoder = there(zstdEncoder(1));
    const raw = noise(5000, 4);
    expect(encoder.run(raw, new Uint8Array(100))).toBeUndefined();

    const output = new Uint8Array(encodedBytesMax(raw.length));
    const bytes = there(encoder.run(raw, output));
    sameBytes(new ZstdCodec({ contexts: false }).decode(output.subarray(0, bytes), raw.length), raw);
  });

  test("reads whole frames after damaged, cut and overlong ones", () => {
    const codec = new ZstdCodec();
    const raw = prose(3000, 5);
    const frame = new Uint8Array(zstdCompressSync(raw));
    for (let i = 0; i < frame.length; i++) {
      const flipped = frame.slice();
      flipped[i]! ^= 0x11;
      for (const bad of [flipped, frame.subarray(0, i), new Uint8Array([...frame, ...frame.subarray(0, i)])]) {
        try {
          codec.decode(bad, raw.length);
        } catch {
          // It may be refused; what follows may not.
        }
        sameBytes(codec.decode(frame, raw.length), raw, `after damage at ${i}`);
      }
    }
  });
});

function there<T extends ZstdContext | number>(value: T | undefined): T {
  if (value === undefined) throw new Error("there is no context on this Node");
  return value;
}
