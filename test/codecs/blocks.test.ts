import { describe, expect, test } from "vitest";
import { BlockEncoder } from "../../core/blocks.ts";
import { compactionCodec } from "../../core/adapters/node/zstd-codec.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import { limits } from "../../core/limits.ts";
import type { EncodedBlock } from "../../core/segment/block.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { noise, prose } from "../conformance/sample-bytes.ts";

const base = { range: { start: 0, end: 100 }, raw: prose(20_000, 99) };

async function decoded(blocks: readonly EncodedBlock[]): Promise<Uint8Array> {
  const parts = blocks.map(async ({ codec, body, rawBytes, resting }) => {
    if (resting) return nodeCodecs[2].onBase!.decode(resting.frame, rawBytes, base.raw);
    return (await nodeCodecs[codec].decode(body, rawBytes)).slice();
  });
  return Buffer.concat(await Promise.all(parts));
}

/** They gather their blocks in one place, and some are encoded at once, others in the thread pool. */
describe("callers that share an encoder of blocks", () => {
  test.each(["without a base", "on a base"])("get their own bytes, %s", async (how) => {
    const encoder = new BlockEncoder({ ...nodeCodecs, 2: compactionCodec(3) }, () => "zstd", limits.mergedBlockBytes);
    const inputs = Array.from({ length: 40 }, (_, i) => {
      const length = [30, 900, 20_000, 70_000][i % 4]!;
      // What does not compress is stored as it was gathered.
      return [0, 1, 2].map((j) => ({ bytes: i % 5 === 0 ? noise(length, 3 * i + j) : prose(length, 3 * i + j) }));
    });

    const encoded = await Promise.all(
      inputs.map(async (parts) => encoder.encode(parts, how === "on a base" ? base : undefined)),
    );

    const resting = encoded.flat().filter((block) => block.resting);
    expect(resting.length > 0).toBe(how === "on a base");
    for (const [i, blocks] of encoded.entries())
      sameBytes(await decoded(blocks), Buffer.concat(inputs[i]!.map(({ bytes }) => bytes)), `${i}`);
  });
});
