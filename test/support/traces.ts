import { join } from "node:path";
import type { FileSystem } from "../../core/adapters/disk/file-system.ts";
import { readWhole } from "../../core/adapters/disk/files.ts";
import { nodeCodecs } from "../../core/entries/node-codecs.ts";

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
    if (await hasTrace(readWhole(fs, path) ?? new Uint8Array(0), sought)) found.push(path);
  }
  return found;
}

/** Whether bytes are found as they are, or in anything that looks like a block at any offset, once it is decoded. */
export async function hasTrace(searched: Uint8Array, sought: string): Promise<boolean> {
  const bytes = Buffer.from(searched);
  if (bytes.includes(sought)) return true;
  for await (const block of blocksIn(bytes)) if (Buffer.from(block).includes(sought)) return true;
  return false;
}

const headerBytes = 16;

/** What looks like a block header (docs/format.md §5) in front of an LZ4 or Zstandard frame, and decodes. */
async function* blocksIn(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at + headerBytes + 4 <= bytes.length; at++) {
    const magic = bytes.readUInt32LE(at + headerBytes);
    const codec = magic === 0x184d2204 ? 1 : magic === 0xfd2fb528 ? 2 : undefined;
    if (codec === undefined || bytes[at] !== codec) continue;
    const stored = bytes.readUInt32LE(at + 4);
    const raw = bytes.readUInt32LE(at + 8);
    if (raw > 4_194_304 || at + headerBytes + stored > bytes.length) continue;
    const body = bytes.subarray(at + headerBytes, at + headerBytes + stored);
    yield await nodeCodecs[codec].decode(new Uint8Array(body), raw);
  }
}
