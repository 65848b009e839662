import * as fc from "fast-check";
import { describe, test } from "vitest";
import { arrayIndex } from "../support/array-index.ts";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { concat } from "../../core/bytes.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { encodeCheckpoint, restoreCheckpoint } from "../../core/index/checkpoint.ts";
import { KeyHasher, type Hash128 } from "../../core/index/key-hasher.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { IndexWork, type PageSketch } from "../conformance/index-work.ts";
import { simulatedMachine } from "../support/machine.ts";
import { PowerLossFileSystem } from "../support/power-loss-file-system.ts";
import { holds } from "../support/property.ts";
import { seededRandom } from "../support/seeded-random.ts";

const secret = new Uint8Array(16).fill(3);
const crc32 = (bytes: Uint8Array, seed?: number) => nodeDigest.crc32(bytes, seed);

/** Two bits of an id's hash are left, so that every group has ids that share theirs. */
class CollidingKeyHasher extends KeyHasher {
  override id(group: Hash128, id: string, result: Hash128): void {
    super.id(group, id, result);
    result[0]! &= 3;
    result[1] = group[0]!;
    result[2] = 0;
    result[3] = 0;
  }
}

const ids = ["a", "b", "c", "d", "e", "f", "g"];
const groups = ["g", "h"];
const tenants = ["t", "u"];
const sketch: fc.Arbitrary<PageSketch> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ puts: fc.dictionary(fc.constantFrom(...ids), fc.nat(300), { minKeys: 1 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ deletes: fc.uniqueArray(fc.constantFrom(...ids), { minLength: 1, maxLength: 2 }) }),
  },
  { weight: 1, arbitrary: fc.record({ clears: fc.constant(true) }) },
  { weight: 2, arbitrary: fc.record({ mergesBut: fc.nat(3) }) },
);
const commits = fc.array(fc.tuple(fc.constantFrom(...tenants), fc.constantFrom(...groups), sketch), { maxLength: 25 });

/**
 * Suspected: an id whose 64 bits are another id's as well is forgotten, is counted twice, comes back after its deletion, or
 * hides the other one.
 */
describe("the index in typed arrays", () => {
  for (const [name, hasher] of [
    ["every id has a hash of its own", new KeyHasher(secret)],
    ["ids share their hashes", new CollidingKeyHasher(secret)],
  ] as const) {
    test(`answers as a list of pages does, where ${name}`, async () => {
      await holds(
        import.meta.filename,
        fc.asyncProperty(commits, async (work) => {
          const segments = newSegments();
          await perform(new IndexWork(arrayIndex(segments, hasher), segments, nodeDigest), work);
        }),
        { runs: 100 },
      );
    });

    test(`answers as before when it is restored from a checkpoint, where ${name}`, async () => {
      await holds(
        import.meta.filename,
        fc.asyncProperty(commits, commits, async (before, after) => {
          const segments = newSegments();
          const index = arrayIndex(segments, hasher);
          const work = new IndexWork(index, segments, nodeDigest);
          await perform(work, before, false);

          const restored = arrayIndex(segments, hasher);
          const bytes = finished(encodeCheckpoint(index, secret, crc32));
          const loaded = restoreCheckpoint(restored, bytes, secret, crc32);
          if (!loaded.ok) throw new Error(loaded.damage);

          const again = new IndexWork(restored, segments, nodeDigest, work.model);
          await again.expectSame(tenants, groups, ids);
          await perform(again, after, false);
        }),
        { runs: 60 },
      );
    });

    test(`is saved as it was when that began, where ${name}`, async () => {
      await holds(
        import.meta.filename,
        fc.asyncProperty(commits, commits, async (before, meanwhile) => {
          const segments = newSegments();
          const index = arrayIndex(segments, hasher);
          const work = new IndexWork(index, segments, nodeDigest);
          await perform(work, before, false);
          const atOnce = finished(encodeCheckpoint(index, secret, crc32));

          const encoding = encodeCheckpoint(index, secret, crc32);
          encoding.next();
          await perform(work, meanwhile, false);
          for (const { tenant, name: segment } of index.segments.all()) index.supersede(tenant, segment, 1);

          sameBytes(finished(encoding), atOnce);
        }),
        { runs: 60 },
      );
    });
  }
});

/** A checkpoint, of which all steps that are left are taken. */
function finished(encoding: ReturnType<typeof encodeCheckpoint>): Uint8Array {
  for (;;) {
    const { done, value } = encoding.next();
    if (done === true) return concat(value ?? []);
  }
}

async function perform(
  work: IndexWork,
  commitsToMake: readonly (readonly [string, string, PageSketch])[],
  afterEach = true,
): Promise<void> {
  for (const [tenant, group, page] of commitsToMake) {
    await work.commit(tenant, group, page);
    if (afterEach) await work.expectSame(tenants, groups, ids);
  }
  await work.expectSame(tenants, groups, ids);
}

function newSegments(): MemorySegmentStore {
  const { clock, random } = simulatedMachine(new PowerLossFileSystem({ random: seededRandom(1) }), 1);
  return new MemorySegmentStore({ clock, random, digest: nodeDigest });
}
