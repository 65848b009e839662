import { join } from "node:path";
import { utf8 } from "../../bytes.ts";
import type { Digest } from "../../ports/digest.ts";
import type { Loss } from "../../repair/loss.ts";
import type { MendedSegment } from "../../repair/mend.ts";
import { segmentHeaderBytes } from "../../segment/header.ts";
import { diskError } from "./disk-error.ts";
import type { FileSystem, OpenFile } from "./file-system.ts";
import { ensureDirectory, readUpTo, removeFile, replaceFile, writeAll } from "./files.ts";
import type { Layout } from "./layout.ts";

interface Ports {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly digest: Digest;
}

const pieceBytes = 1_048_576;

/**
 * Copies a damaged segment to the quarantine, durably, with a note of what was lost beside it. The same bytes are kept once,
 * however often this is done.
 * @returns the file's name in the quarantine
 */
export async function copyToQuarantine(
  ports: Ports,
  tenant: string,
  segment: string,
  losses: readonly Loss[],
): Promise<string> {
  const { fs, layout } = ports;
  const from = layout.segment(tenant, segment);
  try {
    await ensureDirectory(fs, layout.quarantine, "new store folder");
    const hash = hashOf(ports, from);
    let name = `${tenant}-${segment}.seg`;
    for (let copy = 2; ; copy++) {
      const to = join(layout.quarantine, name);
      if (!fs.stat(to)) await copyFile(fs, from, to);
      else if (hashOf(ports, to) !== hash) {
        name = `${tenant}-${segment}.${copy}.seg`;
        continue;
      }
      const note = { tenant, segment, file: name, sha256: hash, losses };
      const bytes = utf8(`${JSON.stringify(note, undefined, 1)}\n`);
      await replaceFile(fs, join(layout.quarantine, `${name}.json`), bytes, { file: "repair", folder: "repair" });
      return name;
    }
  } catch (error) {
    throw diskError(error, `copying segment ${tenant}/${segment} to ${layout.quarantine} failed`);
  }
}

/** Puts a mended segment in the place of a damaged one, or nothing where none of it can be read. Either is there, never neither. */
export async function replaceSegment(
  { fs, layout }: Ports,
  tenant: string,
  segment: string,
  mended: MendedSegment | undefined,
): Promise<void> {
  const path = layout.segment(tenant, segment);
  const temporary = `${path}.tmp`;
  try {
    if (mended) {
      removeFile(fs, temporary);
      const to = fs.open(temporary, "create");
      try {
        writeAll(to, [mended.header], 0);
        copyInto(fs, path, to, segmentHeaderBytes);
        writeAll(to, [mended.footer], mended.bytes - mended.footer.length);
        await to.sync("repair");
      } finally {
        to.close();
      }
      fs.rename(temporary, path);
    } else fs.unlink(path);
    await fs.syncDirectory(layout.tenant(tenant), "repair");
  } catch (error) {
    throw diskError(error, `replacing segment ${tenant}/${segment} failed`);
  }
}

async function copyFile(fs: FileSystem, from: string, to: string): Promise<void> {
  const temporary = `${to}.tmp`;
  removeFile(fs, temporary);
  const file = fs.open(temporary, "create");
  try {
    copyInto(fs, from, file, 0);
    await file.sync("repair");
  } finally {
    file.close();
  }
  fs.rename(temporary, to);
}

function copyInto(fs: FileSystem, from: string, to: OpenFile, start: number): void {
  for (const { at, bytes } of piecesOf(fs, from, start)) writeAll(to, [bytes], at);
}

function hashOf({ fs, digest }: Ports, path: string): string {
  const hash = digest.sha256Parts();
  for (const { bytes } of piecesOf(fs, path, 0)) hash.update(bytes);
  return hash.end();
}

function* piecesOf(
  fs: FileSystem,
  path: string,
  start: number,
): Generator<{ readonly at: number; readonly bytes: Uint8Array }> {
  const file = fs.open(path, "read");
  try {
    for (let at = start; ;) {
      const bytes = readUpTo(file, at, pieceBytes);
      if (bytes.length === 0) return;
      yield { at, bytes };
      at += bytes.length;
    }
  } finally {
    file.close();
  }
}
