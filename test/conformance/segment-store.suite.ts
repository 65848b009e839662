import assert from "node:assert/strict";
import type { Digest } from "../../core/ports/digest.ts";
import type { FramePlace, SegmentStore } from "../../core/ports/segment-store.ts";
import type { FrameDraft } from "../../core/segment/frame.ts";
import type { EncodedBlock } from "../../core/segment/block.ts";
import { isSegmentName } from "../../core/segment/name.ts";
import { FrameReader } from "../../core/segment/read-frame.ts";
import { rejectsWith, sameBytes } from "./expectations.ts";
import { noise } from "./sample-bytes.ts";
import { testFunctions, type TestFunctions } from "./test-functions.ts";

/** A segment store that a test has for itself. */
export interface SegmentStoreUnderTest {
  /** Empty. */
  readonly segments: SegmentStore;
  /** Closes it, if it is still open, and removes what it left. */
  readonly end: () => Promise<void>;
}

export interface SegmentStoreSuite {
  readonly name: string;
  readonly open: () => Promise<SegmentStoreUnderTest>;
  /** Checksums of the format: `nodeDigest`, or any other that computes the same. */
  readonly digest: Digest;
  /** Vitest unless given. */
  readonly test?: TestFunctions | undefined;
}

const tenant = "acme";

/** What every place for segments promises. `await` it: it may have to load the runner first. */
export async function segmentStoreSuite({ name, open, digest, test: runner }: SegmentStoreSuite): Promise<void> {
  const { describe, test } = await testFunctions(runner);
  const given = (sentence: string, body: (segments: SegmentStore) => Promise<void>) =>
    test(sentence, async () => {
      const opened = await open();
      try {
        await body(opened.segments);
      } finally {
        await opened.end();
      }
    });

  const expectStored = async (segments: SegmentStore, owner: string, draft: FrameDraft, place: FramePlace) => {
    const reader = new FrameReader(segments, digest);
    const { header, page } = await reader.head(owner, place);
    const { kind, group, sequence, timeMs } = header;
    assert.deepEqual({ kind, group, sequence, timeMs }, headOf(draft));
    sameBytes(page, draft.page, "page");
    const blocks = await reader.blocks(owner, place.segment, place.offset + place.headBytes, header.bodyBytes);
    assert.equal(blocks.length, draft.blocks.length);
    for (const [i, block] of draft.blocks.entries()) {
      assert.equal(blocks[i]?.codec, block.codec);
      assert.equal(blocks[i]?.rawBytes, block.rawBytes);
      sameBytes(blocks[i]?.body, block.body, `block ${i}`);
    }
  };

  describe(`${name} as a segment store`, () => {
    given("is empty at first, and well", async (segments) => {
      assert.deepEqual(await segments.segments(), []);
      assert.equal(segments.failure, undefined);
    });

    given("gives back a frame with its page and its blocks from the place it answered", async (segments) => {
      const drafts = [
        frame("g", 1, [noise(100, 1)]),
        frame("g", 2, []),
        frame("é/\0", 1, [noise(1, 2), noise(300_000, 3), noise(70_000, 4)]),
        frame("x".repeat(512), 0x7fff_ffff, [noise(10, 5)]),
      ];

      for (const draft of drafts) await expectStored(segments, tenant, draft, await segments.append(tenant, draft));
    });

    given("keeps frames that are appended at once, each whole and in its own place", async (segments) => {
      const drafts = Array.from({ length: 200 }, (_, i) => frame(`g${i % 7}`, i + 1, [noise(i * 13, i)]));

      const places = await Promise.all(drafts.map((draft) => segments.append(tenant, draft)));

      for (const [i, draft] of drafts.entries())
        await expectStored(segments, tenant, draft, places[i] ?? assert.fail());
      assert.equal(new Set(places.map(({ segment, offset }) => `${segment} ${offset}`)).size, 200);
    });

    given("keeps the frames of a tenant in the order of the calls", async (segments) => {
      const places = await Promise.all(
        Array.from({ length: 50 }, (_, i) => segments.append(tenant, frame("g", i + 1, [noise(50, i)]))),
      );

      const found = await everyFrame(segments, tenant);

      assert.deepEqual(
        found.map(({ sequence }) => sequence),
        places.map((_, i) => i + 1),
      );
      assert.deepEqual(
        found.map(({ segment, offset, headBytes }) => ({ segment, offset, headBytes })),
        places.map(({ segment, offset, headBytes }) => ({ segment, offset, headBytes })),
      );
    });

    given(
      "refuses a frame that rests in a segment which does not grow, and stores those beside it",
      async (segments) => {
        const before = await segments.append(tenant, frame("g", 1, [noise(100, 1)]));
        const stray = { ...frame("g", 2, [noise(100, 2)]), restsIn: "0".repeat(26) };
        const beside = frame("h", 1, [noise(100, 3)]);

        const [refused, stored] = await Promise.allSettled([
          segments.append(tenant, stray),
          segments.append(tenant, beside),
        ]);

        assert.equal(refused.status, "rejected");
        await rejectsWith("CONFLICT", () => Promise.reject(refused.reason as Error));
        assert.ok(stored.status === "fulfilled");
        await expectStored(segments, tenant, beside, stored.value);
        await expectStored(segments, tenant, frame("g", 1, [noise(100, 1)]), before);
        assert.equal((await everyFrame(segments, tenant)).length, 2);
        assert.equal(segments.failure, undefined);
      },
    );

    given("tells of every frame by scanning, from the segments alone", async (segments) => {
      const drafts = [frame("a", 1, [noise(500, 1)]), frame("b", 1, []), frame("a", 2, [noise(0, 1), noise(9, 2)])];
      for (const draft of drafts) await segments.append(tenant, draft);

      const found = await everyFrame(segments, tenant);

      for (const [i, draft] of drafts.entries()) {
        const { kind, group, sequence, timeMs, page, bodyBytes } = found[i] ?? assert.fail();
        assert.deepEqual({ kind, group, sequence, timeMs }, headOf(draft));
        sameBytes(page, draft.page);
        assert.equal(
          bodyBytes,
          draft.blocks.reduce((sum, { body }) => sum + 16 + body.length, 0),
        );
      }
    });

    given("scans on from the end of what was seen before", async (segments) => {
      for (let i = 1; i <= 5; i++) await segments.append(tenant, frame("g", i, [noise(100, i)]));
      const all = await segments.segments();
      const last = all.at(-1) ?? assert.fail();
      const scan = await segments.scan(tenant, last.segment);
      const third = scan.frames[Math.min(2, scan.frames.length - 1)] ?? assert.fail();
      const end = third.offset + third.headBytes + third.bodyBytes;

      const rest = await segments.scan(tenant, last.segment, { offset: end, frames: scan.frames.indexOf(third) + 1 });

      assert.deepEqual(
        rest.frames.map(({ sequence }) => sequence),
        scan.frames.slice(scan.frames.indexOf(third) + 1).map(({ sequence }) => sequence),
      );
      assert.deepEqual(rest.damage, []);
    });

    given("keeps tenants apart, and lists them with their segments, oldest first", async (segments) => {
      for (let i = 1; i <= 3; i++) {
        for (const owner of ["b", "a", "c"]) await segments.append(owner, frame("g", i, [noise(10, i)]));
      }

      const summaries = await segments.segments();

      const paths = summaries.map(({ tenant: owner, segment }) => `${owner}/${segment}`);
      assert.deepEqual(paths, paths.toSorted());
      assert.deepEqual(new Set(summaries.map((summary) => summary.tenant)), new Set(["a", "b", "c"]));
      assert.equal(new Set(summaries.map(({ segment }) => segment)).size, summaries.length);
      for (const { segment } of summaries) assert.ok(isSegmentName(segment), segment);
      for (const owner of ["a", "b", "c"]) {
        assert.deepEqual(
          (await everyFrame(segments, owner)).map(({ sequence }) => sequence),
          [1, 2, 3],
        );
      }
    });

    given("answers GONE for a segment that is not there, or is another tenant's", async (segments) => {
      const place = await segments.append(tenant, frame("g", 1, [noise(10, 1)]));

      for (const [owner, segment] of [
        [tenant, "0".repeat(26)],
        ["other", place.segment],
      ] as const) {
        await rejectsWith("GONE", async () => segments.read(owner, segment, 0, 10));
        await rejectsWith("GONE", async () => segments.read(owner, segment, 0, 0));
        await rejectsWith("GONE", () => segments.scan(owner, segment));
      }
    });

    given("answers CORRUPT for bytes beyond the end, before it makes room for them", async (segments) => {
      const { segment } = await segments.append(tenant, frame("g", 1, [noise(1000, 1)]));
      const { bytes } = (await segments.segments())[0] ?? assert.fail();

      assert.equal((await segments.read(tenant, segment, 0, bytes)).length, bytes);
      for (const [offset, length] of [
        [0, bytes + 1],
        [bytes, 1],
        [bytes + 1000, 10],
        [0, 2 ** 40],
        [2 ** 40, 10],
      ] as const) {
        await rejectsWith("CORRUPT", async () => segments.read(tenant, segment, offset, length));
      }
    });

    given("keeps what it was given, when the caller's memory changes later", async (segments) => {
      const body = noise(1000, 1);
      const draft = frame("g", 1, [body]);
      const place = await segments.append(tenant, draft);
      body.fill(0);

      const { header } = await new FrameReader(segments, digest).head(tenant, place);
      const reader = new FrameReader(segments, digest);
      const [block] = await reader.blocks(tenant, place.segment, place.offset + place.headBytes, header.bodyBytes);

      sameBytes(block?.body, noise(1000, 1));
    });

    given("ends what was begun when it is closed, and takes nothing after", async (segments) => {
      const drafts = Array.from({ length: 20 }, (_, i) => frame("g", i + 1, [noise(100, i)]));
      const begun = Promise.allSettled(drafts.map((draft) => segments.append(tenant, draft)));
      await segments.flush();
      await segments.close();

      for (const outcome of await begun) assert.equal(outcome.status, "fulfilled");
      await rejectsWith("CLOSED", () => segments.append(tenant, frame("g", 99, [])));
    });
  });
}

function frame(group: string, sequence: number, bodies: readonly Uint8Array[]): FrameDraft {
  const blocks = bodies.map((body): EncodedBlock => ({ codec: 0, rawBytes: body.length, body }));
  const page = noise(20 + (sequence % 50), sequence);
  return {
    kind: blocks.length > 0 ? "payloads" : "tombstone",
    group,
    sequence,
    timeMs: 1_700_000_000_000,
    page,
    blocks,
  };
}

function headOf({ kind, group, sequence, timeMs }: FrameDraft): object {
  return { kind, group, sequence, timeMs };
}

async function everyFrame(segments: SegmentStore, owner: string) {
  const found = [];
  for (const summary of await segments.segments()) {
    if (summary.tenant !== owner) continue;
    const scan = await segments.scan(owner, summary.segment);
    assert.deepEqual(scan.damage, []);
    assert.equal(scan.size, summary.bytes);
    for (const scanned of scan.frames) found.push({ ...scanned, segment: summary.segment });
  }
  return found;
}
