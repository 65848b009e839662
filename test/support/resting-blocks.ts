import { basename } from "node:path";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { readWhole } from "../../core/adapters/disk/files.ts";
import { utf8 } from "../../core/bytes.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { SegmentBinding } from "../../core/segment/binding.ts";
import { decodeBlock, storedBlockBytes, type EncodedBlock } from "../../core/segment/block.ts";
import { scanSegment, type ScannedFrame } from "../../core/segment/scan.ts";
import { noise } from "../conformance/sample-bytes.ts";
import { filesOf } from "./traces.ts";

/** Rules by which blocks of small stores rest on bases, and on others after a while. */
export const smallBases = { baseBytes: 1000, baseEveryBytes: 6000 } as const;

export interface FoundBlock {
  readonly path: string;
  readonly segment: string;
  readonly offset: number;
  readonly block: EncodedBlock;
}

export interface FoundFrame extends ScannedFrame {
  readonly path: string;
  readonly tenant: string;
  readonly segment: string;
  /** Of the whole segment. */
  readonly bytes: Uint8Array;
}

/** Every whole frame of the segments in a store's folder. */
export async function framesOf(fs: FileSystem, folder: string): Promise<FoundFrame[]> {
  const found: FoundFrame[] = [];
  for (const path of filesOf(fs, folder)) {
    const [, tenant = "", segment = ""] = /segments\/([^/]+)\/([^/]+)\.seg$/.exec(path) ?? [];
    if (segment === "") continue;
    found.push(...(await framesIn(path, tenant, segment, readWhole(fs, path) ?? new Uint8Array(0))));
  }
  return found;
}

/** Every whole frame of a segment. */
export async function framesIn(
  path: string,
  tenant: string,
  segment: string,
  bytes: Uint8Array,
): Promise<FoundFrame[]> {
  const read = (at: number, length: number) => bytes.subarray(at, at + length);
  const { frames } = await scanSegment({ tenant, segment, size: bytes.length, read }, nodeDigest);
  return frames.map((frame) => ({ ...frame, path, tenant, segment, bytes }));
}

/** Every block of every whole frame in a store's folder. */
export async function blocksOf(fs: FileSystem, folder: string): Promise<FoundBlock[]> {
  return blocksIn(await framesOf(fs, folder));
}

/** Every block of frames. */
export function blocksIn(frames: readonly FoundFrame[]): FoundBlock[] {
  const found: FoundBlock[] = [];
  for (const { path, segment, bytes, offset, headBytes, bodyBytes } of frames) {
    const binding = new SegmentBinding(nodeDigest, basename(segment));
    for (let at = offset + headBytes; at < offset + headBytes + bodyBytes;) {
      const block = decodeBlock(bytes, at, 0, binding);
      if (!block.ok) break;
      found.push({ path, segment, offset: at, block: block.value });
      at += storedBlockBytes(block.value);
    }
  }
  return found;
}

/** Those of them that rest on a base. */
export async function restingBlocksOf(fs: FileSystem, folder: string): Promise<FoundBlock[]> {
  return (await blocksOf(fs, folder)).filter(({ block }) => block.resting !== undefined);
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const common = Array.from(noise(1100, 7), (byte) => letters[byte & 63]).join("");

/** A payload that is much like the others, and repeats nothing of itself. */
export function alike(i: number): Uint8Array {
  return utf8(`payload ${i} ${common} of ${i * 7919}`);
}
