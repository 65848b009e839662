import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HeadRoom, RecentHeads } from "../../core/adapters/disk/recent-heads.ts";
import { MemorySegmentStore } from "../../core/adapters/memory/memory-segment-store.ts";
import { systemClock } from "../../core/adapters/node/clock.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SystemRandom } from "../../core/adapters/node/random.ts";
import { encodePage } from "../../core/page/page.ts";
import type { FramePlace } from "../../core/ports/segment-store.ts";
import { FrameReader, type FrameHead } from "../../core/segment/read-frame.ts";
import { sameBytes } from "../conformance/expectations.ts";
import { holds } from "../support/property.ts";

const tenant = "t";
const bytesMax = 60_000;

interface Stored {
  readonly place: FramePlace;
  readonly page: Uint8Array;
}

/** Frames whose pages have so many ids each. */
async function stored(counts: readonly number[]): Promise<{ segments: MemorySegmentStore; frames: readonly Stored[] }> {
  const segments = new MemorySegmentStore({ clock: systemClock, random: new SystemRandom(), digest: nodeDigest });
  const frames: Stored[] = [];
  for (const [i, count] of counts.entries()) {
    const entries = Array.from({ length: count }, (_, j) => ({ id: `id-${i}-${j}`, bytes: 0, etag: "0".repeat(24) }));
    const commitId = new Uint8Array(16).fill(i);
    const page = encodePage({ commitId, clearsGroup: false, deleted: [], blocks: [], entries }).slice();
    const draft = { kind: "payloads", group: `g${i}`, sequence: 1, timeMs: 1, page, blocks: [] } as const;
    frames.push({ place: await segments.append(tenant, draft), page });
  }
  return { segments, frames };
}

/** Suspected: a head is answered from memory that another has taken, or the memory grows past its bound. */
describe("heads that were read last", () => {
  test("are what was stored, looked at or kept by who asked, and within their bound", async () => {
    const { segments, frames } = await stored(Array.from({ length: 30 }, (_, i) => [3, 40, 41, 260, 2000][i % 5]! + i));
    const asks = fc.array(fc.tuple(fc.nat(29), fc.boolean(), fc.nat(60)), { minLength: 200, maxLength: 300 });
    await holds(
      import.meta.filename,
      fc.asyncProperty(asks, fc.boolean(), async (wishes, keepsNone) => {
        const heads = keepsNone ? new HeadRoom() : new RecentHeads(bytesMax);
        const reader = new FrameReader(inRooms(segments), nodeDigest, heads);
        const held: { readonly head: FrameHead; readonly i: number }[] = [];
        for (const [i, holdsIt, clears] of wishes) {
          const { place, page } = frames[i]!;
          if (clears === 0) heads.clear();
          if (holdsIt) held.push({ head: await reader.head(tenant, place), i });
          else {
            await reader.look(tenant, place, (head) => {
              sameBytes(head.page, page, `page ${i}`);
              expect(head.header.group).toBe(`g${i}`);
            });
          }
          if (heads instanceof RecentHeads) expect(heads.bytes).toBeLessThanOrEqual(bytesMax);
        }
        for (const { head, i } of held) sameBytes(head.page, frames[i]!.page, `page ${i}, held`);
      }),
      { runs: 40 },
    );
  });

  test("take one another's memory: ten times as many reads need no more of it", async () => {
    const { segments, frames } = await stored(Array.from({ length: 40 }, (_, i) => 100 + (i % 4)));
    const memories = new Set<ArrayBufferLike>();
    const reader = new FrameReader(
      inRooms(segments, () => true),
      nodeDigest,
      new RecentHeads(2 * bytesMax),
    );

    for (let i = 0; i < 400; i++)
      await reader.look(tenant, frames[i % 40]!.place, ({ page }) => void memories.add(page.buffer));

    expect(memories.size).toBeLessThanOrEqual(40);
  });

  test("that are asked for again and again get a directory, and stay within their bound", async () => {
    const { segments, frames } = await stored([300, 5, 300, 300, 300, 300, 300]);
    const heads = new RecentHeads(bytesMax);
    const reader = new FrameReader(inRooms(segments), nodeDigest, heads);
    const ask = async (i: number) => reader.look(tenant, frames[i]!.place, ({ directory }) => directory !== undefined);

    const first = [await ask(0), await ask(1)];
    for (let i = 0; i < 10; i++) for (const which of [0, 1, 2]) await ask(which);

    expect(first).toEqual([false, false]);
    expect([await ask(0), await ask(1)]).toEqual([true, false]);
    for (const which of [2, 3, 4, 5, 6]) for (let i = 0; i < 12; i++) await ask(which);
    expect(heads.bytes).toBeLessThanOrEqual(bytesMax);
    expect(await ask(0)).toBe(false);
  });
});

/** Segments that read to the memory they are given, as files do, or answer from memory of their own, by how much they read. */
function inRooms(
  segments: MemorySegmentStore,
  isGiven: (bytes: number) => boolean = (bytes) => bytes % 2 > 0,
): Pick<MemorySegmentStore, "read"> {
  const own = new Map<string, Uint8Array>();
  const read = (of: string, segment: string, offset: number, bytes: number, into?: Uint8Array): Uint8Array => {
    const known = own.get(segment) ?? segments.read(of, segment, offset, bytes).slice();
    if (!into || !isGiven(bytes)) {
      own.set(segment, known);
      return known;
    }
    into.set(known);
    return into;
  };
  return { read };
}
