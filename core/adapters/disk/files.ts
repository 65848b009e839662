import { dirname } from "node:path";
import { setImmediate } from "node:timers/promises";
import { errorCode } from "./disk-error.ts";
import type { DirectorySync, FileSync, FileSystem, OpenFile } from "./file-system.ts";

/** Writes all parts at `offset`, however short the single writes are. */
export function writeAll(file: OpenFile, parts: readonly Uint8Array[], offset: number): number {
  let at = offset;
  let rest = [...parts];
  while (rest.length > 0) {
    let written = file.write(rest, at);
    if (written <= 0 && rest.some((part) => part.length > 0))
      throw new Error("the file system wrote nothing and gave no error");
    at += written;
    const next: Uint8Array[] = [];
    for (const part of rest) {
      if (written >= part.length) written -= part.length;
      else {
        next.push(written > 0 ? part.subarray(written) : part);
        written = 0;
      }
    }
    rest = next;
  }
  return at;
}

/** Reads up to `bytes` bytes at `offset`, fewer only at the end of the file; into `target`, which is that long, if given. */
export function readUpTo(
  file: OpenFile,
  offset: number,
  bytes: number,
  target: Uint8Array = uncleared(bytes),
): Uint8Array {
  let read = 0;
  while (read < bytes) {
    const more = file.read(read === 0 ? target : target.subarray(read), offset + read);
    if (more === 0) return target.subarray(0, read);
    read += more;
  }
  return target;
}

export function readWhole(fs: FileSystem, path: string): Uint8Array | undefined {
  let file: OpenFile;
  try {
    file = fs.open(path, "read");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    return readUpTo(file, 0, file.size());
  } finally {
    file.close();
  }
}

/** Bytes that are written in one turn of the event loop: some 0.3 ms. */
export const bytesPerTurn = 524_288;

/** Writes all parts at `offset` as {@link writeAll} does, and lets others run while it does. Nobody else may write to the file. */
export async function writeInTurns(file: OpenFile, parts: readonly Uint8Array[], offset: number): Promise<number> {
  let at = offset;
  let some: Uint8Array[] = [];
  let bytes = 0;
  for (const part of parts) {
    for (let from = 0; from < part.length;) {
      if (bytes >= bytesPerTurn) {
        at = writeAll(file, some, at);
        some = [];
        bytes = 0;
        await setImmediate();
      }
      const piece = part.subarray(from, from + bytesPerTurn - bytes);
      some.push(piece);
      bytes += piece.length;
      from += piece.length;
    }
  }
  return writeAll(file, some, at);
}

/**
 * Replaces a file so that a crash leaves the old or the new one: temporary file, sync, rename, sync of the folder.
 * Without `sync` a power cut may leave neither.
 */
export async function replaceFile(
  fs: FileSystem,
  path: string,
  bytes: Uint8Array | readonly Uint8Array[],
  sync?: { file: FileSync; folder: DirectorySync },
  permissions?: number,
): Promise<void> {
  const temporary = `${path}.tmp`;
  removeFile(fs, temporary);
  const file = fs.open(temporary, "create", permissions);
  try {
    await writeInTurns(file, bytes instanceof Uint8Array ? [bytes] : bytes, 0);
    if (sync) await file.sync(sync.file);
  } finally {
    file.close();
  }
  fs.rename(temporary, path);
  if (sync) await fs.syncDirectory(dirname(path), sync.folder);
}

export function removeFile(fs: FileSystem, path: string): void {
  try {
    fs.unlink(path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}

/** Makes a folder and those above it, each durable in its parent. */
export async function ensureDirectory(fs: FileSystem, path: string, reason: DirectorySync): Promise<void> {
  if (fs.stat(path)?.isDirectory) return;
  const parent = dirname(path);
  if (parent !== path) await ensureDirectory(fs, parent, reason);
  try {
    fs.makeDirectory(path);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  }
  await fs.syncDirectory(parent, reason);
}

/** What is not read is not answered. A plain view, since slices of a Buffer would share its memory. */
function uncleared(bytes: number): Uint8Array {
  const memory = Buffer.allocUnsafeSlow(bytes);
  return new Uint8Array(memory.buffer, memory.byteOffset, bytes);
}
