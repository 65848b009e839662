import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { nodeDigest } from "../../../core/adapters/node/digest.ts";
import { Layout } from "../../../core/adapters/disk/layout.ts";
import { readStoreFile } from "../../../core/adapters/disk/store-file.ts";
import { nodeCodecs } from "../../../core/entries/node-codecs.ts";
import type { CodecCode } from "../../../core/ports/codec.ts";
import { SegmentBinding } from "../../../core/segment/binding.ts";
import { decodeBlock, storedBlockBytes } from "../../../core/segment/block.ts";
import { decodeTrailer, trailerBytes } from "../../../core/segment/footer.ts";
import { decodeMark, markBytes } from "../../../core/segment/frame.ts";
import { scanSegment, type ScannedFrame } from "../../../core/segment/scan.ts";
import { noise, prose } from "../../conformance/sample-bytes.ts";
import { goldenDirectory } from "../golden-store.ts";
import { PowerLossFileSystem } from "../power-loss-file-system.ts";
import { seededRandom } from "../seeded-random.ts";
import { CountingSource } from "./counting-source.ts";

/** A part of a golden segment, and where it lies. */
export interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface GoldenSegment {
  readonly tenant: string;
  readonly segment: string;
  readonly bytes: Uint8Array;
  readonly marker: Uint8Array;
  readonly binding: SegmentBinding;
  readonly frames: readonly ScannedFrame[];
  readonly marks: readonly Piece[];
  readonly blocks: readonly Piece[];
  /** Of a sealed one, without its trailer. */
  readonly footer: Piece | undefined;
}

/** A block's body, and what it decodes to. */
export interface EncodedSample {
  readonly codec: CodecCode;
  readonly body: Uint8Array;
  readonly rawBytes: number;
}

export interface GoldenPieces {
  /** Every file of the golden store, by its path in it. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly segments: readonly GoldenSegment[];
  readonly checkpoint: Uint8Array;
  /** Of the same store with an index on disk. */
  readonly manifest: Uint8Array;
  readonly storeFile: Uint8Array;
  readonly secret: Uint8Array;
  readonly encoded: readonly EncodedSample[];
}

const folder = path.resolve(import.meta.dirname, "../../golden/format-0");

/** Takes the golden store apart: what a decoder reads is somewhere in it. */
export async function goldenPieces(): Promise<GoldenPieces> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = new Map<string, Uint8Array>();
  for (const file of entries.map((entry) => path.join(entry.parentPath, entry.name)).toSorted())
    files.set(path.relative(folder, file).replaceAll("\\", "/"), Uint8Array.from(readFileSync(file)));

  const segments: GoldenSegment[] = [];
  for (const [file, bytes] of files) {
    const [, tenant, segment] = /^segments\/(.+)\/(.+)\.seg$/.exec(file) ?? [];
    if (tenant !== undefined && segment !== undefined) segments.push(await takeApart(tenant, segment, bytes));
  }
  const fs = new PowerLossFileSystem({ random: seededRandom(1) });
  for (const [file, bytes] of files) fs.writeFile(`${goldenDirectory}/${file}`, bytes);
  const store = readStoreFile({ fs, layout: new Layout(goldenDirectory), digest: nodeDigest });
  return {
    files,
    segments,
    checkpoint: fileOf(files, "index/checkpoint"),
    manifest: Uint8Array.from(readFileSync(path.join(folder, "../format-0-disk-hash/index/manifest"))),
    storeFile: fileOf(files, "store.json"),
    secret: store?.secret ?? new Uint8Array(0),
    encoded: await encodedSamples(),
  };
}

async function takeApart(tenant: string, segment: string, bytes: Uint8Array): Promise<GoldenSegment> {
  const binding = new SegmentBinding(nodeDigest, segment);
  const scan = await scanSegment(new CountingSource(tenant, segment, bytes, 1000), nodeDigest);
  if (!scan.marker || scan.damage.length > 0) throw new Error(`golden segment ${segment} is damaged`);
  const marks: Piece[] = [];
  for (let offset = 0; offset + markBytes <= bytes.length; offset++) {
    const part = bytes.subarray(offset, offset + markBytes);
    if (decodeMark(part, offset, binding)) marks.push({ offset, bytes: part });
  }
  const trailer = decodeTrailer(bytes.subarray(-trailerBytes), bytes.length, binding);
  return {
    tenant,
    segment,
    bytes,
    marker: scan.marker,
    binding,
    frames: scan.frames,
    marks,
    blocks: scan.frames.flatMap((frame) => blocksOf(bytes, frame, binding)),
    footer: trailer.ok
      ? {
          offset: trailer.value.offset,
          bytes: bytes.subarray(trailer.value.offset, trailer.value.offset + trailer.value.bytes),
        }
      : undefined,
  };
}

function blocksOf(segment: Uint8Array, frame: ScannedFrame, binding: SegmentBinding): Piece[] {
  const blocks: Piece[] = [];
  const end = frame.offset + frame.headBytes + frame.bodyBytes;
  for (let offset = frame.offset + frame.headBytes; offset < end;) {
    const block = decodeBlock(segment, offset, 0, binding);
    if (!block.ok) throw new Error(block.damage);
    const bytes = storedBlockBytes(block.value);
    blocks.push({ offset, bytes: segment.subarray(offset, offset + bytes) });
    offset += bytes;
  }
  return blocks;
}

async function encodedSamples(): Promise<EncodedSample[]> {
  const raws = [0, 1, 5, 64, 700, 5000, 70_000].flatMap((length) => [prose(length, 1), noise(length, 2)]);
  raws.push(new Uint8Array(300_000));
  const samples: EncodedSample[] = [];
  for (const codec of [0, 1, 2] as const) {
    for (const raw of raws) {
      const body = (await nodeCodecs[codec].encode(raw)).slice();
      samples.push({ codec, body, rawBytes: raw.length });
    }
  }
  return samples;
}

function fileOf(files: ReadonlyMap<string, Uint8Array>, file: string): Uint8Array {
  const bytes = files.get(file);
  if (!bytes) throw new Error(`the golden store has no ${file}`);
  return bytes;
}
