import assert from "node:assert/strict";
import type { SeededRandom } from "../../../bench/agent-trace-random.ts";
import { Layout } from "../../../core/adapters/disk/layout.ts";
import { readStoreFile } from "../../../core/adapters/disk/store-file.ts";
import { MemorySegmentStore } from "../../../core/adapters/memory/memory-segment-store.ts";
import { nodeDigest } from "../../../core/adapters/node/digest.ts";
import { concat, utf8, utf8Text, view } from "../../../core/bytes.ts";
import { openDisk } from "../../../core/entries/disk.ts";
import { nodeCodecs } from "../../../core/entries/node-codecs.ts";
import { isPayloadStoreError } from "../../../core/errors.ts";
import { ArrayOffsetIndex } from "../../../core/index/array-offset-index.ts";
import { restoreCheckpoint } from "../../../core/index/checkpoint.ts";
import { KeyHasher } from "../../../core/index/key-hasher.ts";
import { limits } from "../../../core/limits.ts";
import { findInPage } from "../../../core/page/find-in-page.ts";
import { PageDirectory } from "../../../core/page/page-directory.ts";
import { decodePage, decodePlacedPage } from "../../../core/page/page.ts";
import type { CodecCode } from "../../../core/ports/codec.ts";
import type { Digest } from "../../../core/ports/digest.ts";
import { decodeBase, isRawContent } from "../../../core/segment/base.ts";
import { blockHeaderBytes, decodeBlock, type EncodedBlock } from "../../../core/segment/block.ts";
import type { Decoded } from "../../../core/segment/decoded.ts";
import { decodeFooter } from "../../../core/segment/footer.ts";
import { decodeFrameHeader, decodeFramePage, decodeMark } from "../../../core/segment/frame.ts";
import { decodeSegmentHeader, segmentHeaderBytes } from "../../../core/segment/header.ts";
import { FrameReader } from "../../../core/segment/read-frame.ts";
import { scanSegment } from "../../../core/segment/scan.ts";
import { collect } from "../../conformance/expectations.ts";
import { goldenDirectory } from "../golden-store.ts";
import { simulatedMachine } from "../machine.ts";
import { PowerLossFileSystem } from "../power-loss-file-system.ts";
import { seededRandom } from "../seeded-random.ts";
import { CountingSource } from "./counting-source.ts";
import { manifestTarget, overlayTarget, runTarget } from "./index-targets.ts";
import type { GoldenPieces } from "./golden-pieces.ts";
import { mutated, randomBytes } from "./mutations.ts";
import { changedRow } from "./row-target.ts";
import {
  resealBlock,
  resealCheckpoint,
  resealFrameHeader,
  resealHeader,
  resealMark,
  resealStoreFile,
  resealedSegment,
} from "./resealed.ts";

/** What a case came to: the bytes were taken, or their damage was said. */
export type FuzzAnswer = "decoded" | "refused";

/** A case that is drawn and waits to be decoded. */
export interface FuzzCase {
  /** All that the decoder has to make room for, in bytes: what it is given, and what it is told to decode to. */
  readonly bytes: number;
  /** @throws whatever is not an answer of a decoder: an error of another class, or a wrong answer */
  readonly decode: () => FuzzAnswer | Promise<FuzzAnswer>;
}

export type FuzzTarget = (pieces: GoldenPieces, random: SeededRandom) => FuzzCase;

/** Everything in Paylode that reads bytes which somebody else may have changed. */
export const decoderTargets: Readonly<Record<string, FuzzTarget>> = {
  "segment header": (pieces, random) => {
    const { bytes: whole, tenant, segment, binding } = random.pick(pieces.segments);
    const bytes = mutated(whole.subarray(0, segmentHeaderBytes), piecesOf(pieces), random);
    if (random.chance(0.6)) resealHeader(bytes, binding);
    return synchronous(bytes, () => {
      const header = decodeSegmentHeader(bytes, tenant, binding);
      if (header.ok) assert.deepEqual([header.value.tenant, header.value.segment], [tenant, segment]);
      return header;
    });
  },

  "frame head": (pieces, random) => {
    const { bytes: whole, frames, binding } = random.pick(pieces.segments);
    const { offset, headBytes } = random.pick(frames);
    const bytes = mutated(whole.subarray(offset, offset + headBytes), piecesOf(pieces), random);
    if (random.chance(0.7)) resealFrameHeader(bytes, offset, binding);
    return synchronous(bytes, () => {
      const header = decodeFrameHeader(bytes, offset, binding);
      if (!header.ok) return header;
      const { pageBytes, sequence, group, bodyBytes } = header.value;
      assert.ok(pageBytes <= limits.pageBytesMax && Number.isSafeInteger(bodyBytes));
      assert.ok(sequence >= 1 && sequence <= limits.sequenceMax);
      assert.ok(utf8(group).length <= limits.nameBytesMax);
      const page = decodeFramePage(bytes, header.value, offset, binding);
      return page.ok ? decodePlacedPage(page.value) : page;
    });
  },

  mark: (pieces, random) => {
    const { marks, binding } = random.pick(pieces.segments);
    const { offset, bytes: whole } = random.pick(marks);
    const bytes = mutated(whole, piecesOf(pieces), random);
    if (random.chance(0.6)) resealMark(bytes, offset, binding);
    return synchronous(bytes, () => {
      const mark = decodeMark(bytes, offset, binding);
      if (mark) assert.ok(mark.durableBytes <= offset);
      return { ok: mark !== undefined };
    });
  },

  page: (pieces, random) => {
    const { page } = random.pick(random.pick(pieces.segments).frames);
    const bytes = random.chance(0.05)
      ? randomBytes(random.between(0, 300), random)
      : mutated(page, piecesOf(pieces), random);
    const id = random.pick(["none", "lz4", "0", "", "f".repeat(32), "é".repeat(200)]);
    return synchronous(bytes, () => {
      const found = findInPage(bytes, id);
      const directory = PageDirectory.of(bytes);
      if (directory) assert.deepEqual(directory.find(bytes, id), found);
      const decodedPage = decodePage(bytes);
      const placed = decodePlacedPage(bytes);
      if (placed.ok) expectFound(bytes, placed.value.places);
      return placed.ok ? found : decodedPage;
    });
  },

  footer: (pieces, random) => {
    const sealed = random.pick(pieces.segments.filter(({ footer }) => footer !== undefined));
    const { footer, marker, binding } = sealed;
    if (!footer) throw new Error("a sealed segment has a footer");
    const bytes = mutated(footer.bytes, piecesOf(pieces), random);
    if (random.chance(0.8)) bytes.set(marker.subarray(0, bytes.length));
    const crc = binding.crc(footer.offset, bytes);
    return synchronous(bytes, () => {
      const decodedFooter = decodeFooter(bytes, crc, footer.offset, marker, binding);
      if (decodedFooter.ok) {
        for (const { offset, headBytes, bodyBytes } of decodedFooter.value.frames)
          assert.ok(offset + headBytes + bodyBytes <= footer.offset);
      }
      return decodedFooter;
    });
  },

  block: (pieces, random) => {
    const { blocks, binding, bytes: segment } = random.pick(pieces.segments);
    const { offset, bytes: whole } = random.pick(blocks);
    const bytes = mutated(whole, piecesOf(pieces), random);
    if (random.chance(0.7)) resealBlock(bytes, offset, binding);
    // A block may decode to as much as a block may hold, whatever it is long, and rest on as much as a base may be.
    return asynchronous(bytes.length + limits.blockRawBytesMax + 2 * limits.baseRawBytesMax, async () => {
      const block = decodeBlock(bytes, 0, offset, binding);
      if (!block.ok) return "refused";
      const { codec, body, rawBytes, resting } = block.value;
      assert.ok(body.length <= bytes.length - blockHeaderBytes && rawBytes <= limits.blockRawBytesMax);
      if (!resting) return decodeWith(codec, body, rawBytes);
      const { start, end } = resting.base;
      assert.ok(end <= offset && end - start <= limits.baseStoredBytesMax);
      return decodeOnBase(resting.frame, rawBytes, decodeBase(segment.subarray(start, end), start, binding));
    });
  },

  base: (pieces, random) => {
    const { frames, binding, bytes: segment, blocks, marks } = random.pick(pieces.segments);
    const { offset } = random.pick(frames);
    const behind = blocks.filter((block) => block.offset > offset);
    const end = behind.length > 0 && random.chance(0.7) ? random.pick(behind) : undefined;
    const bytes = mutated(
      segment.subarray(offset, end ? end.offset + end.bytes.length : undefined),
      piecesOf(pieces),
      random,
    );
    for (const frame of frames) {
      const at = frame.offset - offset;
      if (at >= 0 && random.chance(0.8))
        resealFrameHeader(bytes.subarray(at, at + frame.headBytes), frame.offset, binding);
    }
    for (const piece of [...blocks, ...marks]) {
      const at = piece.offset - offset;
      if (at < 0 || at >= bytes.length || random.chance(0.2)) continue;
      const part = bytes.subarray(at, at + piece.bytes.length);
      if (blocks.includes(piece)) resealBlock(part, piece.offset, binding);
      else resealMark(part, piece.offset, binding);
    }
    return asynchronous(bytes.length + 4 * limits.baseRawBytesMax, async () => {
      const base = decodeBase(bytes, offset, binding);
      if (!base.ok) return "refused";
      const rawBytes = base.value.reduce((sum, block) => sum + block.rawBytes, 0);
      assert.ok(rawBytes <= limits.baseRawBytesMax && base.value.every(({ resting }) => !resting));
      return decodeOnBase(undefined, 0, base);
    });
  },

  codec: (pieces, random) => {
    const sample = random.pick(pieces.encoded);
    const others = pieces.encoded.filter(({ codec }) => codec === sample.codec).map(({ body }) => body);
    const body = random.chance(0.05)
      ? randomBytes(random.between(0, 300), random)
      : mutated(sample.body, others, random);
    const rawBytes = random.chance(0.6)
      ? sample.rawBytes
      : random.pick([0, 1, sample.rawBytes + 1, 65_536, limits.blockRawBytesMax]);
    return asynchronous(body.length + rawBytes, () => decodeWith(sample.codec, body, rawBytes));
  },

  row: (pieces, random) => {
    const { bytes, decode } = changedRow(pieces, piecesOf(pieces), random);
    return synchronous(bytes, decode);
  },

  checkpoint: (pieces, random) => {
    if (random.chance(0.5)) return restoring(mutated(pieces.checkpoint, piecesOf(pieces), random), pieces.secret);
    const tables = 24 + view(pieces.checkpoint).getUint32(12, true);
    const changed = mutated(pieces.checkpoint.subarray(tables), piecesOf(pieces), random);
    const bytes = concat([pieces.checkpoint.subarray(0, tables), changed]);
    resealCheckpoint(bytes, pieces.secret);
    return restoring(bytes, pieces.secret);
  },

  "checkpoint summary": (pieces, random) => {
    if (random.chance(0.5)) return restoring(withOtherSummary(pieces, random), pieces.secret);
    const bytes = mutated(pieces.checkpoint, piecesOf(pieces), random);
    resealCheckpoint(bytes, pieces.secret);
    return restoring(bytes, pieces.secret);
  },

  run: runTarget,
  "saved overlay": overlayTarget,
  manifest: manifestTarget,

  "store.json": (pieces, random) => {
    const changed = mutated(pieces.storeFile, piecesOf(pieces), random);
    const bytes = random.chance(0.7) ? resealStoreFile(changed) : changed;
    const fs = machineWith(new Map([["store.json", bytes]]));
    return synchronous(bytes, () => {
      const store = readStoreFile({ fs, layout: new Layout(goldenDirectory), digest: nodeDigest });
      assert.equal(store?.secret.length, pieces.secret.length);
      return { ok: true };
    });
  },

  "segment scan": (pieces, random) => {
    const golden = random.pick(pieces.segments);
    const bytes = random.chance(0.6)
      ? resealedSegment(golden, piecesOf(pieces), random)
      : mutated(golden.bytes, piecesOf(pieces), random);
    return asynchronous(bytes.length, () => scanned(golden.tenant, golden.segment, bytes));
  },

  store: (pieces, random) => {
    const files = new Map(pieces.files);
    const file = random.pick([...files.keys()]);
    const golden = pieces.segments.find(({ segment }) => file.includes(segment));
    const bytes =
      golden && random.chance(0.5)
        ? resealedSegment(golden, piecesOf(pieces), random)
        : mutated(files.get(file) ?? new Uint8Array(0), piecesOf(pieces), random);
    files.set(file, bytes);
    // What the whole store holds decoded, and its index.
    return asynchronous(8 * limits.blockRawBytesMax, () => readAll(machineWith(files)));
  },
};

type Outcome = Pick<Decoded<unknown>, "ok">;

function synchronous(bytes: Uint8Array, run: () => Outcome): FuzzCase {
  return { bytes: bytes.length, decode: () => (run().ok ? "decoded" : "refused") };
}

function asynchronous(bytes: number, decode: () => Promise<FuzzAnswer>): FuzzCase {
  return { bytes, decode };
}

/** Pieces of every kind, to be taken for pieces of another. */
function piecesOf({ segments, checkpoint, storeFile, encoded }: GoldenPieces): Uint8Array[] {
  const frames = segments.map(({ bytes, frames: [first] }) => bytes.subarray(first?.offset ?? 0));
  return [...segments.map(({ bytes }) => bytes), ...frames, checkpoint, storeFile, encoded[0]?.body ?? storeFile];
}

/** Every entry is found in the page where decoding it whole says it is: the first of those with one id. */
function expectFound(bytes: Uint8Array, places: readonly { readonly entry: { readonly id: string } }[]): void {
  for (const id of new Set(places.map(({ entry }) => entry.id))) {
    const place = places.find(({ entry }) => entry.id === id);
    assert.deepEqual(findInPage(bytes, id), { ok: true, value: { kind: "payload", place } });
  }
}

async function decodeWith(codec: CodecCode, body: Uint8Array, rawBytes: number): Promise<FuzzAnswer> {
  const raw = await nodeCodecs[codec].decode(body, rawBytes);
  assert.equal(raw.length, rawBytes);
  return "decoded";
}

/** What a base decodes to, and a frame on it, if any. */
async function decodeOnBase(
  frame: Uint8Array | undefined,
  rawBytes: number,
  base: Decoded<readonly EncodedBlock[]>,
): Promise<FuzzAnswer> {
  if (!base.ok) return "refused";
  const parts = await Promise.all(
    base.value.map(async (block) => nodeCodecs[block.codec].decode(block.body, block.rawBytes)),
  );
  const raw = concat(parts);
  if (!isRawContent(raw)) return "refused";
  if (frame) assert.equal(nodeCodecs[2].onBase?.decode(frame, rawBytes, raw).length, rawBytes);
  return "decoded";
}

function restoring(bytes: Uint8Array, secret: Uint8Array): FuzzCase {
  const crc32 = (part: Uint8Array, seed?: number) => nodeDigest.crc32(part, seed);
  const segments = new MemorySegmentStore({
    clock,
    random: { bytes: (length) => new Uint8Array(length) },
    digest: nodeDigest,
  });
  const index = new ArrayOffsetIndex(new FrameReader(segments, nodeDigest), new KeyHasher(secret), crc32);
  return synchronous(bytes, () => restoreCheckpoint(index, bytes, secret, crc32));
}

const clock = { nowMs: () => 0 };

/** A checkpoint whose summary says something else in one place, with lengths and checksum that are right. */
function withOtherSummary({ checkpoint, secret }: GoldenPieces, random: SeededRandom): Uint8Array {
  const summaryBytes = view(checkpoint).getUint32(12, true);
  const json = utf8Text(checkpoint.subarray(24, 24 + summaryBytes)) ?? "";
  const places: { readonly holder: Record<string, unknown>; readonly name: string }[] = [];
  const summary = JSON.parse(json, function (this: Record<string, unknown>, name, value: unknown) {
    places.push({ holder: this, name });
    return value;
  }) as unknown;
  const { holder, name } = random.pick(places);
  const instead: unknown[] = [null, {}, [], [null], "", "x", true, -1, 0, 0.5, 1, 2 ** 31, 2 ** 53, 1e300];
  if (random.chance(0.1)) delete holder[name];
  else holder[name] = random.pick(instead);
  const changed = name === "" ? holder[""] : summary;
  const text = JSON.stringify(changed ?? null);
  const padded = utf8(text + " ".repeat((8 - (utf8(text).length % 8)) % 8));
  const bytes = new Uint8Array(24 + padded.length + checkpoint.length - 24 - summaryBytes);
  bytes.set(checkpoint.subarray(0, 24));
  bytes.set(padded, 24);
  bytes.set(checkpoint.subarray(24 + summaryBytes), 24 + padded.length);
  view(bytes).setUint32(12, padded.length, true);
  resealCheckpoint(bytes, secret);
  return bytes;
}

/**
 * Scans a segment. Its work is counted, not timed: a read for every eight bytes and checksums over 64 times its length
 * are far more than any scan needs, and far less than one that does not end.
 */
async function scanned(tenant: string, segment: string, bytes: Uint8Array): Promise<FuzzAnswer> {
  let checked = 0;
  const digest: Digest = {
    ...nodeDigest,
    crc32(part, seed) {
      checked += part.length;
      assert.ok(checked <= 65_536 + 64 * bytes.length, `checksums over ${checked} bytes`);
      return nodeDigest.crc32(part, seed);
    },
  };
  const scan = await scanSegment(new CountingSource(tenant, segment, bytes, 32 + bytes.length / 8), digest);
  for (const { offset, headBytes, page } of scan.frames) {
    assert.ok(offset >= segmentHeaderBytes && offset + headBytes <= bytes.length && page.length <= limits.pageBytesMax);
    decodePlacedPage(page);
  }
  for (const { start, end } of scan.damage) assert.ok(start >= 0 && start <= end && end <= bytes.length);
  assert.ok(scan.durableBytes <= bytes.length && scan.acknowledgedBytes <= bytes.length);
  return scan.damage.length === 0 ? "decoded" : "refused";
}

/** Opens a store and asks it everything. Each answer is an answer or an error of its own. */
async function readAll(fs: PowerLossFileSystem): Promise<FuzzAnswer> {
  let answer: FuzzAnswer = "decoded";
  const ask = async <T>(question: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await question();
    } catch (error) {
      if (!isPayloadStoreError(error)) throw error;
      answer = "refused";
      return undefined;
    }
  };
  const store = await ask(() => openDisk({ directory: goldenDirectory }, simulatedMachine(fs, 7)));
  if (!store) return answer;
  for (const tenant of ["acme", "other"]) {
    await ask(() => store.stats({ tenant }));
    await ask(() => collect(store.groups({ tenant })));
    for (const group of ["run", "batch é/🛫", "long", "cleared", "gone"]) {
      const listed = await ask(() => collect(store.list({ tenant, group })));
      for (const { id } of listed ?? []) await ask(() => store.get({ tenant, group, id }));
    }
  }
  if (((await ask(() => store.verify()))?.faults.length ?? 1) > 0) answer = "refused";
  await ask(() => store.append({ tenant: "acme", group: "run", id: "new" }, Uint8Array.of(1)));
  await ask(() => store.close());
  return answer;
}

function machineWith(files: ReadonlyMap<string, Uint8Array>): PowerLossFileSystem {
  const fs = new PowerLossFileSystem({ random: seededRandom(1) });
  for (const [file, bytes] of files) fs.writeFile(`${goldenDirectory}/${file}`, bytes);
  return fs;
}
