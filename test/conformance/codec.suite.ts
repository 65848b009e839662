import assert from "node:assert/strict";
import { isPayloadStoreError } from "../../core/errors.ts";
import { limits } from "../../core/limits.ts";
import type { Codec, CodecCode, CodecName } from "../../core/ports/codec.ts";
import { rejectsWith, sameBytes } from "./expectations.ts";
import { Draws, noise, prose } from "./sample-bytes.ts";
import { testFunctions, type TestFunctions } from "./test-functions.ts";

export interface CodecSuite {
  readonly name: string;
  readonly codec: Codec;
  /** Vitest unless given. */
  readonly test?: TestFunctions | undefined;
}

const codes: Readonly<Record<CodecName, CodecCode>> = { none: 0, lz4: 1, zstd: 2 };
const lengths = [0, 1, 2, 3, 4, 5, 12, 13, 15, 16, 31, 255, 256, 1023, 1024, 4096, 65_535, 65_536, 65_537, 262_145];

/** What every codec promises. `await` it: it may have to load the runner first. */
export async function codecSuite({ name, codec, test: given }: CodecSuite): Promise<void> {
  const { describe, test } = await testFunctions(given);

  /** What decoding foreign bytes gives: an answer of the right length, or nothing. Anything else fails. */
  const decoded = async (stored: Uint8Array, rawBytes: number): Promise<Uint8Array | undefined> => {
    try {
      const raw = await codec.decode(stored, rawBytes);
      assert.equal(raw.length, rawBytes);
      return raw;
    } catch (error) {
      assert.ok(isPayloadStoreError(error, "CORRUPT"), `expected CORRUPT, got ${String(error)}`);
      return undefined;
    }
  };

  describe(`${name} as a codec`, () => {
    test("has a name and the code that belongs to it", async () => {
      assert.equal(codec.code, codes[codec.name]);
    });

    test("gives back what went in: nothing, one byte, a whole block, and all between", async () => {
      for (const length of [...lengths, limits.blockRawBytesMax - 1, limits.blockRawBytesMax]) {
        for (const raw of [noise(length, length), prose(length, length), new Uint8Array(length)]) {
          const stored = (await codec.encode(raw)).slice();

          sameBytes(await codec.decode(stored, length), raw, `${length} bytes`);
        }
      }
    });

    test("gives back random mixtures of noise, repeats and runs", async () => {
      const draws = new Draws(17);
      for (let i = 0; i < 300; i++) {
        const raw = mixture(draws);

        sameBytes(await codec.decode((await codec.encode(raw)).slice(), raw.length), raw, `mixture ${i}`);
      }
    });

    test("gives back what went in also in memory that it is given, whatever lies there", async () => {
      const draws = new Draws(18);
      const memory = noise(300_000, 5);
      for (let i = 0; i < 100; i++) {
        const raw = mixture(draws).subarray(0, memory.length - 1);
        const stored = (await codec.encode(raw)).slice();

        sameBytes(await codec.decode(stored, raw.length, memory), raw, `mixture ${i}`);
        // One that is cut or longer is no less damaged for the memory.
        if (codec.code > 0) {
          await rejectsWith("CORRUPT", async () => codec.decode(stored.subarray(0, -1), raw.length, memory));
          await rejectsWith("CORRUPT", async () => codec.decode(stored, raw.length + 1, memory));
        }
      }
    });

    test("gives back bytes that begin with any byte, at every length up to 128", async () => {
      for (let first = 0; first < 256; first++) {
        for (const length of first % 16 === 0 ? Array.from({ length: 128 }, (_, i) => i + 1) : [1, 5, 20, 64, 128]) {
          const raw = noise(length, first);
          raw[0] = first;

          sameBytes(
            await codec.decode((await codec.encode(raw)).slice(), length),
            raw,
            `${length} bytes, ${first} first`,
          );
        }
      }
    });

    const { onBase } = codec;
    if (onBase) {
      test("gives back what rests on a base, which makes it smaller where it repeats the base", async () => {
        for (const length of [1, 300, 5000, 131_072, 262_144]) {
          for (const raw of [noise(length, 1), prose(length, length)]) {
            for (const base of [noise(8, 2), raw.length >= 8 ? raw.slice(0, 131_072) : noise(9, 3), prose(65_536, 4)]) {
              const stored = (await onBase.encode(raw, base)).slice();

              sameBytes(onBase.decode(stored, length, base), raw, `${length} bytes on ${base.length}`);
            }
          }
        }
        const noisy = noise(5000, 1);
        assert.ok((await onBase.encode(noisy, noisy.slice())).length < 100);
      });

      test("answers the length it was asked for, or CORRUPT, for what rests on a base and is flipped, cut or of another length", async () => {
        const base = prose(4096, 1);
        const raw = prose(3000, 2);
        const stored = (await onBase.encode(raw, base)).slice();
        const tried = [
          ...Array.from(stored, (_, i) => stored.map((byte, at) => (at === i ? byte ^ 16 : byte))),
          ...Array.from(stored, (_, i) => stored.slice(0, i)),
        ];
        for (const bytes of tried) {
          for (const length of [raw.length, raw.length - 1, raw.length + 1, 0]) {
            try {
              assert.equal(onBase.decode(bytes, length, base).length, length);
            } catch (error) {
              assert.ok(isPayloadStoreError(error, "CORRUPT"), `expected CORRUPT, got ${String(error)}`);
            }
          }
        }
      });
    }

    test("neither changes what it is given nor keeps it", async () => {
      for (const raw of [noise(3000, 1), prose(3000, 1)]) {
        const before = raw.slice();
        const stored = await codec.encode(raw);
        sameBytes(raw, before);
        const frame = stored.slice();
        const decodedBytes = (await codec.decode(frame, raw.length)).slice();
        sameBytes(frame, stored);
        await codec.encode(noise(5000, 9));

        sameBytes(decodedBytes, before);
        sameBytes(await codec.decode(frame, raw.length), before);
      }
    });

    test("encodes the same bytes to the same bytes, whatever came between", async () => {
      const raw = prose(20_000, 1);
      const first = (await codec.encode(raw)).slice();
      for (let i = 0; i < 5; i++) await codec.encode(noise(i * 5000, i));

      sameBytes(await codec.encode(raw), first);
    });

    test("encodes and decodes many at once", async () => {
      const raws = Array.from({ length: 20 }, (_, i) => prose(i * 40_000, i));

      const stored = await Promise.all(raws.map(async (raw) => (await codec.encode(raw)).slice()));
      const again = await Promise.all(stored.map(async (frame, i) => codec.decode(frame, raws[i]?.length ?? 0)));

      for (const [i, raw] of raws.entries()) sameBytes(again[i], raw, `${i}`);
    });

    test("refuses another length than the one the bytes decode to", async () => {
      for (const length of [1, 2, 100, 5000, 300_000]) {
        for (const raw of [prose(length, 1), noise(length, 1)]) {
          const stored = (await codec.encode(raw)).slice();
          for (const wrong of [0, 1, length - 1, length + 1, length * 2, limits.blockRawBytesMax]) {
            if (wrong !== length) await rejectsWith("CORRUPT", () => codec.decode(stored, wrong));
          }
        }
      }
    });

    test("refuses a small frame that decodes to much, where little is expected", async () => {
      const stored = (await codec.encode(new Uint8Array(limits.blockRawBytesMax))).slice();
      for (const rawBytes of [0, 1, 1000]) await rejectsWith("CORRUPT", () => codec.decode(stored, rawBytes));
    });

    test("refuses bytes that are cut short anywhere; bytes behind them change nothing, or are refused", async () => {
      for (const raw of [prose(3000, 1), noise(200, 2), new Uint8Array(500), prose(5, 3)]) {
        const stored = (await codec.encode(raw)).slice();
        for (let length = 0; length < stored.length; length++) {
          await rejectsWith("CORRUPT", () => codec.decode(stored.slice(0, length), raw.length));
        }
        const longer = new Uint8Array(stored.length + 1);
        longer.set(stored);
        const answer = await decoded(longer, raw.length);
        if (answer) sameBytes(answer, raw);
      }
    });

    test("answers the length it was asked for, or CORRUPT, for bytes with any bit flipped", async () => {
      for (const raw of [prose(400, 1), noise(60, 2), new Uint8Array(300)]) {
        const stored = (await codec.encode(raw)).slice();
        for (let bit = 0; bit < stored.length * 8; bit++) {
          const flipped = stored.slice();
          flipped[bit >> 3]! ^= 1 << (bit & 7);
          await decoded(flipped, raw.length);
        }
      }
    });

    test("answers the length it was asked for, or CORRUPT, for random bytes", async () => {
      const draws = new Draws(23);
      const start = (await codec.encode(prose(500, 1))).slice();
      for (let i = 0; i < 1500; i++) {
        const foreign = noise(draws.below(200), i);
        // Half of them begin as a frame does, or nothing behind the magic number would be looked at.
        if (i % 2 === 0) foreign.set(start.subarray(0, Math.min(draws.below(16), foreign.length)));
        await decoded(foreign, draws.below(2000));
      }
    });
  });
}

/** Pieces of noise, runs of one byte, and repeats of what came before, near and far. */
function mixture(draws: Draws): Uint8Array {
  const raw = new Uint8Array(draws.logUniform(200_000));
  for (let at = 0; at < raw.length;) {
    const length = Math.min(1 + draws.logUniform(5000), raw.length - at);
    const kind = draws.below(3);
    if (kind === 0) raw.set(noise(length, draws.next()), at);
    else if (kind === 1) raw.fill(draws.below(256), at, at + length);
    else {
      const distance = 1 + draws.below(Math.max(at, 1));
      for (let i = 0; i < length; i++) raw[at + i] = raw[at + i - Math.min(distance, at)] ?? 0;
    }
    at += length;
  }
  return raw;
}
