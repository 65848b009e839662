import { basename, join } from "node:path";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { readWhole } from "../../core/adapters/disk/files.ts";
import { nodeDigest } from "../../core/adapters/node/digest.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";
import { decodeBase } from "../../core/segment/base.ts";
import { SegmentBinding } from "../../core/segment/binding.ts";
import { decodeRestingBody } from "../../core/segment/resting.ts";

/** Every file of a folder, those of its folders too. */
export function* filesOf(fs: FileSystem, folder: string): Generator<string> {
  for (const name of fs.list(folder)) {
    const path = join(folder, name);
    if (fs.stat(path)?.isDirectory) yield* filesOf(fs, path);
    else yield path;
  }
}

/**
 * Files with a trace of some bytes: as they are, or in anything that looks like a block at any offset, once it is decoded. It
 * goes by no footer, page or index, so that it also finds what these do not tell of.
 */
export async function tracesOf(fs: FileSystem, folder: string, sought: string): Promise<string[]> {
  const found: string[] = [];
  for (const path of filesOf(fs, folder)) {
    const bytes = readWhole(fs, path) ?? new Uint8Array(0);
    if (await hasTrace(bytes, sought, basename(path, ".seg"))) found.push(path);
  }
  return found;
}

/**
 * Whether bytes are found as they are, or in anything that looks like a block at any offset, once it is decoded.
 * @param segment  name of the segment whose bytes these are, if they are one's: blocks that rest are decoded there alone
 */
export async function hasTrace(searched: Uint8Array, sought: string, segment = ""): Promise<boolean> {
  return (await tracesIn(searched, [sought], segment)).length > 0;
}

/** As {@link hasTrace}, of many at once. @returns those that are found */
export async function tracesIn(
  searched: Uint8Array,
  sought: readonly string[],
  segment = "",
): Promise<readonly string[]> {
  const bytes = Buffer.from(searched);
  const found = new Set(sought.filter((one) => bytes.includes(one)));
  for await (const raw of blocksIn(bytes, segment)) {
    if (found.size === sought.length) break;
    const block = Buffer.from(raw);
    for (const one of sought) if (block.includes(one)) found.add(one);
  }
  return [...found];
}

const headerBytes = 16;

/** What looks like a block header (docs/format.md §5) in front of an LZ4 or Zstandard frame, and decodes. */
async function* blocksIn(bytes: Buffer, segment: string): AsyncGenerator<Uint8Array> {
  for (let at = 0; at + headerBytes + 4 <= bytes.length; at++) {
    const [codec = 0, rests = 0] = bytes.subarray(at, at + 2);
    if ((codec !== 1 && codec !== 2) || rests > 1 || bytes.readUInt16LE(at + 2) !== 0) continue;
    const stored = bytes.readUInt32LE(at + 4);
    const raw = bytes.readUInt32LE(at + 8);
    if (raw > 4_194_304 || at + headerBytes + stored > bytes.length) continue;
    const body = new Uint8Array(bytes.subarray(at + headerBytes, at + headerBytes + stored));
    const resting = rests === 1 ? decodeRestingBody(body, at) : undefined;
    const frame = resting?.ok ? resting.value.frame : body;
    const magic = frame.length < 4 ? 0 : Buffer.from(frame).readUInt32LE(0);
    if (magic !== (codec === 1 ? 0x184d2204 : 0xfd2fb528)) continue;
    if (!resting) yield await nodeCodecs[codec].decode(body, raw);
    else if (resting.ok) {
      const { start, end } = resting.value.base;
      const base = decodeBase(bytes.subarray(start, end), start, new SegmentBinding(nodeDigest, segment));
      if (!base.ok) throw new Error(`block at byte ${at} of ${segment}: ${base.damage}`);
      const parts = await Promise.all(
        base.value.map(async (block) => nodeCodecs[block.codec].decode(block.body, block.rawBytes)),
      );
      yield nodeCodecs[2].onBase!.decode(frame, raw, Buffer.concat(parts));
    }
  }
}
