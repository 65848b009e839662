import { describe, expect, test } from "vitest";
import { compactionCodec, ZstdCodec } from "../../core/adapters/node/zstd-codec.ts";
import { limits } from "../../core/limits.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { prose } from "../conformance/sample-bytes.ts";

/** Level 19 takes some 60 ms for a block: in place, everybody would wait that long for each. */
describe("the codec of compaction", () => {
  test.each([3, 19])("at level %i leaves the event loop to others while it compresses", async (level) => {
    const codec = compactionCodec(level);
    const raw = prose(limits.mergedBlockBytes, level);
    const ended: string[] = [];

    const encoding = Promise.resolve(codec.encode(raw)).then((stored) => {
      ended.push("block");
      return stored;
    });
    // What was done in place has ended before all of these run, and what is done elsewhere cannot have.
    const others = (async () => {
      for (let turn = 0; turn < 100; turn++) await Promise.resolve();
      ended.push("others");
    })();
    const [stored] = await Promise.all([encoding, others]);

    expect(ended).toEqual(["others", "block"]);
    sameBytes(codec.decode(stored.slice(), raw.length), raw);
  });

  test("takes turns in the pool for what is long, and compresses what is short in place", async () => {
    const raw = prose(limits.mergedBlockBytes, 1);
    const base = prose(20_000, 2);
    let turns = 0;
    const pool = async <T>(work: () => Promise<T>) => {
      turns += 1;
      return work();
    };
    const quick = compactionCodec(3, pool);
    const strong = compactionCodec(19, pool);
    const inPlace = [
      quick.encode(raw.subarray(0, 65_536)),
      quick.onBase.encode(raw.subarray(0, 65_536), base),
      strong.onBase.encode(raw.subarray(0, 8191), base),
    ];
    expect(inPlace.map((encoded) => encoded instanceof Promise)).toEqual([false, false, false]);
    expect(turns).toBe(0);

    const inPool = [
      quick.encode(raw.subarray(0, 65_537)),
      quick.onBase.encode(raw.subarray(0, 65_537), base),
      strong.encode(raw.subarray(0, 100)),
      strong.onBase.encode(raw.subarray(0, 8192), base),
    ];

    expect(turns).toBe(4);
    for (const encoding of inPool) await encoding;
  });

  test("compresses harder at level 19 than at level 3, to frames that every reader knows", async () => {
    const raw = prose(limits.mergedBlockBytes, 1);
    const [quick, strong] = await Promise.all([3, 19].map(async (level) => compactionCodec(level).encode(raw)));

    expect(strong!.length).toBeLessThan(quick!.length);
    sameBytes(new ZstdCodec().decode(strong!.slice(), raw.length), raw);
  });
});
