import { describe, expect, it } from "vitest";
import { framesOf, oneBit, records, segmentFile, wrongAnswers, writeTen } from "../support/bit-flips.ts";
import { bitFlipSuite } from "../support/bit-flip-suite.ts";
import { storeFolder } from "../support/crash-workload.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { seededRandom } from "../support/seeded-random.ts";

describe("damage in one frame", () => {
  it("refuses answers about its own group only, with the index and without", async () => {
    const fs = new PowerLossFileSystem({ random: seededRandom(1) });
    const { store, truth } = await writeTen(fs);
    await store.close();
    const file = segmentFile(fs);
    const bytes = fs.readFile(file);
    const frames = await framesOf(fs);
    expect(frames).toHaveLength(records);
    for (const saved of [true, false]) {
      if (!saved) fs.unlink(`${storeFolder}/index/checkpoint`);
      for (const { group, offset, headBytes } of frames) {
        for (let at = offset; at < offset + headBytes; at += 5) {
          const damaged = fs.clone();
          const flipped = bytes.slice();
          flipped[at]! ^= 16;
          damaged.writeFile(file, flipped);
          const others = new Map([...truth].filter(([name]) => !name.startsWith(group)));
          expect(await wrongAnswers(damaged, others, [])).toEqual({ wrong: [], corrupt: 0 });
        }
      }
    }
  });
});

// One bit of each fifth byte here; bit-flips.ci.test.ts flips every bit.
bitFlipSuite(() => (at) => (at % 5 === 0 ? oneBit(at) : []));
