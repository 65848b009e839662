import { describe, expect, test } from "vitest";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { setUint64, view } from "../../core/bytes.ts";
import { ByteWriter } from "../../core/byte-stream.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import { isPayloadStoreError } from "../../core/errors.ts";
import { limits } from "../../core/limits.ts";
import { findInPage } from "../../core/page/find-in-page.ts";
import { decodePage } from "../../core/page/page.ts";
import { blockHeaderBytes, decodeBlock } from "../../core/segment/block.ts";
import { decodeFooter, footerKind } from "../../core/segment/footer.ts";
import { decodeFrameHeader, frameHeaderBytes } from "../../core/segment/frame.ts";
import { segmentHeaderBytes } from "../../core/segment/header.ts";
import { scanSegment } from "../../core/segment/scan.ts";
import { watchAllocations } from "../support/fuzz/allocation-watch.ts";
import { CountingSource } from "../support/fuzz/counting-source.ts";
import { describeDecoderFuzz } from "../support/fuzz/decoder-fuzz-suite.ts";
import { goldenPieces, type GoldenSegment } from "../support/fuzz/golden-pieces.ts";
import { resealBlock, resealFrameHeader, trailerOf } from "../support/fuzz/resealed.ts";

describeDecoderFuzz("quick", "test/fuzz/decoders.test.ts", 2000);

const pieces = await goldenPieces();
const sealed = pieces.segments.find(({ footer }) => footer !== undefined)!;
const offset = segmentHeaderBytes;

/** Each says by right checksums that there is much more than there is. */
const liars: readonly (readonly [string, () => unknown])[] = [
  ["a page with 2^53 − 1 blocks", () => decodePage(pageWith((page) => page.varint(Number.MAX_SAFE_INTEGER)))],
  ["a page with as many types as it may have", () => decodePage(pageWith((page) => page.varint(0), 10_000))],
  [
    "a page with as many entries as it may have",
    () =>
      findInPage(
        pageWith((page) => page.varint(0), 0, 0, limits.commitPayloadsMax),
        "id",
      ),
  ],
  [
    "a page with a name of 2^53 − 1 bytes",
    () =>
      findInPage(
        pageWith((page) => page.varint(0), 0, 0, 1, 2 ** 53 - 1),
        "id",
      ),
  ],
  ["a frame with the longest page and body", () => decodeFrameHeader(frameOf(0xffff_ffff), offset, sealed.binding)],
  [
    "a block of 4 GiB that decodes to 4 GiB",
    () => decodeBlock(blockOf(0xffff_ffff, 0xffff_ffff), 0, 0, sealed.binding),
  ],
  ["a block that decodes to more than a block holds", () => decodeBlock(blockOf(1, 4_194_305), 0, 0, sealed.binding)],
  ["a block that rests on 4 GiB", () => decodeBlock(restingBlock(128, 0xffff_ffff), 0, 2 ** 40, sealed.binding)],
  [
    "a block that rests on 2^53 − 1 bytes",
    () => decodeBlock(restingBlock(128, Number.MAX_SAFE_INTEGER), 0, 128, sealed.binding),
  ],
  ["a footer with a million groups", () => footerOf(limits.segmentFramesMax)],
  ["a footer with a million frames", () => footerOf(0, limits.segmentFramesMax)],
  ["a footer with a million voids", () => footerOf(0, 0, limits.segmentFramesMax)],
  ["a segment whose frame has the longest page and body", () => scan(frameSegment(sealed, 16_777_216))],
  ["a segment whose footer lists a million frames", () => scan(footerSegment(sealed))],
  [
    "an LZ4 frame with a content size of 2^63",
    () => decode(1, [4, 0x22, 0x4d, 0x18, 0x68, 0x70, 0, 0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 0, 0]),
  ],
  [
    "a Zstandard frame with a content size of 2^62",
    () => decode(2, [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 64, 9, 0, 0, 65]),
  ],
  ["a Zstandard frame with a window of 3.75 TiB", () => decode(2, [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 9, 0, 0, 65])],
  ["a Zstandard frame of 4 GiB in runs", () => decode(2, [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, ...runs(4096)])],
];

describe("a length that is not there", () => {
  test("would be seen if it got room, or were read", async () => {
    const { totalBytes, largestBytes } = await watchAllocations(() => [new Uint8Array(1000), new Float64Array(1000)]);

    expect([totalBytes, largestBytes]).toEqual([9000, 8000]);
    const source = new CountingSource("t", "s", new Uint8Array(10), 1);
    expect(() => source.read(5, 6)).toThrow("6 bytes at 5");
    expect(() => source.read(0, 1)).toThrow("read 2");
  });

  test.each(liars)("gets no room: %s", async (_what, run) => {
    const before = process.memoryUsage();
    const { totalBytes } = await watchAllocations(async () => {
      try {
        await run();
      } catch (error) {
        if (!isPayloadStoreError(error)) throw error;
      }
    });
    const after = process.memoryUsage();

    expect(totalBytes).toBeLessThan(256 * 1024);
    // What zlib takes for itself is counted here only.
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(1024 * 1024);
    expect(after.external - before.external).toBeLessThan(1024 * 1024);
  });
});

/** A page up to its blocks, then counts, and the length of the first name. */
function pageWith(blocks: (page: ByteWriter) => void, ...counts: readonly number[]): Uint8Array {
  const page = new ByteWriter();
  page.uint8(0);
  page.uint8(0);
  page.bytes(new Uint8Array(16));
  blocks(page);
  for (const count of counts) page.varint(count);
  page.bytes(new Uint8Array(100));
  return page.finish();
}

function frameOf(pageBytes: number, group = sealed.frames[0]!.group): Uint8Array {
  const frame = sealed.frames[0]!;
  const head = sealed.bytes.slice(frame.offset, frame.offset + frameHeaderBytes + Buffer.byteLength(group));
  const data = view(head);
  data.setUint32(12, pageBytes, true);
  setUint64(data, 16, Number.MAX_SAFE_INTEGER);
  resealFrameHeader(head, frame.offset, sealed.binding);
  return head;
}

function frameSegment({ bytes, frames: [first] }: GoldenSegment, pageBytes: number): Uint8Array {
  return Buffer.concat([bytes.subarray(0, first!.offset), frameOf(pageBytes), new Uint8Array(64)]);
}

function blockOf(storedBytes: number, rawBytes: number): Uint8Array {
  const block = new Uint8Array(blockHeaderBytes + 1);
  block[0] = 2;
  view(block).setUint32(4, storedBytes, true);
  view(block).setUint32(8, rawBytes, true);
  resealBlock(block, 0, sealed.binding);
  return block;
}

function restingBlock(start: number, bytes: number): Uint8Array {
  const writer = new ByteWriter();
  writer.bytes(Uint8Array.of(2, 1, 0, 0, 20, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0));
  writer.varint(start);
  writer.varint(bytes);
  writer.bytes(new Uint8Array(20));
  const block = writer.finish().slice(0, blockHeaderBytes + 20);
  resealBlock(block, 128, sealed.binding);
  return block;
}

function footerBytes(...counts: readonly number[]): Uint8Array {
  const footer = new ByteWriter();
  footer.bytes(sealed.marker);
  footer.uint8(footerKind);
  for (const count of counts) footer.varint(count);
  footer.bytes(new Uint8Array(1000));
  return footer.finish();
}

function footerOf(...counts: readonly number[]): unknown {
  const footer = footerBytes(...counts);
  return decodeFooter(footer, sealed.binding.crc(5000, footer), 5000, sealed.marker, sealed.binding);
}

function footerSegment({ bytes, binding }: GoldenSegment): Uint8Array {
  const footer = footerBytes(0, limits.segmentFramesMax);
  return Buffer.concat([bytes.subarray(0, 5000), footer, trailerOf(footer, 5000, binding)]);
}

function scan(bytes: Uint8Array): Promise<unknown> {
  return scanSegment(new CountingSource(sealed.tenant, sealed.segment, bytes, 1000), nodeDigest);
}

function decode(codec: 1 | 2, frame: readonly number[]): unknown {
  return nodeCodecs[codec].decode(Uint8Array.from(frame), 10);
}

/** Zstandard blocks of 128 KiB, each one byte repeated. */
function runs(count: number): number[] {
  return Array.from({ length: count }, (_, i) => [i === count - 1 ? 3 : 2, 0, 16, 65]).flat();
}
