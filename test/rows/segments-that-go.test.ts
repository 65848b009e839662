import { describe, expect, test } from "vitest";
import { MemoryRowTable } from "../../core/adapters/memory/memory-row-table.ts";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { systemClock } from "../../core/adapters/node/clock.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import { PayloadStore } from "../../core/payload-store.ts";
import type { ReclaimingSegments } from "../../core/ports/segment-store.ts";
import { RowOffsetIndex } from "../../core/rows/row-offset-index.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { rejectsWith, sameBytes } from "../conformance/expectations.ts";
import { prose } from "../conformance/sample-bytes.ts";
import { changed } from "../support/changed.ts";

const key = { tenant: "acme", group: "g", id: "a" };

type Happening = (segment: string) => Promise<void>;

/** Something happens before each read of a segment, as long as there is something left to happen. */
function opened() {
  const shared = { clock: systemClock, random: new SystemRandom(), digest: nodeDigest };
  const memory = new MemorySegmentStore(shared);
  const happenings: Happening[] = [];
  const segments = changed<ReclaimingSegments>(memory, {
    read: async (tenant, segment, offset, bytes) => {
      await happenings.shift()?.(segment);
      return memory.read(tenant, segment, offset, bytes);
    },
  });
  const rows = new MemoryRowTable(shared);
  const frames = new FrameReader(segments, nodeDigest);
  const secret = new Uint8Array(16);
  const storeOf = () => {
    const index = new RowOffsetIndex({ ...shared, rows, frames, secret, sleep: () => Promise.resolve() });
    return new PayloadStore({ ...shared, segments, index, codecs: nodeCodecs });
  };
  return { segments, happenings, store: storeOf(), other: storeOf() };
}

/** Writes the payload again, elsewhere, and removes what held it. */
const moved =
  ({ segments, store }: Pick<ReturnType<typeof opened>, "segments" | "store">, seed: number): Happening =>
  async (segment) => {
    await store.append(key, prose(100, seed));
    await segments.remove(key.tenant, segment);
  };

describe("a payload whose segment goes while it is read", () => {
  test("is found where it lies by then, also when that goes too", async () => {
    const { store, segments, happenings } = opened();
    await store.append(key, prose(100, 0));
    happenings.push(...[1, 2, 3].map((seed) => moved({ segments, store }, seed)));

    sameBytes(await store.get(key), prose(100, 3));
  });

  test("is taken for whoever puts it if it is absent, and is there for who deletes it", async () => {
    const expiresAt = Date.now() + 3_600_000;
    const { store, other, segments, happenings } = opened();
    await store.append(key, prose(100, 0), { expiresAt });
    const moves = [1, 2].map((seed) => async (segment: string) => {
      await other.append(key, prose(100, seed), { expiresAt });
      await segments.remove(key.tenant, segment);
    });

    happenings.push(moves[0]!);
    await rejectsWith("EXISTS", () => store.append(key, prose(100, 3), { ifAbsent: true }));
    happenings.push(moves[1]!);
    expect(await store.delete(key)).toBe(true);

    expect(happenings).toEqual([]);
    expect(await other.has(key)).toBe(false);
  });

  test("is not called corrupt, nor absent, when it never stays long enough to be read", async () => {
    const { store, segments, happenings } = opened();
    await store.append(key, prose(100, 0));
    for (let seed = 1; seed <= 100; seed++) happenings.push(moved({ segments, store }, seed));

    const error = await rejectsWith("UNAVAILABLE", () => store.get(key));

    expect(error.message).toContain('group "g", id "a" was compacted 8 times while it was read');
  });

  test("is corrupt when the index names what is gone", async () => {
    const { segments, store } = opened();
    const { segment } = await store.append(key, prose(100, 0));
    await segments.remove(key.tenant, segment);

    await rejectsWith("CORRUPT", () => store.get(key));
  });
});
